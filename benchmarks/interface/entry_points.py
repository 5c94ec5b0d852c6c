"""`cgbench.run` and `cgbench.open_run`: the main job and a finished run, from Python."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import click

from cgbench.benchmarks.interface.opened_run import Run
from cgbench.benchmarks.runtime.progress import NORMAL, console
from cgbench.errors import CgbenchError


def open_run(path: str | PathLike[str]) -> Run:
    """Return the run in a folder, such as "runs/demo", read from its files; it need not be finished.

    What is no run, or holds a damaged file, raises `CgbenchError`.
    """
    return Run(Path(path))


def run(
    methods: Sequence[str] | str | None = None, dataset: str | None = None, *, seeds: Iterable[int] | None = None,
    preset: str | None = None, suite: str | PathLike[str] | None = None, settings: Mapping[str, Any] | None = None,
    data_root: str | PathLike[str] | None = None, name: str | None = None, runs_dir: str | PathLike[str] = "runs",
    device: str = "auto", jobs: int | str = 1, deterministic: bool = False, wait: bool = False, quiet: bool = False,
) -> Run:  # fmt: skip
    """Train, evaluate and compare methods, and write the report, as the command `cgbench run` does.

    The command line that does the same is built first, and its own code runs: same checks, same lock, same records. The
    record of the run names it. Run again with the same arguments, a stopped run goes on where it was.

    Args:
        methods: Names of methods, or "all"; not needed with a suite.
        dataset: The name of a dataset; not needed with a suite that names one.
        seeds: Whole numbers; by default 0, with a suite 0 to 4.
        preset: "smoke", "demo" or "paper"; by default the suite's, or "demo".
        suite: The name of a suite, or a TOML file.
        settings: What `--set` sets: {"steps": 500, "cyclegan.cycle_a": 5}.
        data_root: The directory that contains the datasets.
        name: The name of the run's folder; by default DATASET-PRESET.
        runs_dir: The directory that contains all runs.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        jobs: Trials to train at the same time, or "auto". With more than one, a script needs the guard
            `if __name__ == "__main__":`, because worker processes import it.
        deterministic: Whether GPU kernels are the deterministic ones.
        wait: Whether to wait for another process that works on this run.
        quiet: Whether nothing is printed.

    Returns:
        The run. Trials that failed or diverged do not raise: `Run.failed` names them.

    Raises:
        CgbenchError: Something is wrong with the arguments or the data.
        KeyboardInterrupt: It was stopped, after the step it was in; the same call goes on.
    """
    names = methods if isinstance(methods, str) or methods is None else ",".join(methods)
    numbers = None if seeds is None else ",".join(map(str, seeds))
    options = {
        "--methods": names, "--dataset": dataset, "--seeds": numbers, "--preset": preset, "--suite": suite,
        "--data-root": data_root, "--name": name, "--runs-dir": runs_dir, "--device": device, "--jobs": jobs,
    }  # fmt: skip
    words = [word for option, value in options.items() if value is not None for word in (option, str(value))]
    words += [word for key, value in (settings or {}).items() for word in ("--set", f"{key}={_text(value)}")]
    words += ["--deterministic"] * deterministic + ["--wait"] * wait
    with _as_command(words), _printing(quiet):
        folder = _run_command(words)
    return Run(folder)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _run_command(words: Sequence[str]) -> Path:
    """Run the command with these options, and return the folder of the run."""
    from cgbench.benchmarks.cli import run as command

    try:
        parameters = command.run.make_context("run", list(words)).params
    except click.ClickException as error:
        raise CgbenchError(error.format_message()) from None
    return command.execute(**parameters)[0]


@contextlib.contextmanager
def _as_command(words: Sequence[str]) -> Iterator[None]:
    """Let the records that name the command of a process name this one, which repeats the run."""
    before = sys.argv
    sys.argv = ["cgbench", "run", *words]
    try:
        yield
    finally:
        sys.argv = before


@contextlib.contextmanager
def _printing(quiet: bool) -> Iterator[None]:
    """Print as the command does, or nothing."""
    verbosity, before = console.verbosity, console.quiet
    with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
        try:
            console.verbosity, console.quiet = NORMAL, quiet  # in a notebook it does not print to standard output
            yield
        finally:
            console.verbosity, console.quiet = verbosity, before
