"""`ekbom doctor`: is this machine ready, and compile all kernels beforehand."""

from __future__ import annotations

from rich.console import Console

from ekbom.study import health


def doctor(*, warm: bool = False) -> int:
    """Say what ekbom finds on this machine.

    Parameters
    ----------
    warm
        Compile all kernels now (a minute or two, once), so that no run waits for it.

    Returns
    -------
    int
        0 when all is well, 2 when something must be mended.
    """
    console = Console(highlight=False, soft_wrap=True)
    wrong = 0
    for fact in health.examine():
        mark = {"ok": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}[
            fact.state
        ]
        console.print(f"{mark} ", end="")
        console.print(f"{fact.name}: {fact.found}", markup=False)
        if fact.mend:
            console.print(f"       {fact.mend}", markup=False)
        wrong += fact.state == "bad"
    if warm:
        for line in health.warm():
            console.print(line, markup=False)
    return 2 if wrong else 0
