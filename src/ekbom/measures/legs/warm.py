"""Compile the kernels of this room, so that no night has to wait for them."""

from __future__ import annotations

import numpy as np

from ekbom.measures.legs.detect import detect
from ekbom.measures.legs.events import UNKNOWN
from ekbom.measures.legs.filters import Channel
from ekbom.measures.legs.simulate import Scene, simulate_night


def warm() -> None:
    """Find the movements of a few made minutes, as floats and as samples of a file."""
    scene = Scene(ecg=30.0, crosstalk=0.1)
    night = simulate_night(seconds=300.0, fs=256.0, scene=scene, seed=1, per_hour=120.0)
    assert night.ecg is not None
    for kind in (np.float64, np.int16):
        legs = []
        for leg, word in enumerate("LR"):
            raw = np.round(10.0 * night.emg[word]).astype(kind)
            legs.append(Channel(word, leg, raw, night.fs, 0.1, 0.0, (-32768.0, 32767.0)))
        beats = np.round(10.0 * night.ecg).astype(kind)
        detect(legs, Channel("ECG", UNKNOWN, beats, night.fs, 0.1))
