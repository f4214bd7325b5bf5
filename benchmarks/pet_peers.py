"""The same fits by what else can be installed: few voxels, so many times longer.

Peers run when they can be imported; their seconds are for the voxels asked, times what is
missing to the whole image. The curves are those of `pet_voxel.py`.
"""

from __future__ import annotations

import time

import numpy as np

PER_MINUTE = 60


def scipy_two_tissue(curves, weights, frames, input, vB_max=0.2):
    """2TCM + vB as a script would do it: SciPy's least squares, one start, even grid of 1 s.

    Returns seconds and weighted residual sums.
    """
    from scipy.optimize import least_squares

    step = 1.0 / PER_MINUTE
    t = np.arange(0.0, frames.end[-1] + step, step)
    plasma = np.interp(t, input.t, input.plasma_parent)
    whole = np.interp(t, input.t, input.whole_blood)
    size = 2 ** int(np.ceil(np.log2(2 * t.size)))
    spectrum = np.fft.rfft(plasma, size)
    # frames' means of a curve on the grid, weighted for decay as the scanner does
    decay = np.exp(-np.log(2) / frames.half_life * t)
    index = np.searchsorted(t, frames.start), np.searchsorted(t, frames.end)

    def mean(curve):
        area = np.concatenate(([0.0], np.cumsum(curve * decay)))
        of_decay = np.concatenate(([0.0], np.cumsum(decay)))
        return (area[index[1]] - area[index[0]]) / (of_decay[index[1]] - of_decay[index[0]])

    blood, root = mean(whole), np.sqrt(weights)

    def model(x):
        K1, k2, k3, k4 = np.exp(x[:4])
        total = k2 + k3 + k4
        half = np.sqrt(max(total**2 - 4 * k2 * k4, 1e-12))
        a, b = (total + half) / 2, (total - half) / 2
        response = K1 / half * ((a - k3 - k4) * np.exp(-a * t) + (k3 + k4 - b) * np.exp(-b * t))
        tissue = np.fft.irfft(spectrum * np.fft.rfft(response, size), size)[: t.size] * step
        return (1 - x[4]) * mean(tissue) + x[4] * blood

    low = [*np.log([1e-3, 1e-3, 1e-4, 1e-4]), 0.0]
    high = [*np.log([5.0, 5.0, 5.0, 5.0]), vB_max]
    start = [*np.log([0.3, 0.1, 0.1, 0.05]), 0.05]
    rss = np.empty(len(curves))
    began = time.perf_counter()
    for n, y in enumerate(curves):
        found = least_squares(lambda x, y=y: (model(x) - y) * root, start, bounds=(low, high))
        rss[n] = 2 * found.cost
    return time.perf_counter() - began, rss


def niftypad_srtm(curves, reference, weights, frames, nodes=128):
    """SRTM by NiftyPAD's basis functions (Jiao et al.); None when it is not installed.

    Returns seconds and BP_ND.
    """
    try:
        from niftypad import basis, models
        from niftypad.tac import Ref
    except ImportError:
        return None
    dt = np.round(np.vstack((frames.start, frames.end)) * PER_MINUTE).astype(int)
    began = time.perf_counter()
    lifted = Ref(reference.copy(), dt)
    lifted.run_interp("linear")
    limits = [0.1 / frames.end[-1] / PER_MINUTE, 3.0 / PER_MINUTE]
    table = basis.make_basis(
        lifted.input_interp_1, dt, beta_lim=limits, n_beta=nodes, w=np.sqrt(weights)
    )
    bound = np.array([models.srtmb_basis(y.copy(), table)["bp"] for y in curves])
    return time.perf_counter() - began, bound
