"""The basis of a scan between the rows of its table.

The table stands on an even grid of ln theta. Between two rows a column is the cubic through
the values and slopes of both; its derivatives are those of the cubic, so that slopes of the
residual sum are exact for the function that is minimised.
"""

from __future__ import annotations

from numba import njit

#: Sums over frames may be taken in any order and multiply-adds fused, so that they fill vector
#: registers. The order is the compiler's, the same for every voxel and thread.
FAST = {"reassoc", "contract", "nsz"}


@njit(
    cache=True, error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
def look_up(lt, first, step, table, slope, b, d, e):  # type: ignore[no-untyped-def]
    """Fill b, d = db/d ln theta and e = d2b/d(ln theta)2; return the place in rows of the table."""
    place = (lt - first) / step
    i = min(max(int(place), 0), table.shape[0] - 2)
    u = place - i
    v = 1.0 - u
    h0, h1 = v * v * (1.0 + 2.0 * u), u * u * (1.0 + 2.0 * v)
    g0, g1 = u * v * v * step, -u * u * v * step
    e0 = -6.0 * u * v / step
    s0, s1 = v * (v - 2.0 * u), u * (u - 2.0 * v)
    k0 = 6.0 * (u - v) / (step * step)
    c0, c1 = (2.0 * u - 4.0 * v) / step, (4.0 * u - 2.0 * v) / step
    for f in range(b.size):
        b0, b1, d0, d1 = table[i, f], table[i + 1, f], slope[i, f], slope[i + 1, f]
        b[f] = h0 * b0 + h1 * b1 + g0 * d0 + g1 * d1
        d[f] = e0 * (b0 - b1) + s0 * d0 + s1 * d1
        e[f] = k0 * (b0 - b1) + c0 * d0 + c1 * d1
    return i + u
