"""Leg movements found in the EMG: local rest level, on and off thresholds, what was lost.

Thresholds stand on the rest level of the moment (+8 uV on, +2 uV off for half a
second; Zucconi 2006, doi:10.1016/j.sleep.2006.01.001; Ferri 2016,
doi:10.1016/j.sleep.2016.10.010).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ekbom.errors import Refused
from ekbom.measures.legs import artefact
from ekbom.measures.legs.crosstalk import separate
from ekbom.measures.legs.ecg import Heart, find_beats, hidden_beats, remove_beats
from ekbom.measures.legs.envelope import Envelope, envelope
from ekbom.measures.legs.events import LEG_WORDS, Array, Bools, Ints, Marks, inside, union
from ekbom.measures.legs.filters import Channel, design, filtered, mains_found
from ekbom.measures.legs.hysteresis import bursts, judged
from ekbom.measures.legs.rest import follow_tone, rest_level

#: Rest EMG (median, rectified) outside this is no EMG in microvolts.
PLAUSIBLE = (0.1, 50.0)
#: Rest above this is outside the standard (R1): flagged, not stopped.
REST_LIMIT = 5.0
#: Shortest movement that is kept, s.
SHORTEST = 0.5
#: Mean of the absolute value of Gaussian noise by its root mean square.
RECTIFIED = float(np.sqrt(2.0 / np.pi))
#: Blocks looked at together.
_TILE = 65_536


@dataclass(frozen=True)
class DetectSettings:
    """How movements are found.

    Parameters
    ----------
    on, off : float
        uV above rest.
    hold : float
        Seconds below `off` that end a movement.
    low, high : float
        Band, Hz; the upper edge is at most 0.45 of the sampling rate.
    window : float
        Seconds of the root mean square.
    quantile : float
        Of the first pass over rest; the second takes the median outside movements.
    ecg : {"auto", "none"}
        Whether heart beats are removed.
    notch : {"auto", "none"}
        Whether mains are removed when they stand out.
    crosstalk : {"auto", "none"}
        Whether what one leg sees of the other is removed.
    """

    on: float = 8.0
    off: float = 2.0
    hold: float = 0.5
    low: float = 10.0
    high: float = 100.0
    window: float = 0.1
    quantile: float = 0.2
    ecg: str = "auto"
    notch: str = "auto"
    crosstalk: str = "auto"


@dataclass(frozen=True)
class Leg:
    """What was found in one channel.

    Parameters
    ----------
    channel : str
    leg : str
        ``L``, ``R`` or ``n/a``.
    rest_times, rest : (S,) array
        Rest level second by second, s and uV (root mean square).
    lost : (K, 2) array
        Spans without a usable signal, s.
    facts : mapping
        For the sidecar: filters, mains, beats removed, minutes lost.
    """

    channel: str
    leg: str
    rest_times: Array
    rest: Array
    lost: Array
    facts: Mapping[str, Any]


@dataclass
class Track:
    """A channel on its way; the filtered signal is let go at the end."""

    channel: Channel
    high: float
    notches: tuple[float, ...]
    x: Array
    env: Envelope
    usable: Bools
    lost: Array
    rest_times: Array
    rest: Array
    first: np.ndarray[Any, Any]
    past: np.ndarray[Any, Any]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Detection:
    """Marks of all legs, and how they were found.

    Parameters
    ----------
    marks : Marks
        Of all legs, in order of time.
    legs : tuple of Leg
        What was found in each channel.
    settings : DetectSettings
        As asked for.
    tracks : tuple of Track
        Envelopes and levels, for other thresholds and for figures.
    flags : tuple of str
        Of all channels.
    """

    marks: Marks
    legs: tuple[Leg, ...]
    settings: DetectSettings
    tracks: tuple[Track, ...]
    flags: tuple[str, ...] = ()

    @property
    def lost(self) -> dict[str, Array]:
        """Spans without a usable signal by leg, s."""
        found: dict[str, Array] = {}
        for one in self.legs:
            found[one.leg] = union(np.concatenate((found.get(one.leg, one.lost), one.lost)))
        return found


def detect(
    channels: Sequence[Channel],
    ecg: Channel | None = None,
    settings: DetectSettings | None = None,
    *,
    threads: int = 2,
) -> Detection:
    """Find the leg movements of a recording.

    Parameters
    ----------
    channels : sequence of Channel
        One or more leg channels.
    ecg : Channel, optional
        Of the same recording; without it, beats are looked for in the legs.
    settings : DetectSettings, optional
    threads : int
        Channels worked on at a time; results do not depend on it.

    Returns
    -------
    Detection
        Marks of at least half a second, rest levels, spans lost.

    Raises
    ------
    Refused
        No channel, settings that contradict each other, a sampling rate too low
        for the band, or a rest level that cannot be EMG in microvolts.
    """
    asked = settings or DetectSettings()
    _check(channels, asked)
    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        tracks = list(pool.map(lambda c: _first_pass(c, asked), channels))
        beats = None
        if asked.ecg == "auto" and ecg is not None:
            beats = find_beats(ecg)
        heart = list(pool.map(lambda t: _without_heart(t, beats, asked), tracks))
        shares = separate_legs(tracks, asked)
        list(pool.map(lambda t: _second_pass(t, asked), tracks))
    for track, found, seen in zip(tracks, heart, shares, strict=True):
        track.facts |= {"ECG": found.facts(), "CrossTalk": seen}
    same = _same(tracks)
    legs, marks = [], []
    for track in tracks:
        track.lost = union(np.concatenate((track.lost, same)))
        legs.append(_leg(track))
        marks.append(_marks(track, asked))
        track.x = np.zeros(0)
    joined = _joined(marks)
    flags = sorted({f for one in legs for f in one.facts["Flags"]})
    return Detection(joined, tuple(legs), asked, tuple(tracks), tuple(flags))


def rethreshold(found: Detection, settings: DetectSettings, *, threads: int = 2) -> Marks:
    """Return the marks under other thresholds, on the rest level as it was found.

    Parameters
    ----------
    found : Detection
    settings : DetectSettings
        Only ``on``, ``off`` and ``hold`` are used.
    threads : int
        Channels worked on at a time; results do not depend on it.

    Returns
    -------
    Marks
        Of all legs.
    """

    def one(track: Track) -> tuple[Array, Array, Ints, Bools]:
        first, past = bursts(
            track.env, track.rest, settings.on, settings.off, settings.hold, track.usable
        )
        return _marks(replace(track, first=first, past=past), settings)

    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        return _joined(list(pool.map(one, found.tracks)))


def _joined(marks: Sequence[tuple[Array, Array, Ints, Bools]]) -> Marks:
    return Marks(
        np.concatenate([m[0] for m in marks]),
        np.concatenate([m[1] for m in marks]),
        np.concatenate([m[2] for m in marks]),
        np.concatenate([m[3] for m in marks]),
    )


def _check(channels: Sequence[Channel], asked: DetectSettings) -> None:
    if not channels:
        raise Refused(
            "There is no leg channel.",
            field="channels",
            found="none",
            expected="one or more channels of type EMG on the legs",
            mend="name them, such as --channels 'EMG LAT,EMG RAT'",
        )
    if not 0 < asked.off <= asked.on or asked.hold <= asked.window or asked.window <= 0:
        raise Refused(
            "The thresholds contradict each other.",
            field="on, off, hold, window",
            found=f"{asked.on:g}, {asked.off:g} uV, {asked.hold:g}, {asked.window:g} s",
            expected="0 < off <= on and 0 < window < hold",
        )
    for channel in channels:
        if min(asked.high, 0.45 * channel.fs) < 2 * asked.low:
            raise Refused(
                "The sampling rate is too low for the band of the EMG.",
                field=channel.name,
                found=f"{channel.fs:g} Hz",
                expected=f"at least {2 * asked.low / 0.45:.0f} Hz, better 500 Hz",
            )
        if channel.seconds < 10.0:
            raise Refused(
                "The recording is too short to find a rest level.",
                field=channel.name,
                found=f"{channel.seconds:.1f} s",
                expected="10 s or more",
            )


def _first_pass(channel: Channel, asked: DetectSettings) -> Track:
    high = min(asked.high, 0.45 * channel.fs)
    notches = mains_found(channel, high) if asked.notch == "auto" else ()
    x = filtered(channel, design(channel.fs, asked.low, high, notches))
    flat, clipped = artefact.flat_spans(channel), artefact.clipped_spans(channel)
    lost = union(np.concatenate((flat, clipped)))
    facts = {
        "SamplingFrequency": channel.fs,
        "Band": [asked.low, high],
        "Notches": list(notches),
        "MinutesFlat": float(np.sum(flat[:, 1] - flat[:, 0])) / 60.0,
        "SecondsClipped": float(np.sum(clipped[:, 1] - clipped[:, 0])),
    }
    none = np.zeros(0, np.int64)
    env = envelope(x, channel.fs, asked.window)
    track = Track(channel, high, notches, x, env, np.zeros(0, bool), lost, np.zeros(0),
                   np.zeros(0), none, none, facts)  # fmt: skip
    # About half a second around a flat span the filters ring.
    wide = union(flat + np.array([-0.5, 0.5])) if len(flat) else flat
    track.usable = _outside(env, wide)
    _measure(track, asked, asked.quantile, None)
    return track


def _measure(track: Track, asked: DetectSettings, q: float, moving: Bools | None) -> None:
    env = track.env
    out = ~track.usable if moving is None else moving | ~track.usable
    band = track.high - asked.low
    track.rest_times, track.rest = rest_level(env, q, band, out)
    if moving is not None:
        track.rest = follow_tone(env, track.rest, asked.on, band, track.usable)
    track.first, track.past = bursts(env, track.rest, asked.on, asked.off, asked.hold, track.usable)


def _outside(env: Envelope, spans: Array) -> Bools:
    """Blocks whose middle lies in none of the spans, s."""
    out = np.ones(env.values.size, bool)
    for k in range(0, out.size if len(spans) else 0, _TILE):
        middle: Array = np.arange(k + 0.5, min(k + _TILE, out.size))
        out[k : k + _TILE] = ~inside(middle * env.step, spans)
    return out


def _moving(track: Track) -> Bools:
    """Blocks in a burst, and half a second about it."""
    pad = round(0.5 / track.env.step)
    moving = np.zeros(track.env.values.size, bool)
    for a, b in zip(track.first.tolist(), track.past.tolist(), strict=True):
        moving[max(a - pad, 0) : b + pad] = True
    return moving


def _without_heart(track: Track, beats: Array | None, asked: DetectSettings) -> Heart:
    if asked.ecg != "auto":
        return Heart("not looked for")
    source = "channel"
    if beats is None:
        beats = hidden_beats(track.x, track.channel.fs, track.env, _moving(track))
        source = "leg"
    rest = float(np.median(track.rest))
    found = remove_beats(track.x, track.channel.fs, beats, rest, source)
    if found.removed:
        track.env = envelope(track.x, track.channel.fs, asked.window)
        _measure(track, asked, asked.quantile, None)
    return found


def separate_legs(tracks: Sequence[Track], asked: DetectSettings) -> list[float]:
    """Take out of each leg what it sees of the other; returns the shares taken."""
    legs = {t.channel.leg: t for t in tracks}
    if asked.crosstalk != "auto" or len(tracks) != 2 or set(legs) != {0, 1}:
        return [0.0] * len(tracks)
    one, two = tracks
    if one.channel.fs != two.channel.fs or one.x.size != two.x.size:
        return [0.0, 0.0]
    shares = separate(one.x, two.x, one.env, two.env)
    for track, share in zip(tracks, shares, strict=True):
        if share:
            track.env = envelope(track.x, track.channel.fs, asked.window)
            _measure(track, asked, asked.quantile, None)
    return list(shares)


def _second_pass(track: Track, asked: DetectSettings) -> None:
    _measure(track, asked, 0.5, _moving(track))
    rectified = RECTIFIED * float(np.median(track.rest))
    if not PLAUSIBLE[0] <= rectified <= PLAUSIBLE[1]:
        raise Refused(
            "The resting signal of a leg cannot be EMG in microvolts.",
            field=track.channel.name,
            found=f"median rectified rest of {rectified:.4g} uV",
            expected=f"{PLAUSIBLE[0]:g} to {PLAUSIBLE[1]:g} uV",
            mend="check the physical dimension in the header of the file, and the electrode",
        )
    # An electrode that came off: its noise is no rest.
    loose = np.flatnonzero(RECTIFIED * track.rest > PLAUSIBLE[1]).astype(np.float64)
    if loose.size:
        spans = union(np.column_stack((loose, loose + 1.0)))
        track.lost = union(np.concatenate((track.lost, spans)))
        track.usable &= _outside(track.env, spans)
        _measure(track, asked, 0.5, _moving(track))


def _same(tracks: Sequence[Track]) -> Array:
    spans = [np.zeros((0, 2))]
    for i, one in enumerate(tracks):
        for two in tracks[i + 1 :]:
            if one.channel.leg != two.channel.leg and one.channel.fs == two.channel.fs:
                spans.append(artefact.same_spans(one.x, two.x, one.channel.fs))
    return union(np.concatenate(spans))


def _leg(track: Track) -> Leg:
    lost = track.lost
    over = float(np.mean(RECTIFIED * track.rest > REST_LIMIT))
    flags = []
    if over > 0:
        flags.append("rest-above-5uV")
    if track.channel.fs < 200.0:
        flags.append("sampling-below-200Hz")
    minutes = float(np.sum(lost[:, 1] - lost[:, 0])) / 60.0
    if minutes > 0:
        flags.append("signal-lost")
    facts = {
        **track.facts,
        "RestMedian": float(np.median(track.rest)),
        "RestRange": [float(np.min(track.rest)), float(np.max(track.rest))],
        "RestRectifiedMedian": RECTIFIED * float(np.median(track.rest)),
        "ShareOfRestAbove5uV": over,
        "MinutesLost": minutes,
        "Flags": flags,
    }
    word = LEG_WORDS[track.channel.leg]
    return Leg(track.channel.name, word, track.rest_times, track.rest, lost, facts)


def _marks(track: Track, asked: DetectSettings) -> tuple[Array, Array, Ints, Bools]:
    """Turn blocks into seconds; drop what is too short or only a step of the floor."""
    env = track.env
    half = (env.blocks // 2) * env.step
    onset = track.first * env.step + 0.5 * half
    end = track.past * env.step - np.where(track.past < env.values.size, 0.75 * half, 0.0)
    length = end - onset
    shape = judged(
        env, track.rest, track.first, track.past, asked.on, asked.off,
        length >= SHORTEST - 1e-6,
    )  # fmt: skip
    kept = shape >= 0
    leg = np.full(int(kept.sum()), track.channel.leg, np.int64)
    return onset[kept], length[kept], leg, shape[kept] == 1
