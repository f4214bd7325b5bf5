"""Transform files: ITK text, ITK HDF5, displacement images, X5, LTA.

ITK files are LPS; they are turned to RAS here and nowhere else. A file that
holds several transforms holds them in the order of :class:`Chain`, from the
input image to the reference.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space.checks import Message
from ekbom.space.grid import Grid
from ekbom.space.transform import Affine, Chain, Transform, Warp, as_transform, compose, rotation

UNREADABLE_TRANSFORM = Message(
    "The transform file cannot be read.",
    expected="an ITK .txt or .h5, a displacement .nii.gz, an .x5 or an .lta file",
    mend="Write the transform again as ITK text (linear) or ITK .h5.",
)
LIBRARY_MISSING = Message(
    "This kind of transform file needs a library that is not installed.",
    mend='pip install "ekbom[transforms]"',
)

#: RAS to LPS and back.
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_transform(path: str | Path) -> Transform:
    """Read a transform; the ending of the name says which kind.

    Parameters
    ----------
    path : path-like
        ``.txt``/``.tfm`` (ITK text), ``.h5`` (ITK), ``.nii``/``.nii.gz`` (ITK
        displacement field), ``.x5``, ``.lta``.

    Returns
    -------
    Transform
        RAS+ mm, from points of the fixed image to points of the moving one.

    Raises
    ------
    Refused
        Unknown ending, a file that does not hold what its name says, a
        library that is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise UNREADABLE_TRANSFORM.refused(file=path, found="no such file")
    name = path.name.lower()
    readers = {
        (".txt", ".tfm"): _read_itk_text,
        (".h5", ".hdf5"): _read_itk_h5,
        (".nii", ".nii.gz"): _read_field,
        (".x5",): _read_x5,
        (".lta",): _read_lta,
    }
    for endings, reader in readers.items():
        if name.endswith(endings):
            try:
                return reader(path)
            except Refused as no:
                if no.file is None:
                    no.file = str(path)
                raise
            except Exception as fault:  # whatever a library says about a broken file
                raise UNREADABLE_TRANSFORM.refused(
                    file=path, found=f"{type(fault).__name__}: {fault}"
                ) from fault
    raise UNREADABLE_TRANSFORM.refused(file=path, found=path.name)


def itk_text_bytes(transform: Transform) -> bytes:
    """Return an ITK text file of one or more matrices.

    Parameters
    ----------
    transform : Transform
        A matrix or a chain of matrices.

    Returns
    -------
    bytes
        LPS, double precision, with the numbers in full.

    Raises
    ------
    Refused
        When a displacement field is among them.
    """
    lines = ["#Insight Transform File V1.0"]
    for number, part in enumerate(_parts(transform)):
        if not isinstance(part, Affine):
            raise Refused(
                "An ITK text file holds no displacement field.",
                mend="Write it as .h5, or the field as .nii.gz.",
            )
        turn, shift = _to_lps(part)
        numbers = " ".join(repr(float(v)) for v in (*turn.ravel(), *shift))
        lines += [
            f"#Transform {number}",
            "Transform: AffineTransform_double_3_3",
            f"Parameters: {numbers}",
            "FixedParameters: 0 0 0",
        ]
    return ("\n".join(lines) + "\n").encode()


def write_itk_h5(transform: Transform, path: str | Path) -> None:
    """Write an ITK composite transform (needs h5py).

    Parameters
    ----------
    transform : Transform
        Matrices and displacement fields.
    path : path-like
        ``.h5`` file; the same content gives the same bytes.

    Raises
    ------
    Refused
        When h5py is missing.
    """
    h5py = _library("h5py")
    with h5py.File(str(path), "w") as out:
        for name in ("HDFVersion", "ITKVersion", "OSName", "OSVersion"):
            out.create_dataset(name, data=np.array(["n/a"], dtype=h5py.string_dtype()))
        root = out.create_group("TransformGroup")
        parts = _parts(transform)
        many = len(parts) > 1
        if many:
            _itk_node(h5py, root.create_group("0"), "CompositeTransform_double_3_3", None, None)
        for number, part in enumerate(parts, start=int(many)):
            group = root.create_group(str(number))
            if isinstance(part, Affine):
                turn, shift = _to_lps(part)
                numbers = np.concatenate([turn.ravel(), shift])
                _itk_node(h5py, group, "AffineTransform_double_3_3", np.zeros(3), numbers)
            elif isinstance(part, Warp):
                fixed, numbers = _field_numbers(part)
                _itk_node(h5py, group, "DisplacementFieldTransform_double_3_3", fixed, numbers)


def field_image_bytes(warp: Warp) -> bytes:
    """Return a displacement field as ITK and ANTs read it: 5-D NIfTI, LPS vectors.

    Parameters
    ----------
    warp : Warp
        The field.

    Returns
    -------
    bytes
        ``.nii.gz``; displacements as float32.
    """
    import gzip

    return gzip.compress(field_bytes(warp), compresslevel=6, mtime=0)


def field_bytes(warp: Warp) -> bytes:
    """Return the same as :func:`field_image_bytes` before it is compressed.

    Parameters
    ----------
    warp : Warp
        The field.

    Returns
    -------
    bytes
        ``.nii``.
    """
    vectors = (warp.displacement * [-1.0, -1.0, 1.0]).astype(np.float32)
    image = nib.Nifti1Image(vectors[:, :, :, None, :], warp.grid.affine)
    image.set_sform(warp.grid.affine, code=1)
    image.set_qform(warp.grid.affine, code=1)
    image.header.set_intent("vector")
    image.header.set_xyzt_units("mm")
    out: bytes = image.to_bytes()
    return out


def write_x5(transform: Transform, path: str | Path) -> None:
    """Write an X5 file (needs nitransforms).

    Parameters
    ----------
    transform : Transform
        Matrices and displacement fields.
    path : path-like
        ``.x5`` file.

    Raises
    ------
    Refused
        When nitransforms is missing.
    """
    x5 = _library("nitransforms.io.x5")
    nodes = []
    for part in _parts(transform):
        if isinstance(part, Affine):
            nodes.append(
                x5.X5Transform(
                    type="linear",
                    subtype="affine",
                    transform=part.matrix,
                    dimension_kinds=("space", "space", "space", "vector"),
                )
            )
        elif isinstance(part, Warp):
            domain = x5.X5Domain(grid=True, size=part.grid.shape, mapping=part.grid.affine)
            nodes.append(
                x5.X5Transform(
                    type="nonlinear",
                    subtype="densefield",
                    representation="displacements",
                    transform=part.displacement,
                    dimension_kinds=("space", "space", "space", "vector"),
                    domain=domain,
                )
            )
    x5.to_filename(path, nodes)


def _parts(transform: Transform) -> tuple[Transform, ...]:
    return transform.parts if isinstance(transform, Chain) else (transform,)


def _to_lps(part: Affine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lps = _FLIP @ part.matrix @ _FLIP
    return lps[:3, :3], lps[:3, 3]


def _from_itk(kind: str, numbers: NDArray[Any], fixed: NDArray[Any]) -> Transform:
    numbers = np.asarray(numbers, dtype=np.float64).ravel()
    fixed = np.asarray(fixed, dtype=np.float64).ravel()
    name = kind.split("_")[0]
    if name == "DisplacementFieldTransform":
        return _field_from_itk(numbers, fixed)
    matrix, centre = np.eye(4), fixed[:3] if fixed.size >= 3 else np.zeros(3)
    if name in ("AffineTransform", "MatrixOffsetTransformBase") and numbers.size == 12:
        matrix[:3, :3], shift = numbers[:9].reshape(3, 3), numbers[9:]
    elif name == "Euler3DTransform" and numbers.size == 6:
        x, y, z = numbers[:3]
        about = [rotation(x, 0, 0), rotation(0, y, 0), rotation(0, 0, z)]
        zyx = fixed.size > 3 and fixed[3] != 0
        turn = about[2] @ about[1] @ about[0] if zyx else about[2] @ about[0] @ about[1]
        matrix[:3, :3], shift = turn, numbers[3:]
    elif name == "IdentityTransform":
        shift = np.zeros(3)
    else:
        raise UNREADABLE_TRANSFORM.refused(found=f"{kind} with {numbers.size} parameters")
    matrix[:3, 3] = shift + centre - matrix[:3, :3] @ centre
    ras = _FLIP @ matrix @ _FLIP
    ras[3] = [0.0, 0.0, 0.0, 1.0]
    return as_transform(ras)


def _read_itk_text(path: Path) -> Transform:
    parts: list[Transform] = []
    kind, numbers = "", np.zeros(0)
    for line in path.read_text().splitlines():
        key, _, rest = line.partition(":")
        if key == "Transform":
            kind = rest.strip()
        elif key == "Parameters":
            numbers = np.array(rest.split(), dtype=np.float64)
        elif key == "FixedParameters" and not kind.startswith("CompositeTransform"):
            parts.append(_from_itk(kind, numbers, np.array(rest.split(), dtype=np.float64)))
    if not parts:
        raise UNREADABLE_TRANSFORM.refused(file=path, found="no transform in the text")
    return compose(*parts) if len(parts) == 1 else Chain(tuple(parts))


def _read_itk_h5(path: Path) -> Transform:
    h5py = _library("h5py")
    parts: list[Transform] = []
    with h5py.File(str(path), "r") as file:
        root = file["TransformGroup"]
        for key in sorted(root, key=int):
            node = root[key]
            kind = node["TransformType"][()]
            word = kind[0] if isinstance(kind, np.ndarray) else kind
            text = word.decode() if isinstance(word, bytes) else str(word)
            if text.startswith("CompositeTransform"):
                continue
            # ITK before 5 wrote "Tranform" without its s.
            read = {k.replace("Tranform", "Transform"): np.asarray(v) for k, v in node.items()}
            parts.append(
                _from_itk(text, read["TransformParameters"], read["TransformFixedParameters"])
            )
    if not parts:
        raise UNREADABLE_TRANSFORM.refused(file=path, found="no transform in the file")
    return parts[0] if len(parts) == 1 else Chain(tuple(parts))


def _itk_node(h5py: Any, group: Any, kind: str, fixed: Any, numbers: Any) -> None:
    group.create_dataset("TransformType", data=np.array([kind], dtype=h5py.string_dtype("ascii")))
    if numbers is not None:
        group.create_dataset("TransformFixedParameters", data=np.asarray(fixed, dtype=np.float64))
        group.create_dataset("TransformParameters", data=np.asarray(numbers, dtype=np.float64))


def _field_numbers(warp: Warp) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lps = _FLIP @ warp.grid.affine
    size = np.array(warp.grid.voxel_size)
    direction = lps[:3, :3] / size
    fixed = np.concatenate([warp.grid.shape, lps[:3, 3], size, direction.ravel()])
    vectors = warp.displacement * [-1.0, -1.0, 1.0]
    # Vector component fastest, then x, y, z.
    return fixed, vectors.transpose(2, 1, 0, 3).ravel()


def _field_from_itk(numbers: NDArray[np.float64], fixed: NDArray[np.float64]) -> Warp:
    shape = tuple(int(n) for n in fixed[:3])
    affine = np.eye(4)
    affine[:3, :3] = fixed[9:18].reshape(3, 3) * fixed[6:9]
    affine[:3, 3] = fixed[3:6]
    vectors = numbers.reshape(*shape[::-1], 3).transpose(2, 1, 0, 3) * [-1.0, -1.0, 1.0]
    return Warp(vectors, Grid((shape[0], shape[1], shape[2]), _FLIP @ affine))


def _read_field(path: Path) -> Transform:
    image: Any = nib.load(path)
    vectors = np.asarray(image.dataobj, dtype=np.float64)
    if vectors.ndim != 5 or vectors.shape[3:] != (1, 3):
        raise UNREADABLE_TRANSFORM.refused(
            file=path, found=f"shape {vectors.shape}", expected="a field of shape (X, Y, Z, 1, 3)"
        )
    shape = (vectors.shape[0], vectors.shape[1], vectors.shape[2])
    return Warp(vectors[:, :, :, 0] * [-1.0, -1.0, 1.0], Grid(shape, image.affine))


def _read_x5(path: Path) -> Transform:
    parts: list[Transform] = []
    for node in _library("nitransforms.io.x5").from_filename(path):
        if node.type == "linear" and np.shape(node.transform) == (4, 4):
            parts.append(as_transform(node.transform))
        elif node.type == "nonlinear" and node.representation == "displacements":
            shape = tuple(int(n) for n in node.domain.size)
            grid = Grid((shape[0], shape[1], shape[2]), np.asarray(node.domain.mapping))
            parts.append(Warp(np.asarray(node.transform), grid))
        else:
            raise UNREADABLE_TRANSFORM.refused(file=path, found=f"{node.type} {node.subtype}")
    return parts[0] if len(parts) == 1 else Chain(tuple(parts))


def _read_lta(path: Path) -> Transform:
    # Parsed here: nitransforms 25.1 reads the matrix in single precision.
    lines = [ln.split("#")[0].strip() for ln in path.read_text().splitlines()]
    pairs = [ln.partition("=")[::2] for ln in lines]
    kind = next(int(v) for k, v in pairs if k.strip() == "type")
    top = lines.index("1 4 4") + 1
    matrix = np.array([[float(v) for v in ln.split()] for ln in lines[top : top + 4]])
    if kind == 0:  # voxel to voxel
        source, target = (
            _lta_geometry(pairs[lines.index(f"{word} volume info") + 1 :])
            for word in ("src", "dst")
        )
        matrix = target @ matrix @ np.linalg.inv(source)
    elif kind != 1:
        raise UNREADABLE_TRANSFORM.refused(
            file=path, field="type", found=kind, expected="0 (voxel to voxel) or 1 (RAS to RAS)"
        )
    # The file pushes points of the moving (src) image to the fixed (dst) one.
    pull = np.linalg.inv(matrix)
    pull[3] = [0.0, 0.0, 0.0, 1.0]
    return as_transform(pull)


def _lta_geometry(pairs: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    found: dict[str, NDArray[np.float64]] = {}
    for key, value in pairs:
        name = key.strip()
        if name in ("volume", "voxelsize", "xras", "yras", "zras", "cras") and name not in found:
            found[name] = np.array([float(v) for v in value.split()])
    out = np.eye(4)
    out[:3, :3] = np.stack([found["xras"], found["yras"], found["zras"]], 1) * found["voxelsize"]
    out[:3, 3] = found["cras"] - out[:3, :3] @ found["volume"] / 2
    return out


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as fault:
        raise LIBRARY_MISSING.refused(found=f"no {name.split('.')[0]}") from fault
