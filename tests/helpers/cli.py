"""The command line in this process, and settings small enough for a test."""

from click.testing import CliRunner

from cgbench.benchmarks.cli.main import main

VALUES = ["steps=3", "max_train_images=4", "max_test_images=3", "scorer_steps=4", "scorer_limit=4", "crop_size=16",
          "load_size=20", "ngf=4"]  # fmt: skip
SMALL = ["--preset", "smoke", "--device", "cpu", *(f"--set={value}" for value in VALUES)]


def cgbench(*arguments, code=0):
    """Run the command line in this process, expect an exit code, and return what it printed."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output
