"""Names of everything a run leaves: one table, and slugs.

BIDS labels may hold letters and digits only, so the text of a question or an
effect is turned into a slug; the full text stands in the sidecar.
"""

from __future__ import annotations

import re
import unicodedata

from ekbom.nouns import Unit

#: What is left in the output folder: kind to name. ``{...}`` is filled in.
NAMES: dict[str, str] = {
    "description": "dataset_description.json",
    "bidsignore": ".bidsignore",
    "plan": "plan.toml",
    "resolved_plan": "plan.json",
    "measures": "measures.tsv",
    "notes": "notes.tsv",
    "refused": "refused.tsv",
    "product": "{folder}/{measure}/{label}_{name}{extension}",
    "figure": "{folder}/figures/{label}_{name}{extension}",
    "question": "group/question-{slug}",
    "answer": "group/question-{slug}/answer.json",
    "answer_table": "group/question-{slug}/desc-{effect}_{name}{extension}",
    "answer_map": "group/question-{slug}/space-{space}_desc-{effect}_{name}{extension}",
    "report": "report.html",
    "manifest": "manifest.tsv",
    "logs": "logs",
}

#: Patterns of ours that the BIDS schema does not know.
BIDSIGNORE = (
    "plan.toml",
    "plan.json",
    "measures.*",
    "notes.*",
    "refused.*",
    "manifest.tsv",
    "report.html",
    "group/",
    "logs/",
    ".ekbom/",
    "**/figures/",
    "**/clinic/",
    "**/legs/",
    "**/*_kinpar.*",
    "**/*_mimap.*",
    "**/*_xfm.*",
    "**/anat/",
    "**/*_mean_pet.*",
    "**/*_inputfunction.*",
)


def product(unit: Unit, measure: str, name: str, extension: str) -> str:
    """Return the path of a measure's table or map inside the output folder.

    Parameters
    ----------
    unit : Unit
        Whose product.
    measure : str
        Name of the measure, which is the folder.
    name : str
        End of the file name, ``"desc-gtmseg_kinpar"``.
    extension : str
        With its dot.

    Returns
    -------
    str
        Relative, with forward slashes.
    """
    return NAMES["product"].format(
        folder=unit.folder, measure=measure, label=unit.label, name=name, extension=extension
    )


def figure(unit: Unit, name: str, extension: str) -> str:
    """Return the path of a QC figure inside the output folder.

    Parameters
    ----------
    unit : Unit
        Whose figure.
    name : str
        End of the file name.
    extension : str
        With its dot.

    Returns
    -------
    str
        Relative, with forward slashes.
    """
    return NAMES["figure"].format(
        folder=unit.folder, label=unit.label, name=name, extension=extension
    )


def slug(text: str) -> str:
    """Return a name as letters and digits, ``irls_total`` as ``irlsTotal``.

    Parameters
    ----------
    text : str
        Name of a question, method or region.

    Returns
    -------
    str
        ASCII letters and digits; empty when `text` has none.

    Examples
    --------
    >>> slug("severity"), slug("irls_total"), slug("test-retest 2")
    ('severity', 'irlsTotal', 'testRetest2')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words: list[str] = re.findall(r"[A-Za-z0-9]+", plain)
    return "".join(words[:1] + [word[0].upper() + word[1:] for word in words[1:]])


def effect_slug(text: str) -> str:
    """Return the text of an effect as letters and digits.

    Parameters
    ----------
    text : str
        Effect as the plan names it.

    Returns
    -------
    str
        ASCII letters and digits.

    Examples
    --------
    >>> effect_slug("rls - control"), effect_slug("age[rls]")
    ('rlsMinusControl', 'ageInRls')
    >>> effect_slug("session: blocked - baseline"), effect_slug("group:age")
    ('sessionBlockedMinusBaseline', 'groupByAge')
    >>> effect_slug("irls, mpq_affective")
    'irlsAndMpqAffective'
    """
    spelled = re.sub(r"\[\s*", " in ", text)
    spelled = re.sub(r"\s+-\s+", " minus ", spelled)
    spelled = re.sub(r"\s*,\s*", " and ", spelled)
    spelled = re.sub(r":(?=\S)", " by ", spelled)
    return slug(spelled)


def question_slug(name: str, method: str | None = None) -> str:
    """Return the slug of a question, and of the method when there are several.

    Parameters
    ----------
    name : str
        Key in the plan, ``[questions.<name>]``.
    method : str, optional
        Given when the plan lists methods: each has an answer of its own.

    Returns
    -------
    str
        ``"celecoxibMa1"``.
    """
    return slug(name) if method is None else slug(f"{name} {method}")
