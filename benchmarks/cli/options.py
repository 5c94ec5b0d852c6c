"""Command classes, shared options, name completion, and the conversion of errors to one line and an exit code."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from cgbench.api.registry import DATASETS, METHODS, Registry
from cgbench.benchmarks.execution.parallelism import AUTO
from cgbench.benchmarks.runtime.progress import NORMAL, QUIET, VERBOSE, console
from cgbench.benchmarks.runtime.signals import raise_on_stop_signal, signal_name, signal_number
from cgbench.config_layers import PRESET_SUMMARIES, PRESETS
from cgbench.errors import EXIT_SIGNAL, EXIT_TRIAL_FAILED, EXIT_USAGE, CgbenchError, PluginError, did_you_mean
from cgbench.formatting import printable, shortened

SAFE = "finished trials and the last checkpoint of every other are whole"
ADVICE = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "let it be written again",
    errno.EACCES: "see its permissions",
    errno.EPERM: "see its permissions",
}
WRONG_PATHS = {
    errno.ENOTDIR: "a part of this path is a file; name a directory",
    errno.EISDIR: "name a file",
    errno.EEXIST: "name another one, or take it away",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle: mend or remove them",
}


class Command(click.Command):
    """A command with an *Examples* block in its help, and former spellings of options that say the present one."""

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), former: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.examples, self.former = tuple(examples), dict(former or {})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Replace former spellings, with a note on standard error."""
        return super().parse_args(ctx, _present_spelling(args, self.former))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, line by line."""
        write_examples(self.examples, formatter)


class Group(click.Group):
    """A group of commands, listed under headings where `sections` names them, with an *Examples* block."""

    command_class = Command

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), sections: Mapping[str, Sequence[str]] | None = None, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.examples, self.sections = tuple(examples), dict(sections or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of their sections."""
        names = [name for section in self.sections.values() for name in section]
        return names or super().list_commands(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of commands per section."""
        if not self.sections:
            return super().format_commands(ctx, formatter)
        width = max(map(len, self.list_commands(ctx)))
        for heading, names in self.sections.items():
            limit = formatter.width - 6 - width
            rows = [(f"{name:{width}}", self.commands[name].get_short_help_str(limit)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(rows)
        return None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, line by line."""
        write_examples(self.examples, formatter)


def write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write an *Examples* block; lines are not wrapped."""
    if examples:
        formatter.write("\nExamples:\n")
        formatter.write("".join(f"  {line}\n" for line in examples))


def _present_spelling(args: Sequence[str], former: Mapping[str, str]) -> list[str]:
    """Return the words of a command line with former option names replaced, up to `--`."""
    words: list[str] = []
    for place, word in enumerate(args):
        name, equals, value = word.partition("=")
        if word == "--":
            return [*words, *args[place:]]
        if name in former:
            click.echo(f"cgbench: {name} is called {former[name]} now", err=True)
            word = f"{former[name]}{equals}{value}"
        words.append(word)
    return words


def completes(registry: Registry, comma_separated: bool = False) -> Callable[..., list[CompletionItem]]:
    """Return the shell completion for the names of a registry."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",") if comma_separated else ("", "", incomplete)
        return [CompletionItem(f"{before}{comma}{name}") for name in registry.names() if name.startswith(last)]

    return complete


def _set_verbosity(ctx: click.Context, param: click.Parameter, chosen: bool) -> None:
    """Set how much the console prints. Click calls this for `--verbose`, where a command has it, before `--quiet`."""
    if param.name == "verbose":
        console.verbosity = VERBOSE if chosen else NORMAL
    elif chosen:
        if "verbose" in ctx.meta:
            raise click.UsageError("-v/--verbose and -q/--quiet exclude each other")
        console.verbosity = QUIET
    elif "verbose" not in ctx.meta:
        console.verbosity = NORMAL
    if param.name == "verbose" and chosen:
        ctx.meta["verbose"] = True


QUIET_OPTION = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_set_verbosity,
    help="Print results, warnings and errors only, no progress.",
)  # fmt: skip
VERBOSE_OPTION = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, callback=_set_verbosity, is_eager=True,
    help="Also print resolved settings, cache hits and misses, and the tracebacks of failed trials.",
)  # fmt: skip


def verbosity(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-v/--verbose` and `-q/--quiet`."""
    return VERBOSE_OPTION(QUIET_OPTION(command))


DATA_ROOT = click.option(
    "--data-root", type=click.Path(path_type=Path), envvar="CGBENCH_DATA", show_envvar=True, metavar="DIR",
    help="Directory that contains the datasets. Not needed for procedural ones (streets, phantoms).",
)  # fmt: skip
DEVICE = click.option(
    "--device", default="auto", show_default=True, help="Device to compute on: auto, cpu, cuda, cuda:N or mps."
)
PRESET = click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="Budget and sizes. " + "; ".join(f"{k}: {v}" for k, v in PRESET_SUMMARIES.items()) + ".",
)  # fmt: skip; no default here: a suite may name one
SET = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE",
    help="Change one setting, for example steps=500, or one method's own: cyclegan.cycle_a=5. Repeatable.",
)  # fmt: skip
WAIT = click.option("--wait", is_flag=True, help="Wait for the run's lock instead of failing when another process "
                    "holds it.")  # fmt: skip
DETERMINISTIC = click.option(
    "--deterministic", is_flag=True,
    help="Use deterministic GPU kernels (slower); fail if an operation has none. CPU runs are always deterministic.",
)  # fmt: skip
RUN_FOLDER = click.argument("run_folder", type=click.Path(path_type=Path), metavar="RUN")
METHOD_NAMES = completes(METHODS, comma_separated=True)
DATASET_NAMES = completes(DATASETS)


class _Jobs(click.ParamType):
    """A number of processes, or `auto`."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "auto" itself."""
        if value == AUTO or (isinstance(value, int) and value > 0):
            return value
        if not re.fullmatch("0*[1-9][0-9]{0,3}", str(value)):
            self.fail(f"'{shortened(str(value))}': a whole number from 1 to 9999, or {AUTO}", param, ctx)
        return int(value)


JOBS = click.option(
    "-j", "--jobs", type=_Jobs(), metavar="N|auto", default=1, show_default=True,
    help="Trials to train at the same time, one process each; auto: as many as cores and memory allow. The number of "
    "threads per process changes the last digits.",
)  # fmt: skip


def comma_separated(text: str) -> tuple[str, ...]:
    """Return the words of `a, b`, each once, empty ones left out."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))


def known_names(option: str, text: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the names in `a,b`; one that is not `known`, and none at all, raise `CgbenchError`."""
    names = comma_separated(text)
    for name in names:
        if name not in known:
            raise CgbenchError(f"{option} {text}: '{name}' is unknown: {did_you_mean(name, list(known))}")
    if not names:
        raise CgbenchError(f"{option}: name at least one of {', '.join(known)}")
    return names


def resolve_device(device: str) -> str:
    """Return `cpu`, `mps` or `cuda[:N]` for `auto`, `cpu`, `mps`, `cuda` or `cuda:N`; a device that is not there
    raises. `auto` takes no `mps`, on which no number of this project was measured."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if device != "mps" and (kind not in ("cpu", "cuda") or (number and not re.fullmatch("[0-9]{1,4}", number))):
        raise CgbenchError(f"--device {shortened(device)}: use auto, cpu, cuda, cuda:N or mps")
    if device == "mps" and not torch.backends.mps.is_available():
        raise CgbenchError("--device mps: there is no Metal device here (Apple's GPUs under macOS); use --device cpu")
    if kind == "cuda" and (not torch.cuda.is_available() or int(number or 0) >= torch.cuda.device_count()):
        raise CgbenchError(
            f"--device {device}: there is no such GPU here ({torch.cuda.device_count()} found); use --device cpu"
        )
    return device


def one_line_errors(
    command: Callable[..., int | None], run_is_safe: str = "", failure: int = EXIT_TRIAL_FAILED
) -> Callable[..., None]:
    """Print what the user can mend as one line without a traceback, and turn it into the exit code. `run_is_safe` says
    what is whole after a stop or a failure of the system; `one_line_run_errors` is for commands that write a run.
    `failure` is the exit code of such a failure; `one_line_gate_errors` is for commands whose code 1 is a result."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        safe = "" if kwargs.get("dry_run") or kwargs.get("form") else run_is_safe  # those write nothing
        try:
            with raise_on_stop_signal():
                code = command(*args, **kwargs) or 0
            sys.exit(code)
        except CgbenchError as error:
            click.echo(f"cgbench: {error}", err=True)
            if isinstance(error, PluginError) and error.__cause__ is not None:
                console.debug("".join(traceback.format_exception(error.__cause__)))
            sys.exit(error.exit_code)
        except OSError as error:
            exit_with_os_error(error, safe, failure)
        except MemoryError as error:
            said = f" ({next(iter(str(error).splitlines()))})" if str(error) else ""
            again = f" Safe: {safe}; with more memory, the same command goes on." if safe else ""
            click.echo(f"cgbench: there is not enough memory{said}.{again}", err=True)
            sys.exit(failure)
        except KeyboardInterrupt as stop:
            again = f" Safe: {safe}; the same command goes on." if safe else ""
            click.echo(f"\ncgbench: stopped by {signal_name(stop)}.{again}", err=True)
            sys.exit(EXIT_SIGNAL + signal_number(stop))

    return wrapped


one_line_run_errors = partial(one_line_errors, run_is_safe=SAFE)
one_line_gate_errors = partial(one_line_errors, failure=EXIT_USAGE)


def exit_with_os_error(error: OSError, safe: str = "", failure: int = EXIT_TRIAL_FAILED) -> NoReturn:
    """Print an error of the system as one line, with the file and what to do, and exit: with the code of wrong usage
    where a path is not what it should be, else of a failure. An unwritable standard output is named as such."""
    text, number, where = error.strerror or str(error), error.errno or 0, error.filename
    if isinstance(error, BrokenPipeError) or _failed_to_print(error):
        where = where or "standard output"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
    if isinstance(error, BrokenPipeError):
        sys.exit(failure)
    line = f"cgbench: {printable(str(where))}: {text}" if where else f"cgbench: {text}"
    if number in WRONG_PATHS and not (safe and number == errno.EISDIR):  # inside a run no option names a file
        click.echo(f"{line}: {WRONG_PATHS[number]}", err=True)
        sys.exit(EXIT_USAGE)
    advice = ADVICE.get(number, "mend that")
    if safe:
        click.echo(f"{line}. Safe: {safe}; {advice}, then the same command goes on.", err=True)
    else:
        click.echo(f"{line}: {advice}, then give the command again", err=True)
    sys.exit(failure)


def _failed_to_print(error: OSError) -> bool:
    """Return whether an error was raised where click or rich writes to standard output."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_globals.get("__name__", "").partition(".")[0] in ("click", "rich")
