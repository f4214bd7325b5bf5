"""What the columns of the tables mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ekbom.nouns import Column

WHO = {
    "participant_id": Column("Participant"),
    "session_id": Column("Session, n/a without one"),
}


def effect_columns(
    unit: str, effect_unit: str, percent: int, names: Mapping[str, str]
) -> dict[str, Column]:
    """Return the meanings of the columns of a region or peak table.

    Parameters
    ----------
    unit, effect_unit : str
        Of the outcome and of the effect.
    percent : int
        Coverage of the intervals in per cent.
    names : mapping
        ``effect``, ``a``, ``b``: the effect in words and the names of its two levels.
    """
    ci = f"limit of the {percent} % confidence interval"
    a, b = names.get("a", "first level"), names.get("b", "second level")
    return {
        "region": Column("Region, with its segmentation"),
        "n": Column("Participants"),
        "n_a": Column(f"Participants with {a}"),
        "n_b": Column(f"Participants with {b}"),
        "mean": Column("Mean of the outcome over the rows of the model", unit),
        "mean_a": Column(f"Mean of {a}, not adjusted", unit),
        "sd_a": Column(f"Standard deviation of {a}", unit),
        "mean_b": Column(f"Mean of {b}, not adjusted", unit),
        "sd_b": Column(f"Standard deviation of {b}", unit),
        "effect": Column(f"Estimate: {names['effect']}", effect_unit),
        "unit": Column("Unit of the effect"),
        "se": Column("Standard error of the effect", effect_unit),
        "ci_low": Column(f"Lower {ci} of the effect", effect_unit),
        "ci_high": Column(f"Upper {ci} of the effect", effect_unit),
        "t": Column("t statistic"),
        "F": Column("F statistic"),
        "df1": Column("Numerator degrees of freedom"),
        "df": Column("Residual degrees of freedom"),
        "z": Column("Normal deviate with the same tail probability as the statistic"),
        "p": Column("p of the t or F distribution, uncorrected"),
        "p_holm": Column("p corrected over the regions of this table by Holm"),
        "p_bonf": Column("p corrected by Bonferroni"),
        "p_fdr": Column("p adjusted for the false discovery rate by Benjamini and Hochberg"),
        "p_perm": Column("p by permutation, uncorrected"),
        "p_maxT": Column("p by permutation of the largest statistic, corrected over the family"),
        "p_exact": Column("p of the exact rank test (rank sum, signed rank, rho), uncorrected"),
        "p_exact_holm": Column("The same corrected over the regions of this table by Holm"),
        "shift": Column("Hodges-Lehmann estimate of the effect", unit),
        "shift_low": Column(f"Lower limit of it by the exact test, at least {percent} %", unit),
        "shift_high": Column(f"Upper limit of it by the exact test, at least {percent} %", unit),
        "p_tail": Column("The same p from a generalised Pareto tail of the drawn maxima"),
        "p_tail_low": Column(f"Lower limit of it ({percent} %, bootstrap over draws)"),
        "p_tail_high": Column(f"Upper limit of it ({percent} %, bootstrap over draws)"),
        "percent": Column(f"Effect as a percentage of the mean of {b}", "%"),
        "percent_low": Column(f"Lower {ci} of the percentage (Fieller)", "%"),
        "percent_high": Column(f"Upper {ci} of the percentage (Fieller)", "%"),
        "g": Column(f"Hedges g: {names.get('g', 'standardised difference')}"),
        "g_low": Column(f"Lower {ci} of the population value of g (noncentral t)"),
        "g_high": Column(f"Upper {ci} of the population value of g (noncentral t)"),
        "r": Column("Partial correlation, with the sign of the effect"),
        "r_low": Column(f"Lower {ci} of r"),
        "r_high": Column(f"Upper {ci} of r"),
        "partial_r2": Column("Share of the variance left by the other terms"),
        "partial_r2_low": Column(f"Lower {ci} of that share (noncentral F)"),
        "partial_r2_high": Column(f"Upper {ci} of that share (noncentral F)"),
        "loo_stat": Column("Statistic nearest to none when one participant is left out"),
        "loo_p": Column("Its uncorrected p"),
        "loo_subject": Column("The participant left out then"),
        "note": Column("Why a region was not tested, else n/a"),
    }


def peak_columns(
    unit: str, effect_unit: str, percent: int, names: Mapping[str, str]
) -> dict[str, Column]:
    """Return the meanings of the columns of a peak table (see :func:`effect_columns`)."""
    return {
        **effect_columns(unit, effect_unit, percent, names),
        "cluster": Column("Cluster above the forming threshold; 0: in none"),
        "peak": Column("Number of the peak in its cluster"),
        "sign": Column("Sign of the statistic in the cluster"),
        "x": Column("Position of the peak, to the right", "mm"),
        "y": Column("Position of the peak, forward", "mm"),
        "z": Column("Position of the peak, upward", "mm"),
        "label": Column("Region at the peak, n/a without labels"),
        "k_vox": Column("Voxels of the cluster"),
        "k_mm3": Column("Volume of the cluster", "mm3"),
        "T": Column("t statistic"),
        "Z": Column("Normal deviate with the same tail probability as the statistic"),
        "p_unc": Column("p of the t or F distribution, uncorrected"),
        "p_bonf": Column("p corrected over the voxels by Bonferroni"),
        "p_fdr": Column("p adjusted for the false discovery rate over voxels"),
        "selected": Column("The peak was chosen by its size: its effect is biased upward"),
        "k_resels": Column("Extent of the cluster by the global width", "resel"),
        "k_rpv": Column("Extent of the cluster by the local width: sum of resels a voxel", "resel"),
        "p_rft_peak": Column("p of the peak, corrected: the less of random field and Bonferroni"),
        "rule": Column("Which of the two it was", levels={"RF": "random field", "Bonferroni": ""}),
        "p_rft_cluster": Column("p of the cluster's extent in local resels, random field"),
        "p_rft_cluster_fwhm": Column("The same in resels of the global width (as SPM lists it)"),
        "p_fdr_peak": Column("p of the peak's height adjusted for the false discovery rate"),
        "p_fdr_cluster": Column("p of the cluster's extent adjusted for the false discovery rate"),
        "p_tfce": Column("p of TFCE by its permuted maximum, corrected over the mask"),
        "p_extent": Column("p of the cluster's extent by its permuted maximum"),
        "p_mass": Column("p of the cluster's mass by its permuted maximum"),
        "connectivity": Column("Neighbours that join voxels"),
        "E": Column("Exponent of extent in TFCE"),
        "H": Column("Exponent of height in TFCE"),
        "enhanced_on": Column("Statistic that was enhanced and thresholded in permutations"),
    }


def cluster_columns() -> dict[str, Column]:
    """Return the meanings of the columns of a cluster table."""
    peak = peak_columns("", "", 95, {"effect": ""})
    keep = (
        "cluster", "sign", "k_vox", "k_mm3", "k_resels", "k_rpv", "p_rft_cluster",
        "p_rft_cluster_fwhm", "p_fdr_cluster", "p_tfce", "p_extent", "p_mass",
    )  # fmt: skip
    return {
        **{key: peak[key] for key in keep},
        "x": Column("Voxel of the cluster nearest to its weighted centre, to the right", "mm"),
        "y": Column("The same, forward", "mm"),
        "z": Column("The same, upward", "mm"),
        "label": Column("Region there, n/a without labels"),
        "peak_label": Column("Region at the highest peak"),
        "top": Column("Statistic of the highest peak"),
        "mass": Column("Mass of the cluster: sum of the statistic (less the threshold)"),
        "p_cluster_unc": Column("Uncorrected p of its extent in local resels, random field"),
    }


def volume_columns(peak: Mapping[str, Column]) -> dict[str, Column]:
    """Return the meanings of the columns of a table of declared volumes."""
    out = {
        **peak,
        "volume": Column("Search volume, declared in the plan"),
        "shape": Column("Its shape"),
        "k_vox": Column("Voxels of the mask in it"),
        "k_mm3": Column("Their volume", "mm3"),
        "resels": Column("Three-dimensional resels of the volume", "resel"),
        "threshold": Column("Statistic at which the random-field or Bonferroni p is alpha"),
        "threshold_maxT": Column("Statistic at which the permuted p is alpha"),
        "p_svc": Column("p of its highest voxel: the less of random field and Bonferroni in it"),
        "p_maxT_svc": Column("p of its highest voxel by the permuted maximum in it"),
        "p_tfce_svc": Column("p of its highest TFCE by the permuted maximum in it"),
        "post_hoc": Column("The volume was declared after the data had been seen"),
    }
    for name in ("p_svc", "p_maxT_svc", "p_tfce_svc"):
        out[f"{name}_holm"] = Column(f"{name} corrected over the declared volumes by Holm")
    return out


def influence_columns(unit: str, statistic: str) -> dict[str, Column]:
    """Return the meanings of the columns of an influence table."""
    return {
        "region": Column("Region, with its segmentation, or peak (cluster.peak)"),
        "participant_id": Column("Participant left out"),
        "effect_without": Column("Estimate without the participant", unit),
        "stat_without": Column(f"{statistic} without the participant"),
        "df_without": Column("Degrees of freedom without the participant"),
        "p_without": Column("Uncorrected p without the participant"),
        "dfbetas": Column("Change of the effect by the participant, in standard errors"),
        "cook": Column("Cook's distance of the participant over all coefficients"),
    }


def reliability_columns(unit: str, percent: int, first: str, second: str) -> dict[str, Column]:
    """Return the meanings of the columns of a reliability table."""
    ci = f"limit of the {percent} % confidence interval"
    out = {
        "region": Column("Region, with its segmentation"),
        "n": Column("Participants with every session"),
        "k": Column("Sessions"),
        "mean": Column("Mean of all", unit),
        "unit": Column("Unit of the outcome"),
        "trt": Column("Test-retest variability: mean of |a - b| / ((a + b) / 2)", "%"),
        "icc31": Column("ICC(3,1): two-way, consistency, single measure"),
        "icc11": Column("ICC(1,1): one-way, single measure"),
        "bias": Column(f"Mean of {second} less {first}", unit),
        "loa_low": Column("Lower 95 % limit of agreement (Bland-Altman)", unit),
        "loa_high": Column("Upper 95 % limit of agreement (Bland-Altman)", unit),
        "sd_within": Column("Standard deviation within persons", unit),
        "sd_between": Column("Standard deviation between persons, error taken off", unit),
        "cv_within": Column("Standard deviation within persons as a percentage of the mean", "%"),
        "ms_rows": Column("Mean square of persons", f"({unit})^2"),
        "ms_columns": Column("Mean square of sessions", f"({unit})^2"),
        "ms_error": Column("Mean square of what is left", f"({unit})^2"),
        "ms_within": Column("Mean square within persons", f"({unit})^2"),
        "note": Column("Why a region has no or fewer numbers, else n/a"),
    }
    how = {
        "trt": "bootstrap over persons, percentile",
        "icc31": "McGraw and Wong",
        "icc11": "McGraw and Wong",
        "sd_within": "chi-square",
    }
    for name in ("trt", "icc31", "icc11", "bias", "loa_low", "loa_high", "sd_within"):
        word = f" ({how[name]})" if name in how else ""
        of = out[name]
        out[f"{name}_low"] = Column(f"Lower {ci} of {name}{word}", of.unit)
        out[f"{name}_high"] = Column(f"Upper {ci} of {name}{word}", of.unit)
    return out


def chosen(columns: Mapping[str, Column], names: Iterable[str]) -> dict[str, Column]:
    """Return the meanings of the columns that a table has, in its order."""
    return {name: columns[name] for name in names}
