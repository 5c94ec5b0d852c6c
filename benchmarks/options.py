"""What the commands of the command line share: options, and errors in one line."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cgbench.config import PRESET_SUMMARIES, PRESETS
from cgbench.errors import EXIT_INTERRUPTED, EXIT_TRIAL_FAILED, CgbenchError

DATA_ROOT = click.option(
    "--data-root", type=click.Path(path_type=Path), envvar="CGBENCH_DATA", show_envvar=True,
    help="Where data sets lie. Not needed for 'streets', which is drawn on the fly.",
)  # fmt: skip
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
PRESET = click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="; ".join(f"{k}: {v}" for k, v in PRESET_SUMMARIES.items()) + "."
)  # no default here: a suite may name one
SET = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE",
    help="Change one setting, for example steps=500 or cyclegan.cycle_a=5 (one method's term weight). Repeatable.",
)  # fmt: skip


def one_line_errors(command: Callable[..., int | None]) -> Callable[..., None]:
    """Print what the user can mend as one line without a traceback, and turn it into the exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            sys.exit(command(*args, **kwargs) or 0)
        except CgbenchError as error:
            click.echo(f"cgbench: {error}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            sys.exit(EXIT_TRIAL_FAILED)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"cgbench: {where}{error.strerror or error}; what was finished before is kept", err=True)
            sys.exit(EXIT_TRIAL_FAILED)
        except KeyboardInterrupt:
            click.echo("\ncgbench: stopped. What was finished is kept; the same command goes on from there.", err=True)
            sys.exit(EXIT_INTERRUPTED)

    return wrapped
