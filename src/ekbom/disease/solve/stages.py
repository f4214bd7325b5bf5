"""Sums of stages: ``out = base + sum a_j k_j``, the terms added in their order.

Loops over separate arrays, which the compiler turns into vector instructions; each
element is summed in the same order, so the numbers are those of a plain loop.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, forceinline=True)
def lean(dy, h, ft, out):  # type: ignore[no-untyped-def]
    """Add the time derivative to the rates: ``out = dy + h ft``."""
    for i in range(out.shape[0]):
        out[i] = dy[i] + h * ft[i]


@njit(cache=True, forceinline=True)
def one(base, a1, k1, out):  # type: ignore[no-untyped-def]
    """Add one stage to the base."""
    for i in range(out.shape[0]):
        out[i] = base[i] + a1 * k1[i]


@njit(cache=True, forceinline=True)
def two(base, a1, a2, k1, k2, out):  # type: ignore[no-untyped-def]
    """Add two stages to the base."""
    for i in range(out.shape[0]):
        out[i] = base[i] + a1 * k1[i] + a2 * k2[i]


@njit(cache=True, forceinline=True)
def three(base, a1, a2, a3, k1, k2, k3, out):  # type: ignore[no-untyped-def]
    """Add three stages to the base."""
    for i in range(out.shape[0]):
        out[i] = base[i] + a1 * k1[i] + a2 * k2[i] + a3 * k3[i]


@njit(cache=True, forceinline=True)
def four(base, a1, a2, a3, a4, k1, k2, k3, k4, out):  # type: ignore[no-untyped-def]
    """Add four stages to the base."""
    for i in range(out.shape[0]):
        out[i] = base[i] + a1 * k1[i] + a2 * k2[i] + a3 * k3[i] + a4 * k4[i]


@njit(cache=True, forceinline=True)
def five(base, a1, a2, a3, a4, a5, k1, k2, k3, k4, k5, out):  # type: ignore[no-untyped-def]
    """Add five stages to the base."""
    for i in range(out.shape[0]):
        out[i] = base[i] + a1 * k1[i] + a2 * k2[i] + a3 * k3[i] + a4 * k4[i] + a5 * k5[i]
