"""Frames, noise and images of a virtual scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ekbom.measures.pet.tracers import Tracer
from ekbom.virtual.anatomy import FWHM_PER_SIGMA, Anatomy, blur, noise_gain
from ekbom.virtual.design_parts import Scanner
from ekbom.virtual.smooth import smoothed

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Timing:
    """Frames of a scan, minutes from injection.

    Parameters
    ----------
    start, end : (F,) array
        Edges, min.
    decay : float
        Decay constant, 1/min.
    """

    start: Array
    end: Array
    decay: float

    @classmethod
    def of(cls, tracer: Tracer) -> Timing:
        """Return the usual frames of a tracer."""
        if tracer.frames is None:
            raise ValueError(f"the tracer {tracer.name} has no frames")
        edges = np.cumsum([0.0, *tracer.frames.durations]) / 60.0
        return cls(edges[:-1], edges[1:], float(np.log(2.0) / tracer.half_life))

    def relative_sd(self) -> Array:
        """Return ``sqrt(e^(lambda t) / duration)``: SD of a frame is this times ``s sqrt(C)``."""
        middle = (self.start + self.end) / 2.0
        out: Array = np.sqrt(np.exp(self.decay * middle) / (self.end - self.start))
        return out


def noise_scale(cov: float, reference: Array, timing: Timing) -> float:
    """Return ``s`` of ``sd = s sqrt(e^(lambda t) C / duration)``.

    Parameters
    ----------
    cov : float
        Wanted SD over mean in the last frame.
    reference : (F,) array
        Curve of a typical grey voxel, kBq/mL.
    timing : Timing
        Frames.

    Returns
    -------
    float
        In sqrt(kBq/mL min).
    """
    return float(cov * np.sqrt(reference[-1]) / timing.relative_sd()[-1])


def noisy_labels(
    rng: np.random.Generator,
    curves: Array,
    floor: Array,
    scale: float,
    gain: Array,
    timing: Timing,
) -> Array:
    """Add the noise that a label mean has when its voxels have theirs.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of the scan.
    curves : (L, F) array
        Noise-free label means, kBq/mL.
    floor : (F,) array
        Randoms, kBq/mL equivalent.
    scale : float
        From :func:`noise_scale`.
    gain : (L,) array
        SD of the label mean of the noise field.
    timing : Timing
        Frames.

    Returns
    -------
    (L, F) array
        kBq/mL; labels independent of each other.
    """
    sd = scale * timing.relative_sd() * np.sqrt(np.maximum(curves, 0.0) + floor) * gain[:, None]
    noisy: Array = curves + sd * rng.standard_normal(curves.shape)
    return noisy


def seen_weights(anatomy: Anatomy, texture: Array, fwhm_mm: float) -> sparse.csr_array:
    """Return the sources' weights as the scanner sees them.

    Parameters
    ----------
    anatomy : Anatomy
        True weights.
    texture : (X, Y, Z) array
        Factor of uptake.
    fwhm_mm : float
        Point spread, mm.

    Returns
    -------
    sparse (V, S) array
        Voxels in C order.
    """
    columns = []
    for s in range(anatomy.weights.shape[-1]):
        flat = blur(anatomy.weights[..., s] * texture, fwhm_mm, anatomy.grid).ravel()
        where = np.flatnonzero(flat > 1e-7)
        columns.append(
            sparse.csc_array(
                (flat[where], (where, np.zeros(where.size, dtype=np.int64))), shape=(flat.size, 1)
            )
        )
    return sparse.csr_array(sparse.hstack(columns))


def noise_field(
    rng: np.random.Generator, shape: tuple[int, int, int], sigma: Array, gain: float
) -> NDArray[np.float32]:
    """Draw correlated noise of unit variance.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream.
    shape : tuple of int
        Of the image.
    sigma : (3,) array
        Width of the correlation, voxels; zeros for white noise.
    gain : float
        SD that the filter leaves of white noise of unit variance.

    Returns
    -------
    (X, Y, Z) float32 array
        Periodic at the edges.
    """
    field = rng.standard_normal(shape, dtype=np.float32)
    if np.all(sigma > 0):
        field = smoothed(field, sigma) / np.float32(gain)
    return field


def dynamic_image(
    rng: np.random.Generator | None,
    weights: sparse.csr_array,
    curves: Array,
    anatomy: Anatomy,
    scanner: Scanner,
    scale: float,
    timing: Timing,
) -> NDArray[np.float32]:
    """Return the frames of a scan.

    Parameters
    ----------
    rng : numpy.random.Generator or None
        Stream of the scan; ``None`` leaves the noise out.
    weights : sparse (V, S) array
        From :func:`seen_weights`.
    curves : (S, F) array
        Curves of the sources, kBq/mL.
    anatomy : Anatomy
        Grid and brain mask.
    scanner : Scanner
        Blur of the noise, floor.
    scale : float
        From :func:`noise_scale`.
    timing : Timing
        Frames.

    Returns
    -------
    (X, Y, Z, F) float32 array
        kBq/mL; with noise also negative values.
    """
    shape = anatomy.grid.shape
    out = np.empty((*shape, curves.shape[1]), dtype=np.float32)
    relative = timing.relative_sd()
    sigma = scanner.psf_fwhm_mm / FWHM_PER_SIGMA / np.asarray(anatomy.grid.voxel_size)
    gain = noise_gain(scanner.psf_fwhm_mm, anatomy.grid)
    for f in range(curves.shape[1]):
        mean = (weights @ curves[:, f]).reshape(shape)
        if rng is not None and scale > 0:
            field = noise_field(rng, shape, sigma, gain)
            randoms = scanner.noise_floor * float(mean[anatomy.brain].mean())
            mean = mean + scale * relative[f] * np.sqrt(mean + randoms) * field
        out[..., f] = mean
    return out
