"""What the words of annotations mean: stages, movements, breathing, arousals, lights."""

from __future__ import annotations

import re

from ekbom.measures.legs.events import LEFT, RIGHT, UNKNOWN
from ekbom.measures.legs.hypnogram import N1, N2, N3, UNKNOWN_STAGE, R, W

#: Our own words: a leg without a usable signal, a burst without half a second of raised median.
LOST, NOT_RAISED = "signal_lost", "LM not raised"

_STAGES = {
    "w": W, "wake": W, "awake": W, "sw": W, "stage w": W,
    "n1": N1, "n2": N2, "n3": N3, "n4": N3, "r": R, "rem": R,
    "?": UNKNOWN_STAGE, "unknown": UNKNOWN_STAGE, "unscored": UNKNOWN_STAGE, "n/a": UNKNOWN_STAGE,
    "m": UNKNOWN_STAGE, "mt": UNKNOWN_STAGE, "movement": UNKNOWN_STAGE,
    "movement time": UNKNOWN_STAGE, "-1": UNKNOWN_STAGE, "9": UNKNOWN_STAGE, "6": UNKNOWN_STAGE,
}  # fmt: skip
#: Numbers as NSRR and many tables write them; 3 and 4 of Rechtschaffen and Kales are N3.
_NUMBERS = {"0": W, "1": N1, "2": N2, "3": N3, "4": N3, "5": R}
_RK = {"s1": N1, "s2": N2, "s3": N3, "s4": N3, "stage 1": N1, "stage 2": N2, "stage 3": N3,
       "stage 4": N3, "1": N1, "2": N2, "3": N3, "4": N3}  # fmt: skip

_LM = re.compile(r"\b(limb|leg) movements?\b|^p?lms?\b|^plm[sw]\b|^clm\b|^nonclm\b")
_LIGHTS_OFF = re.compile(r"\blights? ?(off|out)\b|^lo$")
_LIGHTS_ON = re.compile(r"\blights? ?on\b")
#: ``sx`` (sinistra) and ``dx`` (destra) are left and right in Italian recordings.
_LEFT = re.compile(
    r"(?<![a-z])(left|lat|l|sx\d?|sin)(?![a-z])|^plml|^lleg|(?<![a-z])l[ _-]?(leg|tib)|_l$"
)
_RIGHT = re.compile(
    r"(?<![a-z])(right|rat|r|dx\d?)(?![a-z])|^plmr|^rleg|(?<![a-z])r[ _-]?(leg|tib)|_r$"
)
_LEG_CHANNEL = re.compile(
    r"(?<![a-z])(leg|legs|lleg|rleg|lat|rat|tib|tibialis|plm|plml|plmr|ltib|rtib)(?![a-z])"
    r"|leg[lr12](?![a-z])|tib[lr](?![a-z])|(?<![a-z])[lr][ _-]?(leg|tib)|^[sd]x1-[sd]x2$"
)
_ECG = re.compile(r"(?<![a-z])(ecg|ekg)")


def stage_of(text: str) -> int | None:
    """Return the stage a word names, None when it names none.

    Parameters
    ----------
    text : str
        ``Sleep stage N2``, ``N2``, ``REM``, ``Stage 2 sleep|2``, ``2`` ...

    Returns
    -------
    int or None
        Code of :mod:`ekbom.measures.legs.hypnogram`.
    """
    word = text.strip().lower()
    bare = word.partition("|")[0].strip()
    if bare.startswith("sleep stage"):
        bare = bare.removeprefix("sleep stage").strip()
        return _STAGES.get(bare, _RK.get(bare))
    bare = bare.removesuffix(" sleep").strip()
    return _STAGES.get(bare, _RK.get(bare, _NUMBERS.get(bare)))


def is_rk(text: str) -> bool:
    """Say whether a stage word is of Rechtschaffen and Kales, 1 to 4."""
    word = text.strip().lower().partition("|")[0].removeprefix("sleep stage").strip()
    return word.removesuffix(" sleep") in _RK


def is_movement(text: str) -> bool:
    """Say whether a word marks a leg movement."""
    return bool(_LM.search(text.strip().lower()))


def respiratory_kind(text: str) -> str | None:
    """Return ``apnoea``, ``hypopnoea`` or ``rera``, None for anything else."""
    word = text.strip().lower()
    if "rera" in word or "respiratory effort related" in word:
        return "rera"
    if "hypopn" in word:
        return "hypopnoea"
    return "apnoea" if re.search(r"apn(o?e)a", word) else None


def is_arousal(text: str) -> bool:
    """Say whether a word marks an arousal (not one related to respiratory effort)."""
    return "arousal" in text.lower() and respiratory_kind(text) is None


def lights(text: str) -> str | None:
    """Return ``off`` or ``on``, None for other words."""
    word = text.strip().lower().replace("_", " ").replace("-", " ")
    if _LIGHTS_OFF.search(word):
        return "off"
    return "on" if _LIGHTS_ON.search(word) else None


def leg_of(text: str) -> int:
    """Return the leg that a channel name or annotation speaks of.

    Parameters
    ----------
    text : str
        ``EMG LAT``, ``Limb Movement (Left)``, ``LLEG``, ``Leg/R`` ...

    Returns
    -------
    int
        LEFT, RIGHT; UNKNOWN for both or neither.
    """
    word = text.strip().lower()
    left, right = bool(_LEFT.search(word)), bool(_RIGHT.search(word))
    if left == right:
        return UNKNOWN
    return LEFT if left else RIGHT


def is_leg_channel(label: str) -> bool:
    """Say whether a channel name is that of a leg EMG."""
    return bool(_LEG_CHANNEL.search(label.strip().lower().replace("_", " ")))


def is_ecg_channel(label: str) -> bool:
    """Say whether a channel name is that of an ECG."""
    return bool(_ECG.search(label.strip().lower()))
