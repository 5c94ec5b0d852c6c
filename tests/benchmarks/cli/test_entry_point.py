"""The entry point: Ctrl-C while it imports, and a standard output that cannot be written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
INTERRUPTED = """
import builtins, os, signal
from cgbench.benchmarks import __main__ as entry

real = builtins.__import__

def interrupt(name, *more, **others):
    if name == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *more, **others)

builtins.__import__ = interrupt
entry.main()
"""


def run_python(*words, **options):
    return subprocess.run([sys.executable, *words], stderr=subprocess.PIPE, text=True, timeout=100, **options)


@pytest.mark.parametrize("module", ["cgbench.benchmarks.cli.main", "click"])
def test_ctrl_c_during_the_imports_is_no_traceback(module):
    ended = run_python("-c", INTERRUPTED.format(module=module), stdin=subprocess.DEVNULL)
    assert ended.returncode == 128 + signal.SIGINT
    assert ended.stderr.strip() == "cgbench: stopped by Ctrl-C."


def test_nothing_heavy_is_imported_before_the_entry_point():
    code = "import sys, cgbench.benchmarks.__main__; sys.exit(bool({'numpy', 'click', 'rich'} & set(sys.modules)))"
    assert run_python("-c", code).returncode == 0


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["methods"], ["--help"], ["run", "--help"], ["--version"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_cannot_be_written_is_named(words, unbuffered):
    with FULL.open("w") as output:
        ended = run_python(
            "-m", "cgbench.benchmarks", *words, stdout=output, env={**os.environ, "PYTHONUNBUFFERED": unbuffered}
        )
    assert ended.returncode == 1
    assert ended.stderr == (
        "cgbench: standard output: No space left on device: make room, then give the command again\n"
    )


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-8:strict"])
def test_an_encoding_that_lacks_a_character_ends_no_command(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = run_python(
        "-m",
        "cgbench.benchmarks",
        "methods",
        stdout=subprocess.PIPE,
        env=environment,
        encoding=encoding.partition(":")[0],
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "cyclegan" in ended.stdout


@pytest.mark.parametrize("mode", ["utf-8", "utf-8:surrogateescape", "ascii"])
def test_a_name_that_is_not_utf_8_is_printed_as_its_escape(mode):
    code = (
        "import sys; from cgbench.benchmarks.__main__ import main; sys.argv[1:] = ['--version']\ntry: main()\nfinally: "
    )
    environment = {**os.environ, "PYTHONIOENCODING": mode}
    ended = run_python("-c", code + r"print('caf\udce9 \ud800')", stdout=subprocess.PIPE, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("caf\\udce9 \\ud800\n")
