"""Where a voxel is: grids, template, label images, smoothing, resampling.

World coordinates are RAS+ in millimetres; voxel (0, 0, 0) is a centre, not a
corner; arrays are never flipped to look right: orientation lives in the
affine. Files are read in :mod:`ekbom.space.io` only.
"""

from ekbom.space.grid import Grid
from ekbom.space.image import Series, Volume
from ekbom.space.labels import LabelImage
from ekbom.space.resample import resample, resample_labels
from ekbom.space.smooth import smooth
from ekbom.space.template import Template, template

__all__ = [
    "Grid",
    "LabelImage",
    "Series",
    "Template",
    "Volume",
    "resample",
    "resample_labels",
    "smooth",
    "template",
]
