"""The command line in this process and on a terminal, and settings small enough for a test."""

import os
import pty
import re
import subprocess
import sys

from click.testing import CliRunner

from cgbench.benchmarks.cli import report
from cgbench.benchmarks.cli.main import main
from cgbench.benchmarks.execution import run_plan

VALUES = ["steps=3", "max_train_images=4", "max_test_images=3", "scorer_steps=4", "scorer_limit=4", "crop_size=16",
          "load_size=20", "ngf=4"]  # fmt: skip
SMALL = ["--preset", "smoke", "--device", "cpu", *(f"--set={value}" for value in VALUES)]


def leave_out_what_is_slow(patch):
    """Write no reports, and measure no times for the plan: both are tested elsewhere. `patch` is a `MonkeyPatch`."""
    patch.setattr(report, "write_and_print", lambda *_: None)
    patch.setattr(run_plan, "MEASURED_SECONDS", 0.0)


def cgbench(*arguments, code=0):
    """Run the command line in this process, expect an exit code, and return what it printed."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def cgbench_on_terminal(*arguments, columns=80):
    """Run the command line in a process on a terminal, expect exit code 0, and return the text that was shown."""
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "cgbench.benchmarks", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment)
    os.close(child)
    shown = b""
    try:
        while block := os.read(parent, 65536):
            shown += block
    except OSError:  # the other end is closed
        pass
    os.close(parent)
    assert process.wait() == 0, shown.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "")
