"""Leg movements of polysomnography, found and scored to the rules, with reasons.

Marks of people or of the detector are scored by WASM 2016, WASM 2006 and AASM
side by side; every movement says why it is or is not periodic. Research use:
not medical advice.
"""

from ekbom.measures.legs.agreement import Agreement, agree
from ekbom.measures.legs.analyse import Analysis, analyse
from ekbom.measures.legs.detect import Detection, DetectSettings, detect, rethreshold
from ekbom.measures.legs.events import Marks, Spans
from ekbom.measures.legs.filters import Channel
from ekbom.measures.legs.hypnogram import Hypnogram
from ekbom.measures.legs.indices import Index, find, indices, poisson_interval
from ekbom.measures.legs.night import Course, course, first_half
from ekbom.measures.legs.reasons import events_frame, reason
from ekbom.measures.legs.rules import RULE_SETS, RuleSet, rule_set, rule_sets
from ekbom.measures.legs.score import Scored, score, score_all
from ekbom.measures.legs.settings import LegsSettings
from ekbom.measures.legs.simulate import MadeNight, Scene, simulate_night
from ekbom.measures.legs.sit import SIT, repeated, score_sit
from ekbom.measures.legs.uncertainty import between_nights, between_scorers, bootstrap, sensitivity

__all__ = [
    "RULE_SETS",
    "SIT",
    "Agreement",
    "Analysis",
    "Channel",
    "Course",
    "DetectSettings",
    "Detection",
    "Hypnogram",
    "Index",
    "LegsSettings",
    "MadeNight",
    "Marks",
    "RuleSet",
    "Scene",
    "Scored",
    "Spans",
    "agree",
    "analyse",
    "between_nights",
    "between_scorers",
    "bootstrap",
    "course",
    "detect",
    "events_frame",
    "find",
    "first_half",
    "indices",
    "poisson_interval",
    "reason",
    "repeated",
    "rethreshold",
    "rule_set",
    "rule_sets",
    "score",
    "score_all",
    "score_sit",
    "sensitivity",
    "simulate_night",
]
