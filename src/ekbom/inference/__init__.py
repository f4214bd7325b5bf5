"""Designs by name, linear models, permutation, effect sizes, reliability.

Arrays and tables come in, tables, maps and words go out; no files, no printing.
Regions and voxels go through the same code.
"""

from ekbom.inference.answer import Answer, describe
from ekbom.inference.design import Design, build_design
from ekbom.inference.effects import effect_sizes
from ekbom.inference.formula import formula_names
from ekbom.inference.glm import fit
from ekbom.inference.influence import influence
from ekbom.inference.lattice import lattice
from ekbom.inference.longitudinal import mmrm, repeated
from ekbom.inference.named import Effect, effect, effect_names
from ekbom.inference.permute.engine import permute
from ekbom.inference.regions import answer_regions
from ekbom.inference.reliability import reliability
from ekbom.inference.retest import answer_reliability
from ekbom.inference.settings import Settings
from ekbom.inference.strata import model
from ekbom.inference.tfce import tfce
from ekbom.inference.voxels import answer_voxels

__all__ = [
    "Answer",
    "Design",
    "Effect",
    "Settings",
    "answer_regions",
    "answer_reliability",
    "answer_voxels",
    "build_design",
    "describe",
    "effect",
    "effect_names",
    "effect_sizes",
    "fit",
    "formula_names",
    "influence",
    "lattice",
    "mmrm",
    "model",
    "permute",
    "reliability",
    "repeated",
    "tfce",
]
