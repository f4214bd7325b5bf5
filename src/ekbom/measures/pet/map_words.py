"""The words of the methods section that speak of maps."""

from __future__ import annotations

from collections.abc import Mapping

from ekbom.measures.pet.settings import PETSettings
from ekbom.space.template import CITATION

CITATIONS: Mapping[str, str] = {
    "spectral": (
        "Cunningham VJ, Jones T (1993). Spectral analysis of dynamic PET studies. J Cereb Blood"
        " Flow Metab 13:15-23. doi:10.1038/jcbfm.1993.5"
    ),
    "gunn": (
        "Gunn RN et al. (1997). Parametric imaging of ligand-receptor binding in PET using a"
        " simplified reference region model. NeuroImage 6:279-287. doi:10.1006/nimg.1997.0303"
    ),
    "nnls": (
        "Bro R, de Jong S (1997). A fast non-negativity-constrained least squares algorithm."
        " J Chemometrics 11:393-401."
    ),
    "template": CITATION,
}

_MODELS = {
    "logan": "Logan graphical analysis",
    "ma1": "multilinear analysis MA1",
    "spectral": "spectral analysis (Cunningham and Jones 1993)",
    "1tcm": "the one-tissue compartment model",
    "2tcm": "the two-tissue compartment model",
    "srtm": "the simplified reference tissue model with basis functions (Gunn et al. 1997)",
    "srtm2": "SRTM2 (Wu and Carson 2002)",
    "mrtm2": "the multilinear reference tissue model MRTM2 (Ichise et al. 2003)",
    "logan-ref": "Logan graphical analysis with reference region (Logan et al. 1996)",
    "suvr": "the ratio of uptake to the reference region (SUVR)",
    "suv": "the standardised uptake value (SUV)",
}


def map_words(settings: PETSettings) -> str:
    """Return the sentences on maps.

    Parameters
    ----------
    settings : PETSettings
        Of the plan.

    Returns
    -------
    str
        Empty when no map is made.
    """
    maps, space = settings.maps, settings.space
    if not maps.model:
        return ""
    named = [_MODELS[model] for model in maps.model]
    models = named[0] if len(named) == 1 else ", ".join(named[:-1]) + " and " + named[-1]
    said = f"Parametric maps were made voxel by voxel inside the brain mask with {models}"
    if maps.frame_fwhm:
        said += f", after smoothing every frame by {maps.frame_fwhm:g} mm (FWHM)"
    said += ", with the weights, delay and t* of the regional fits."
    if "spectral" in maps.model:
        spectral = maps.spectral
        slowest = (
            "1 over the end of the scan"
            if spectral.beta_min is None
            else f"{spectral.beta_min:g}/min"
        )
        volume = "a free" if spectral.vB == "free" else f"a fixed ({spectral.vB:g})"
        said += (
            f" Its {spectral.nodes} rates lay between {slowest} and {spectral.beta_max:g}/min, with"
            f" {volume} blood volume; coefficients were found by weighted non-negative least"
            " squares (Bro and de Jong 1997)."
        )
    if space.fwhm:
        said += (
            f" Maps were smoothed with a Gaussian of {space.fwhm:g} mm (FWHM) inside the mask,"
            " leaving out values below zero or more than 20 median absolute deviations above the"
            " median."
        )
    if space.resolution:
        said += f" They were brought to {space.resolution:g} mm by one linear interpolation."
    return said
