"""An independent scorer: quadratic, plain Python, whole milliseconds, no shared code.

It takes marks as (onset, end, leg) in milliseconds and answers with the
movements that are periodic, by start and end.
"""

from __future__ import annotations


def close(marks, near):
    """Join marks that are near each other, by repeating until nothing changes."""
    groups = [[m] for m in marks]
    changed = True
    while changed:
        changed = False
        for a in range(len(groups)):
            for b in range(len(groups)):
                if a != b and any(near(x, y) for x in groups[a] for y in groups[b]):
                    groups[a] += groups.pop(b)
                    changed = True
                    break
            if changed:
                break
    return groups


def gap(x, y):
    return max(x[0], y[0]) - min(x[1], y[1])


def span(group):
    return min(m[0] for m in group), max(m[1] for m in group)


def same_leg(marks):
    out = []
    for leg in sorted({m[2] for m in marks}):
        own = [m for m in marks if m[2] == leg]
        for g in close(own, lambda x, y: gap(x, y) < 500):
            out.append((*span(g), leg))
    return [m for m in out if m[1] - m[0] >= 500]


def movements_2016(marks):
    """(start, end, is candidate), WASM 2016."""
    out = []
    for g in close(same_leg(marks), lambda x, y: gap(x, y) < 500):
        start, end = span(g)
        good = all(m[1] - m[0] <= 10_000 for m in g)
        if len(g) > 1:
            good = good and len(g) <= 4 and end - start <= 15_000
        out.append((start, end, good))
    return sorted(out)


def movements_2006(marks):
    """(start, end, is candidate), WASM 2006: the long ones left out before."""
    lms = same_leg(marks)
    short = [m for m in lms if m[1] - m[0] <= 10_000]
    out = [(*span(g), True) for g in close(short, lambda x, y: gap(x, y) < 500)]
    out += [(m[0], m[1], False) for m in lms if m[1] - m[0] > 10_000]
    return sorted(out)


def periodic_2016(events, shortest=10_000, longest=90_000):
    """Every stretch of candidates that cannot be grown and holds four or more."""
    plm = set()
    n = len(events)
    for a in range(n):
        for b in range(a + 3, n):
            part = events[a : b + 1]
            steps = [part[i + 1][0] - part[i][0] for i in range(len(part) - 1)]
            if all(e[2] for e in part) and all(shortest <= s <= longest for s in steps):
                plm |= set(range(a, b + 1))
    return plm


def periodic_2006(events, shortest=5_000, longest=90_000):
    """Movements that follow the last accepted one too soon are passed over."""
    order = [i for i in range(len(events)) if events[i][2]]
    plm = set()
    while order:
        run = [order[0]]
        used = 1
        for i in order[1:]:
            step = events[i][0] - events[run[-1]][0]
            if step > longest:
                break
            used += 1
            if step >= shortest:
                run.append(i)
        if len(run) >= 4:
            plm |= set(run)
        order = order[used:]
    return plm


def movements_aasm(marks):
    """(start, end, is candidate), AASM: neighbours of two legs whose onsets are near."""
    lms = same_leg(marks)
    out = [(m[0], m[1], False) for m in lms if m[1] - m[0] > 10_000]
    rest = sorted((m for m in lms if m[1] - m[0] <= 10_000), key=lambda m: (m[0], m[1], m[2]))
    while rest:
        one = rest.pop(0)
        if rest and rest[0][2] != one[2] and rest[0][0] - one[0] < 5_000:
            two = rest.pop(0)
            out.append((one[0], max(one[1], two[1]), True))
        else:
            out.append((one[0], one[1], True))
    return sorted(out)


def periodic_strict(events, shortest=10_000, longest=90_000):
    """As in 2016, but what follows a short interval may not be the first of a series."""
    plm = set()
    n = len(events)
    for a in range(n):
        if a and events[a - 1][2] and events[a][0] - events[a - 1][0] < shortest:
            continue
        for b in range(a + 3, n):
            part = events[a : b + 1]
            steps = [part[i + 1][0] - part[i][0] for i in range(len(part) - 1)]
            if all(e[2] for e in part) and all(shortest <= s <= longest for s in steps):
                plm |= set(range(a, b + 1))
    return plm
