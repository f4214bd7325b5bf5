"""What an image must not be, and the words in which it is refused.

Every message is a constant, so that tests and documents quote the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused


@dataclass(frozen=True)
class Message:
    """The fixed words of one refusal; what was found is filled in."""

    what: str
    expected: str | None = None
    mend: str | None = None
    field: str | None = None

    def refused(
        self,
        *,
        file: str | Path | object | None = None,
        found: object = None,
        field: str | None = None,
        expected: str | None = None,
    ) -> Refused:
        """Return the refusal to raise.

        Parameters
        ----------
        file : path or str, optional
            The image at fault.
        found : object, optional
            What was there.
        field, expected : str, optional
            Replace the fixed words.

        Returns
        -------
        Refused
            With the words of this message.
        """
        return Refused(
            self.what,
            file=None if file is None else str(file),
            field=field or self.field,
            found=found,
            expected=expected or self.expected,
            mend=self.mend,
        )


NOT_3D_SHAPE = Message("A grid needs three axes of at least one voxel.", field="dim")
BAD_AFFINE = Message(
    "The affine of the image is not a placement of voxels in space.",
    expected="a finite, invertible 4 x 4 matrix with last row 0 0 0 1",
    mend="Write the image again with a sound sform or qform.",
    field="sform/qform",
)
NO_ORIENTATION = Message(
    "sform_code and qform_code are both 0, so left and right are unknown.",
    expected="a scanner or template code (1-4)",
    mend="Set it with the converter that made the file; or, when you know that the header is "
    "right, say assume_affine = true in [space] of the plan, or --assume-affine header.",
    field="sform_code, qform_code",
)
FORMS_DIFFER = Message(
    "qform and sform place the image at different positions.",
    expected="less than 0.1 mm at the corners",
    mend="Find out which of the two is right and write it to both; or choose with "
    "trust = 'sform' (or 'qform') in [space] of the plan, or --trust sform|qform.",
    field="qform, sform",
)
NOT_3D = Message(
    "The image is 4-D where one 3-D volume is expected.",
    expected="one 3-D volume (a trailing axis of 1 is accepted)",
    mend="Give the file of one map, or choose with --volume k; a dynamic scan goes to "
    "`ekbom space motion` or to the plan.",
    field="dim",
)
NOT_4D = Message(
    "The image is 3-D where a dynamic scan is expected.",
    mend="Give the 4-D image to which the frame times belong.",
    field="dim",
)
FRAMES_DIFFER = Message(
    "The image and its frame times disagree in the number of frames.",
    mend="Give the JSON that belongs to this image (FrameTimesStart, FrameDuration).",
    field="FrameDuration",
)
EMPTY_MASK = Message(
    "The mask has fewer than two voxels above 0 here.",
    expected="a mask that covers the brain on the grid of the image",
    mend="Give a mask that lies inside the field of view.",
)
EMPTY_MAP = Message(
    "The image holds no information: all its values inside the mask are missing or the same.",
    expected="finite values that vary",
    mend="Look at the image and at how it was converted.",
)
GRIDS_DIFFER = Message(
    "Two images do not lie on the same grid.",
    expected="the same shape, and corners no further apart than 1e-4 mm",
    mend="Resample one of them onto the grid of the other; nothing is resampled in silence.",
)
VOXEL_SIZE = Message(
    "The voxel size is not one of a head image in millimetres.",
    expected="0.3 to 12 mm, xyzt_units mm",
    mend="Write the header in millimetres.",
    field="pixdim, xyzt_units",
)
BAD_SCALE = Message(
    "The scale factor of the image is not usable.",
    expected="a finite scl_slope and scl_inter (slope other than 0 when the header sets one)",
    mend="Convert the image again; its values cannot be recovered from this header.",
    field="scl_slope, scl_inter",
)
TOO_LARGE = Message(
    "The image holds values above 1e9 in absolute size.",
    expected="values in the declared unit",
    mend="Check unit and scale factor; an integer overflow looks like this.",
)
NAN_INSIDE = Message(
    "More than 1 % of the voxels inside the mask are not finite.",
    expected="at most 1 % missing",
    mend="Give a mask inside the field of view, or mend the image.",
)
FIELD_OF_VIEW = Message(
    "The image covers too little of the brain mask.",
    expected="activity in at least 70 % of the mask",
    mend="Give the brain mask of this scan, or leave the scan out.",
)
UNREADABLE = Message(
    "The image cannot be read.",
    expected="a complete NIfTI file (.nii or .nii.gz)",
    mend="Copy or convert the file again; it may be cut short.",
)
NOT_INTEGER_LABELS = Message(
    "The label image holds values that are not whole numbers.",
    expected="labels as integers, 0 for no region",
    mend="Give the dseg, not a probability map or an interpolated label image.",
)
LABEL_TWICE = Message(
    "A label is listed more than once.",
    expected="every index once",
    mend="Remove the double rows from the table.",
    field="index",
)
LABEL_NAME_TWICE = Message(
    "A region name is listed more than once.",
    expected="every name once",
    mend="Give left and right (or parts) names of their own.",
    field="name",
)
LABEL_TABLE = Message(
    "The table of labels does not have the columns of a dseg.tsv.",
    expected="columns index (integer) and name",
    mend="Write the table as BIDS asks: tab-separated, with a header line.",
    field="index, name",
)
LABEL_TABLE_MISSING = Message(
    "The label image has no table of names beside it.",
    expected="a file of the same name that ends in _dseg.tsv",
    mend="Write index and name of every region to that file.",
)
UNKNOWN_REGION = Message("The label image has no region of that name with any voxel.")
TEMPLATE_MISSING = Message(
    "The template image is not in the installed nilearn.",
    expected="the ICBM 2009a maps of nilearn 0.11 or newer",
    mend="pip install --force-reinstall nilearn",
)
TEMPLATE_RESOLUTION = Message(
    "The template cannot be had at that resolution.",
    expected="1 to 12 mm",
    mend="Choose a resolution of 1, 1.5, 2, 3 or 4 mm.",
    field="resolution",
)

WRONG_ORIENTATION = Message(
    "After the affine step the brain lies turned against the template.",
    expected="at most 45 degrees",
    mend="Axes were probably swapped, or the header is wrong: look at the image.",
)
BRAIN_CUT = Message(
    "The field of view holds too little of the brain.",
    expected="at least 70 % of the template's brain",
    mend="Give an image that covers the brain, or leave the subject out.",
)
BRAIN_CUT_NOTE = "the field of view holds {share:.0f} % of the template's brain"
SIDES_DIFFER = Message(
    "Two images of one subject disagree in left and right: the mirrored image fits better.",
    expected="the same side on the same side",
    mend="Find out which converter swapped the sides, and convert that image again.",
)
BACKEND_MISSING = Message(
    "The registration backend is not installed.",
    mend="Install what is expected, or leave the backend out to use our own.",
    field="backend",
)
BACKEND_FAILED = Message(
    "The registration program failed.",
    mend="Try our own backend (numba), and look at both images.",
    field="backend",
)
NOT_A_MAXIMUM = Message(
    "The match does not see misregistration: it does not fall in all 12 directions, "
    "4 mm along and 4 degrees about each axis.",
    expected="a match that falls in all 12 directions",
    mend="Look at both images; try another start (header, com or a transform file) or backend.",
)
NO_WAY = Message(
    "There is no way from this image to the template.",
    expected="a T1-weighted image of the person, transforms in a derivative, or pet_template",
    mend="Add one of them, or say normalise = 'never' in [space] and ask over regions only.",
    field="space.normalise",
)

#: Notes: the run goes on and the words go to the sidecar.
QFORM_MISSING_NOTE = "qform_code 0, sform_code {sform}: the sform is used"
BELOW_VOXEL_NOTE = (
    "FWHM {fwhm:g} mm is below the voxel size {voxel:g} mm: next to nothing is smoothed"
)
BAD_MATRIX = Message(
    "The matrix is not an affine transform.",
    expected="a finite, invertible 4 x 4 matrix with last row 0 0 0 1",
)
NOT_RIGID = Message(
    "The matrix is not a rotation with a shift.",
    expected="an orthonormal 3 x 3 part with determinant 1, to 1e-6",
    mend="Read it as an affine transform.",
)
BAD_FIELD = Message(
    "The displacement field does not belong to its grid.",
    expected="finite millimetres, (X, Y, Z, 3) on the grid",
)
FOLDED = Message(
    "The displacement field folds, so it has no inverse.",
    expected="Jacobian determinants above 0",
    mend="Register again with more smoothing of the field.",
)
NOT_INVERTED = Message(
    "The displacement field could not be inverted.",
    expected="a round trip of at most 0.05 mm",
    mend="Register again with more smoothing of the field.",
)
FORMS_DIFFER_NOTE = "qform and sform differ by {apart:.3g} mm at a corner: the {which} was trusted"
ASSUMED_NOTE = "sform_code and qform_code 0: the affine of the header was believed"
UNDECIDED_NOTE = (
    "whether left and right agree is undecided: the image and its mirror fit equally well "
    "(NMI {here:.4f} and {there:.4f})"
)
COVERAGE_NOTE = "{share:.0f} % of the brain of the template lies in the field of view"
COVERAGE_SETS_NOTE = "; missing in part: {names}"
SPACE_MISMATCH_NOTE = (
    "space_mismatch: {what} is in the space {theirs}, the maps are in {mine}; they differ by "
    "1 to 2 mm at places"
)
FIELD_OF_VIEW_NOTE = (
    "{share:.0f} % of the brain mask holds no activity: the field of view may be cut"
)
MISSING_ROWS_NOTE = "labels without a row in the table, left out: {labels}"
EMPTY_LABELS_NOTE = "rows of the table without any voxel, left out: {names}"


def require_mask(mask: NDArray[np.bool_], *, file: object = None, found: str | None = None) -> None:
    """Refuse a mask without at least two voxels.

    Parameters
    ----------
    mask : (X, Y, Z) array of bool
        Inside is true.
    file : path or str, optional
        Where it came from.
    found : str, optional
        Grid of mask and image, for the message.

    Raises
    ------
    Refused
        When fewer than two voxels are inside.
    """
    inside = int(np.count_nonzero(mask))
    if inside < 2:
        raise EMPTY_MASK.refused(
            file=file, found=f"{inside} voxels" + (f"; {found}" if found else "")
        )


def require_values(values: NDArray[np.floating], *, file: object = None) -> None:
    """Refuse values inside a mask that are missing, constant or absurd.

    Parameters
    ----------
    values : (V,) array
        Values inside the mask.
    file : path or str, optional
        Where they came from.

    Raises
    ------
    Refused
        When all values are missing or equal, more than 1 % are not finite, or
        one is above 1e9 in absolute size.
    """
    finite = np.isfinite(values)
    sound = values[finite]
    if sound.size == 0 or bool(np.all(sound == sound.flat[0])):
        word = "no finite value" if sound.size == 0 else f"{sound.flat[0]:g} everywhere"
        raise EMPTY_MAP.refused(file=file, found=word)
    if float(np.max(np.abs(sound))) > 1e9:
        raise TOO_LARGE.refused(file=file, found=f"largest {np.max(np.abs(sound)):.3g}")
    share = 1.0 - sound.size / values.size
    if share > 0.01:
        raise NAN_INSIDE.refused(file=file, found=f"{100 * share:.1f} %")
