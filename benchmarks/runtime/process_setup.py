"""Setup of a process before it loads libraries: the number of threads, where matplotlib keeps its cache, and where
Python's warnings go."""

import logging
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TextIO

import click

from cgbench.benchmarks.runtime.cache_dir import cache_folder
from cgbench.benchmarks.runtime.progress import console
from cgbench.formatting import printable, shortened

MATPLOTLIB_FOLDER = "MPLCONFIGDIR"
BLAS_THREADS = "OPENBLAS_NUM_THREADS"
OPENMP_THREADS = "OMP_NUM_THREADS"
THREAD_NUMBER = r"\s*0*[1-9][0-9]{0,8}\s*"  # OMP_NUM_THREADS is one, or one for each level of nesting
UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # as Python has it


def prepare_process() -> None:
    """Set what libraries read when they are loaded: call it before torch and matplotlib are imported.

    Worker processes inherit the environment, but not where warnings go.
    """
    _drop_unusable_threads()
    _choose_matplotlib_folder()
    redirect_warnings()


def use_one_blas_thread() -> None:
    """Let numpy and scipy multiply matrices in one thread: for commands that multiply small ones only.

    A thread of OpenBLAS that waits computes for 0.1 s, after its start and after every product. What the user has set
    holds; where numpy is loaded already, nothing changes.
    """
    if "numpy" not in sys.modules:
        os.environ.setdefault(BLAS_THREADS, "1")


def redirect_warnings() -> None:
    """Print Python's warnings at level `VERBOSE` only, one line each, whatever `-W` and PYTHONWARNINGS say, and none of
    matplotlib's log. Worker processes need it too.

    What a user should know is printed by this program itself; these are for whoever writes components.
    """

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
        line: str | None = None,
    ) -> None:  # fmt: skip
        console.debug(f"{category.__name__}: {' '.join(str(message).split())} ({filename}, line {lineno})")

    warnings.simplefilter("default")
    for category in UNSEEN:
        warnings.simplefilter("ignore", category)
    warnings.showwarning = show
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def _drop_unusable_threads() -> None:
    """Remove OMP_NUM_THREADS where it is no number of threads, and unless it is empty say so in one line: OpenMP would
    ignore it with a message of its own."""
    asked = os.environ.get(OPENMP_THREADS)
    if asked is None or re.fullmatch(f"{THREAD_NUMBER}(,{THREAD_NUMBER})*", asked):
        return
    del os.environ[OPENMP_THREADS]
    if asked.strip():
        given = f"{OPENMP_THREADS}={shortened(printable(asked))}"
        click.echo(f"cgbench: {given} is no number of threads: not used", err=True)


def _choose_matplotlib_folder() -> None:
    """Let matplotlib keep its list of fonts in this program's cache where its own folder cannot be written.

    Where the cache cannot be written either, matplotlib takes a temporary folder, without its warnings.
    """
    if not all(map(_can_be_written, _matplotlib_folders())):
        try:
            folder = cache_folder() / "matplotlib"
        except RuntimeError:  # no home folder
            return
        if _can_be_written(folder):
            os.environ[MATPLOTLIB_FOLDER] = str(folder)


def _matplotlib_folders() -> list[Path]:
    """Return the folders that matplotlib writes into: of its settings and of its cache, which may be one."""
    if chosen := os.environ.get(MATPLOTLIB_FOLDER):
        return [Path(chosen)]
    try:
        home = Path.home()
    except RuntimeError:
        return [Path(os.devnull)]
    settings, cache = os.environ.get("XDG_CONFIG_HOME"), os.environ.get("XDG_CACHE_HOME")
    return [Path(settings or home / ".config") / "matplotlib", Path(cache or home / ".cache") / "matplotlib"]


def _can_be_written(folder: Path) -> bool:
    """Return whether files can be created in a folder, which need not exist yet; nothing is created."""
    try:
        nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    except (OSError, StopIteration):
        return False
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
