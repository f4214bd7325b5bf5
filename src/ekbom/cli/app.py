"""The `ekbom` command: sub-commands by name, and one place where errors end."""

from __future__ import annotations

import os
import sys
import traceback

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from ekbom import __version__
from ekbom.errors import Refused

#: Exit codes (see the README).
DONE, INTERNAL, REFUSED, SOME_FAILED = 0, 1, 2, 3

app = App(
    name="ekbom",
    help="Restless-legs research from raw measurements to answers linked to severity.",
    version=__version__,
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # call() says that what was finished is kept
    default_parameter=Parameter(negative_iterable=()),  # no --empty-dose beside --dose
)

# Import paths, so that `ekbom --version` does not wait for numba and matplotlib.
app.command(
    "ekbom.cli.run:run", name="run", help="Take a study through a plan to answers and a report."
)
app.command("ekbom.cli.plan:app", name="plan", help="Write or check a plan.")
app.command("ekbom.cli.pet:app", name="pet", help="PET and blood, on plain files.")
app.command(
    "ekbom.cli.clinic:app", name="clinic", help="Diagnosis with reasons, scales, iron, response."
)
app.command(
    "ekbom.cli.infer:infer", name="infer", help="Ask a question of maps and a table made elsewhere."
)
app.command("ekbom.cli.ask:ask", name="ask", help="Ask a question of any table.")
app.command("ekbom.cli.legs:app", name="legs", help="Leg movements found, scored, explained.")
app.command("ekbom.cli.space:app", name="space", help="Register, warp, label, motion, check.")
app.command("ekbom.cli.report:report", name="report", help="Make the report of a run again.")
app.command(
    "ekbom.cli.simulate:simulate", name="simulate", help="Make a virtual study with known truth."
)
app.command("ekbom.cli.power:app", name="power", help="Power and size of a planned study.")
app.command(
    "ekbom.cli.demo:demo", name="demo", help="Simulate the model study, analyse it, compare."
)
app.command("ekbom.cli.validate:app", name="validate", help="Closed loops with known truth.")
app.command("ekbom.cli.model:app", name="model", help="The disease model: a hypothesis engine.")
app.command(
    "ekbom.cli.doctor:doctor", name="doctor", help="Say what is installed, and compile ahead."
)


def main(argv: list[str] | None = None) -> None:
    """Run the command line and leave with the documented exit code.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program name; those of the process by default.
    """
    sys.exit(call(argv))


def call(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program name; those of the process by default.

    Returns
    -------
    int
        0 done, 1 internal error, 2 refused input, 3 some subjects failed.
    """
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        code = app(argv, exit_on_error=False, print_error=False, result_action="return_value")
        return int(code) if isinstance(code, int) else DONE
    except Refused as no:
        errors.print("[bold red]refused:[/] ", end="")
        errors.print(str(no), markup=False)
        return REFUSED
    except CycloptsError as no:
        errors.print("[bold red]refused:[/] ", end="")
        errors.print(str(no), markup=False)
        errors.print("  to mend:  see `ekbom --help` or `ekbom COMMAND --help`", markup=False)
        return REFUSED
    except KeyboardInterrupt:
        errors.print("interrupted; what was finished is kept, start again to go on", markup=False)
        return 130
    except Exception as fault:
        errors.print("[bold red]internal error:[/] ", end="")
        errors.print(f"{type(fault).__name__}: {fault}", markup=False)
        if os.environ.get("EKBOM_TRACEBACK"):
            traceback.print_exc()
        else:
            errors.print("This is a fault of ekbom. EKBOM_TRACEBACK=1 shows where.", markup=False)
        return INTERNAL
