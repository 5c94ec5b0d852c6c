"""What a process sets before it loads libraries, and the habits of clusters and of strict continuous integration."""

import os
import subprocess
import sys
import warnings

import pytest

from cgbench.benchmarks.runtime import process_setup
from cgbench.benchmarks.runtime.progress import NORMAL, VERBOSE, console

SETUP = "from cgbench.benchmarks.runtime.process_setup import prepare_process; prepare_process(); "


def python(code, *options, **environment):
    """Run Python with a changed environment, and return what it printed on both streams."""
    values = {key: value for key, value in os.environ.items() if key != "MPLCONFIGDIR"}
    values = {key: value for key, value in (values | environment).items() if value is not None}
    ended = subprocess.run([sys.executable, *options, "-c", code], env=values, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("unwritable", ["MPLCONFIGDIR", "HOME"])
def test_matplotlib_keeps_its_files_where_it_can_without_a_word(tmp_path, unwritable):
    (tmp_path / "file").write_text("")
    show = "import matplotlib, os; print(os.environ['MPLCONFIGDIR'])"
    settings = {unwritable: str(tmp_path / "file" / "below"), "XDG_CONFIG_HOME": None, "XDG_CACHE_HOME": None}
    said = python(SETUP + show, CGBENCH_CACHE=str(tmp_path / "cache"), **settings)
    assert said == f"{tmp_path / 'cache' / 'matplotlib'}\n"
    said = python(SETUP + show, CGBENCH_CACHE=str(tmp_path / "file" / "cache"), **settings)
    assert "matplotlib-" in said and said.count("\n") == 1, "its own temporary folder"
    worker = "from cgbench.benchmarks.runtime.process_setup import redirect_warnings; redirect_warnings(); "
    assert python(worker + "import matplotlib; matplotlib.get_configdir()", **settings) == ""


def test_a_folder_of_matplotlib_that_can_be_written_stays(tmp_path):
    show = "import matplotlib, os; print(os.environ.get('MPLCONFIGDIR'), matplotlib.get_configdir())"
    said = python(SETUP + show, HOME=str(tmp_path), XDG_CONFIG_HOME=None, XDG_CACHE_HOME=None)
    assert said == f"None {tmp_path / '.config' / 'matplotlib'}\n"
    own = str(tmp_path / "own")
    assert python(SETUP + show, MPLCONFIGDIR=own) == f"{own} {own}\n"


@pytest.mark.parametrize("options", [(), ("-W", "error"), ("-W", "error::UserWarning")])
def test_warnings_neither_end_a_command_nor_reach_the_screen(options):
    code = SETUP + "import warnings; warnings.warn('deprecated', FutureWarning); warnings.warn('odd'); print('done')"
    assert python(code, *options) == "done\n"
    assert python(code, PYTHONWARNINGS="error") == "done\n"


def test_warnings_are_shown_to_those_who_ask_for_details(capsys, monkeypatch):
    with warnings.catch_warnings():
        process_setup.redirect_warnings()
        for level, shown in ((NORMAL, False), (VERBOSE, True)):
            monkeypatch.setattr(console, "verbosity", level)
            warnings.warn(f"odd\nnumber {level}", stacklevel=1)
            assert (f"UserWarning: odd number {level} (" in capsys.readouterr().out) == shown


@pytest.mark.parametrize("asked", ["zero", "0", "-1", "2,", "99999999999", "2", "2,1", " 3 ", ""])
def test_a_number_of_threads_that_is_none_is_one_line(asked):
    """OpenMP is loaded with torch, and says nothing more."""
    said = python(SETUP + "import torch, os; print(os.environ.get('OMP_NUM_THREADS'))", OMP_NUM_THREADS=asked)
    if asked in ("2", "2,1", " 3 "):
        assert said == f"{asked}\n"
    elif not asked:
        assert said == "None\n"
    else:
        assert said == f"None\ncgbench: OMP_NUM_THREADS={asked} is no number of threads: not used\n"


BLAS = "from cgbench.benchmarks.runtime.process_setup import use_one_blas_thread; use_one_blas_thread(); "
SHOWN = "import os; print(os.environ.get('OPENBLAS_NUM_THREADS'))"


@pytest.mark.parametrize("before, chosen, found", [("", None, "1"), ("", "3", "3"), ("import numpy; ", None, "None")])
def test_one_thread_multiplies_small_matrices_unless_the_user_chose_or_numpy_is_loaded(before, chosen, found):
    assert python(before + BLAS + SHOWN, OPENBLAS_NUM_THREADS=chosen).split() == [found]
