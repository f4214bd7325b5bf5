"""The words of the methods section, and the papers behind them."""

from __future__ import annotations

from collections.abc import Mapping

from ekbom.measures.pet.map_words import CITATIONS as MAP_CITATIONS
from ekbom.measures.pet.map_words import map_words
from ekbom.measures.pet.settings import COMPARTMENT, GRAPHICAL, REFERENCE, PETSettings

CITATIONS: Mapping[str, str] = {
    **MAP_CITATIONS,
    "nomenclature": (
        "Innis RB et al. (2007). Consensus nomenclature for in vivo imaging of reversibly binding"
        " radioligands. J Cereb Blood Flow Metab 27:1533-1539. doi:10.1038/sj.jcbfm.9600493"
    ),
    "logan": (
        "Logan J et al. (1990). Graphical analysis of reversible radioligand binding from"
        " time-activity measurements applied to [N-11C-methyl]-(-)-cocaine PET studies in human"
        " subjects. J Cereb Blood Flow Metab 10:740-747. doi:10.1038/jcbfm.1990.127"
    ),
    "ma1": (
        "Ichise M et al. (2002). Strategies to improve neuroreceptor parameter estimation by linear"
        " regression analysis. J Cereb Blood Flow Metab 22:1271-1281."
        " doi:10.1097/01.WCB.0000038000.34930.4E"
    ),
    "feng": (
        "Feng D, Huang SC, Wang X (1993). Models for computer simulation studies of input functions"
        " for tracer kinetic modeling with positron emission tomography. Int J Biomed Comput"
        " 32:95-110. doi:10.1016/0020-7101(93)90049-C"
    ),
    "srtm": (
        "Lammertsma AA, Hume SP (1996). Simplified reference tissue model for PET receptor studies."
        " NeuroImage 4:153-158. doi:10.1006/nimg.1996.0066"
    ),
    "srtm2": (
        "Wu Y, Carson RE (2002). Noise reduction in the simplified reference tissue model for"
        " neuroreceptor functional imaging. J Cereb Blood Flow Metab 22:1440-1452."
        " doi:10.1097/01.WCB.0000033967.83623.34"
    ),
    "frtm": (
        "Lammertsma AA et al. (1996). Comparison of methods for analysis of clinical"
        " [11C]raclopride studies. J Cereb Blood Flow Metab 16:42-52."
        " doi:10.1097/00004647-199601000-00005"
    ),
    "mrtm": (
        "Ichise M et al. (2003). Linearized reference tissue parametric imaging methods:"
        " application to [11C]DASB positron emission tomography studies of the serotonin"
        " transporter in human brain. J Cereb Blood Flow Metab 23:1096-1112."
        " doi:10.1097/01.WCB.0000085441.37552.CA"
    ),
    "logan-ref": (
        "Logan J et al. (1996). Distribution volume ratios without blood sampling from graphical"
        " analysis of PET data. J Cereb Blood Flow Metab 16:834-840."
        " doi:10.1097/00004647-199609000-00008"
    ),
    "patlak": (
        "Patlak CS, Blasberg RG, Fenstermacher JD (1983). Graphical evaluation of blood-to-brain"
        " transfer constants from multiple-time uptake data. J Cereb Blood Flow Metab 3:1-7."
        " doi:10.1038/jcbfm.1983.1"
    ),
    "varpro": (
        "Golub GH, Pereyra V (1973). The differentiation of pseudo-inverses and nonlinear least"
        " squares problems whose variables separate. SIAM J Numer Anal 10:413-432."
        " doi:10.1137/0710036"
    ),
    "parent": (
        "Tonietto M et al. (2016). Plasma radiometabolite correction in dynamic PET studies:"
        " Insights on the available modeling approaches. J Cereb Blood Flow Metab 36:326-339."
        " doi:10.1177/0271678X15610585"
    ),
    "petprep": (
        "PETPrep and bloodstream are BIDS Apps of the OpenNeuroPET project;"
        " Norgaard M et al. (2022). PET-BIDS, an extension to the brain imaging data structure for"
        " positron emission tomography. Sci Data 9:65. doi:10.1038/s41597-022-01164-1"
    ),
}

_MODELS = {
    "1tcm": "the one-tissue compartment model",
    "2tcm": "the two-tissue compartment model",
    "logan": "Logan graphical analysis",
    "2tcm-irreversible": "the two-tissue compartment model with irreversible binding",
    "ma1": "multilinear analysis MA1",
    "patlak": "Patlak graphical analysis (Patlak et al. 1983)",
    "spectral": "spectral analysis (Cunningham and Jones 1993)",
    "suv": "the standardised uptake value (SUV)",
    "srtm": "the simplified reference tissue model (Lammertsma and Hume 1996)",
    "srtm2": "the simplified reference tissue model with one k2' (SRTM2; Wu and Carson 2002)",
    "frtm": "the full reference tissue model (Lammertsma et al. 1996)",
    "mrtm1": "the multilinear reference tissue model MRTM1 (Ichise et al. 2003)",
    "mrtm2": "the multilinear reference tissue model MRTM2 (Ichise et al. 2003)",
    "logan-ref": "Logan graphical analysis with reference region (Logan et al. 1996)",
    "suvr": "the ratio of uptake to the reference region (SUVR)",
}
_CURVES = {
    "interpolate": "straight lines between the samples, from zero at injection",
    "triexp": "a linear rise followed by three exponentials",
    "feng": "Feng's form (Feng et al. 1993)",
    "feng_infusion": "Feng's form (Feng et al. 1993) convolved with an infusion",
    "auto": (
        "the parametric curve of lowest AICc (a linear rise followed by three exponentials, or"
        " Feng's form, with or without an infusion; Feng et al. 1993)"
    ),
}


# Models whose main outcome is V_T, and K_i.
_VOLUMES = ("1tcm", "2tcm", "logan", "ma1", "spectral")
_INFLUX = ("2tcm-irreversible", "patlak")


def methods(settings: PETSettings) -> str:
    """Return the methods paragraph for these settings.

    Parameters
    ----------
    settings : PETSettings

    Returns
    -------
    str
        Plain sentences.
    """
    tracer = f" of {settings.tracer}" if settings.tracer else ""
    said = [
        f"Regional time-activity curves{tracer} were analysed with"
        f" {_join([_MODELS[m] for m in settings.model])};" + _outcome_words(settings)
    ]
    if settings.needs_blood:
        said.append(_input_words(settings))
    said += _reference_words(settings)
    if any(m in GRAPHICAL for m in settings.model):
        names = _join([_MODELS[m] for m in settings.model if m in GRAPHICAL])
        start = (
            "from t* chosen as the earliest frame after which every residual stays within 10 %"
            " of the fit (median over regions)"
            if settings.tstar == "auto"
            else f"from t* = {settings.tstar:g} min"
        )
        blood = (
            f"after subtracting whole blood with a blood volume of {settings.vB:g}"
            if settings.vB
            else "without a blood volume term"
        )
        said.append(f"For {names}, frames {start} were used, {blood}.")
    if any(m in COMPARTMENT for m in settings.model):
        volume = settings.compartment.vB
        said.append(
            "Compartment models were fitted by weighted non-linear least squares with the linear"
            " parameters eliminated (Golub and Pereyra 1973), blood volume "
            + ("as a free parameter." if volume == "free" else f"fixed at {volume:g}.")
        )
    if "spectral" in settings.model:
        said.append(_spectral_words(settings))
    if "suv" in (*settings.model, *settings.maps.model) and settings.window is not None:
        low, high = settings.window
        said.append(
            f"SUV was the mean from {low:g} to {high:g} min over injected activity per body weight."
        )
    weights = {
        "poisson": "by the inverse of the expected Poisson variance of a large region",
        "duration": "by their duration",
        "uniform": "equally",
    }[settings.weights]
    mean = (
        "decay-weighted means of the model over each frame"
        if settings.frame_mean == "decay-weighted"
        else "plain means of the model over each frame"
    )
    if any(m not in ("suv", "suvr") for m in settings.model):
        said.append(f"Frames were weighted {weights} and compared with {mean}.")
    if settings.needs_blood:
        said.append(
            "The delay between sampling site and tissue was fitted on the mean curve of the"
            " brain and held for all regions."
            if settings.delay == "fit"
            else f"The delay between sampling site and tissue was taken as {settings.delay:g} s."
        )
    joined = sum(len(regions) for regions in settings.regions.values())
    if joined:
        said.append(f"{joined} regions were joined from others as volume-weighted means.")
    if any(m not in ("suv", "suvr", "spectral") for m in settings.model):
        said.append(
            "Standard errors follow from the residuals and the model's derivatives; those of the"
            " graphical methods are regression errors, which are too small because both axes share"
            " the noise."
            if any(m in GRAPHICAL for m in settings.model)
            else "Standard errors follow from the residuals and the model's derivatives."
        )
    maps = map_words(settings)
    if maps:
        said.append(maps)
    return " ".join(said)


def _outcome_words(settings: PETSettings) -> str:
    named = []
    if any(m in _VOLUMES for m in settings.model):
        named.append("V_T is the total volume of distribution")
    if any(m in _INFLUX for m in settings.model):
        named.append("K_i is the net rate of influx")
    if not named:
        return " nomenclature follows Innis et al. (2007)."
    return f" {' and '.join(named)} (Innis et al. 2007)."


def _spectral_words(settings: PETSettings) -> str:
    basis = settings.spectral
    slowest = "1 / end of the scan" if basis.beta_min is None else f"{basis.beta_min:g}/min"
    volume = "free" if basis.vB == "free" else f"fixed at {basis.vB:g}"
    return (
        f"Spectral analysis used {basis.nodes} rates from {slowest} to {basis.beta_max:g}/min,"
        f" evenly spaced in their logarithm, and a blood volume that was {volume}; its standard"
        f" errors are those of {basis.draws} draws of a residual bootstrap."
    )


def _reference_words(settings: PETSettings) -> list[str]:
    models = [m for m in settings.model if m in REFERENCE]
    if not models:
        return []
    said = [
        f"The reference region was {settings.reference}; its curve was the smoothest"
        " piecewise-linear one with the measured frame means."
    ]
    fixed = [m for m in models if m in ("srtm2", "mrtm2", "logan-ref")]
    if fixed:
        named = _join([m.upper() if m != "logan-ref" else "the Logan plot" for m in fixed])
        said.append(
            f"For {named}, k2' was the precision-weighted median over regions with BP_ND above 0.5."
            if settings.k2prime == "auto"
            else f"For {named}, k2' was {settings.k2prime:g}/min."
        )
    lines = [m for m in models if m in ("mrtm1", "mrtm2", "logan-ref")]
    if lines:
        start = (
            "t* chosen by the residuals" if settings.tstar == "auto" else f"{settings.tstar:g} min"
        )
        said.append(f"Multilinear reference models used frames from {start} on.")
    if "suvr" in models and settings.window is not None:
        low, high = settings.window
        said.append(f"SUVR was taken over {low:g} to {high:g} min.")
    return said


def _input_words(settings: PETSettings) -> str:
    if settings.blood == "bloodstream":
        return "The input function was that of the bloodstream derivative."
    curve = _CURVES[settings.input]
    if settings.parent == "none":
        return f"The input function was total arterial plasma, made of {curve}."
    parent = {
        "interpolate": "interpolated linearly",
        "auto": "fitted by the parametric form of lowest AICc (forms: Tonietto et al. 2016)",
    }.get(settings.parent, f"fitted by the {settings.parent} form (Tonietto et al. 2016)")
    return (
        "The input function was arterial plasma times the parent fraction,"
        f" {parent}, at the plasma samples, and {curve}."
    )


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
