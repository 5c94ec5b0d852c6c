"""What the commands of the command line share: options, and errors in one line."""

import errno
import os
import sys
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cgbench.benchmarks.execution.parallelism import AUTO
from cgbench.benchmarks.runtime.signals import name_of, number_of, raise_on_stop_signal
from cgbench.config import PRESET_SUMMARIES, PRESETS
from cgbench.errors import EXIT_SIGNAL, EXIT_TRIAL_FAILED, CgbenchError, did_you_mean

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


WAIT = click.option(
    "--wait", is_flag=True, help="Where another process works on the run: wait for it instead of refusing."
)
DETERMINISTIC = click.option(
    "--deterministic", is_flag=True,
    help="Repeat bit for bit on a GPU too, slower, or say which operation cannot. On a CPU runs always do.",
)  # fmt: skip


class _Jobs(click.ParamType):
    """A number of processes, or `auto`."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "auto" itself."""
        if value == AUTO or (isinstance(value, int) and value > 0):
            return value
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"'{value}': a whole number from 1 on, or {AUTO}", param, ctx)
        return int(value)


JOBS = click.option(
    "--jobs", type=_Jobs(), metavar="N|auto", default=1, show_default=True,
    help="Train N trials at once, each in a process with its share of the cores; auto: as many as cores and memory "
    "allow. Another number of threads gives other last digits.",
)  # fmt: skip
SAFE = "finished trials and the last checkpoint of every other are whole"
ADVICE = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "let it be written again",
    errno.EACCES: "see its permissions",
    errno.EPERM: "see its permissions",
}


def named(option: str, text: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the names in `a,b`, each once; one that is not `known`, and none at all, raise `CgbenchError`."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        if name not in known:
            raise CgbenchError(f"{option} {text}: '{name}' is unknown: {did_you_mean(name, list(known))}")
    if not names:
        raise CgbenchError(f"{option}: name at least one of {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def one_line_errors(command: Callable[..., int | None]) -> Callable[..., None]:
    """Print what the user can mend as one line without a traceback, and turn it into the exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            with raise_on_stop_signal():
                code = command(*args, **kwargs) or 0
            sys.exit(code)
        except CgbenchError as error:
            click.echo(f"cgbench: {error}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
            sys.exit(EXIT_TRIAL_FAILED)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            advice = f"{ADVICE.get(error.errno, 'mend that')}, then the same command goes on"
            click.echo(f"cgbench: {where}{error.strerror or error}. Safe: {SAFE}; {advice}.", err=True)
            sys.exit(EXIT_TRIAL_FAILED)
        except KeyboardInterrupt as stop:
            click.echo(f"\ncgbench: stopped by {name_of(stop)}. Safe: {SAFE}; the same command goes on.", err=True)
            sys.exit(EXIT_SIGNAL + number_of(stop))

    return wrapped
