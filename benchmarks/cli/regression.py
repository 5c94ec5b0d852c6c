"""The drift gate on the command line: `check`, `baseline update` and `diff`. No command here needs torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgbench.benchmarks.cli.commands import metric_values
from cgbench.benchmarks.cli.options import one_line_errors
from cgbench.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_TRIAL_FAILED, CgbenchError

if TYPE_CHECKING:
    from cgbench.benchmarks.regression.gate import Rules
    from cgbench.benchmarks.regression.run_numbers import Measurements

RUN = click.Path(path_type=Path)
BASELINE = click.option("--baseline", "file", type=RUN, required=True, help="The baseline, a JSON file.")
EXIT_CODES = {"pass": EXIT_OK, "fail": EXIT_TRIAL_FAILED, "inconclusive": EXIT_INCONCLUSIVE}


@click.command()
@click.argument("run_folder", type=RUN)
@BASELINE
@click.option("--strict", is_flag=True, help="Fail on what became better beyond the noise of seeds, too.")
@click.option(
    "--redrawn", is_flag=True,
    help="Let the test images be others in their last digits, as those of 'streets' on another kind of processor.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="List the numbers that pass as well.")
@click.option("--json", "json_file", type=RUN, help="Write the verdict as JSON to this file, too.")
@click.option("--junit", "junit_file", type=RUN, help="Write it as JUnit XML, for the page of a pull request.")
@one_line_errors
def check(
    run_folder: Path, file: Path, strict: bool, redrawn: bool, everything: bool,
    json_file: Path | None, junit_file: Path | None,
) -> int:  # fmt: skip
    """Say whether RUN_FOLDER is worse than a baseline by more than seeds explain.

    Exit code 0: it passes. 1: a number is worse beyond the noise of seeds, a trial failed or a number is missing.
    2: the two cannot be compared. 3: inconclusive: too few seeds, or a trial is not finished.
    """
    from cgbench.benchmarks.regression.baseline_file import read_baseline
    from cgbench.benchmarks.regression.changes import program_changes, setting_changes
    from cgbench.benchmarks.regression.gate import check as judge
    from cgbench.benchmarks.regression.verdict_formats import Checked, as_json, as_junit, as_text
    from cgbench.files import write_text

    known, run = read_baseline(file), _measured(run_folder)
    checked = Checked(
        str(run_folder), str(file), judge(known.measured, run, known.bands, known.rules, strict, redrawn),
        setting_changes(known.measured.settings, run.settings),
        program_changes(known.measured.provenance, run.provenance), redrawn,
    )  # fmt: skip
    code = EXIT_CODES[checked.verdict]
    if json_file:
        write_text(json_file, as_json(checked, code))
    if junit_file:
        write_text(junit_file, as_junit(checked))
    click.echo(as_text(checked, everything), nl=False)
    return code


@click.group()
def baseline() -> None:
    """Make or renew the baseline that 'cgbench check' compares with."""


@baseline.command()
@click.argument("run_folder", type=RUN)
@BASELINE
@click.option(
    "--minimum", "minimums", multiple=True, metavar="NUMBER=VALUE",
    help="Least change of a number that may fail, in its own units, for example fcn_iou=0.02. Kept in the file.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the change, and write nothing.")
@one_line_errors
def update(run_folder: Path, file: Path, minimums: tuple[str, ...], dry_run: bool) -> None:
    """Make RUN_FOLDER the baseline, and show what that changes.

    The more seeds it has, the narrower the band: 16 where checks have 5, say. Rules that the file holds
    are kept. Commit the file with the change that it belongs to.
    """
    from cgbench.benchmarks.regression.baseline_file import make_baseline, read_baseline, write_baseline
    from cgbench.benchmarks.regression.changes import update_text
    from cgbench.benchmarks.regression.gate import Rules

    old = read_baseline(file) if file.exists() else None
    new = make_baseline(_measured(run_folder), _with_minimums(old.rules if old else Rules(), minimums))
    click.echo(update_text(old, new), nl=False)
    if not dry_run:
        write_baseline(file, new)
    click.echo(f"{'Not written (--dry-run)' if dry_run else 'Written'}: {file}")


@click.command()
@click.argument("run_a", type=RUN)
@click.argument("run_b", type=RUN)
@click.option("--exit-code", is_flag=True, help="Exit with 1 where settings, states or numbers differ, as git does.")
@one_line_errors
def diff(run_a: Path, run_b: Path, exit_code: bool) -> int:
    """Show what differs between RUN_A and RUN_B: settings with the layer they came from, program, states, numbers."""
    from cgbench.benchmarks.regression.run_diff import diff_text, difference
    from cgbench.results.run import read_run

    found = difference(read_run(run_a), read_run(run_b), metric_values())
    click.echo(diff_text(found, str(run_a), str(run_b)), nl=False)
    return EXIT_TRIAL_FAILED if exit_code and found.differs else EXIT_OK


def _measured(run_folder: Path) -> Measurements:
    from cgbench.benchmarks.regression.run_numbers import measurements
    from cgbench.results.run import read_run

    return measurements(read_run(run_folder), metric_values())


def _with_minimums(rules: Rules, texts: tuple[str, ...]) -> Rules:
    """Return the rules with the minimum effects given by hand."""
    found = dict(rules.minimum)
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name or not 0 <= found[name] < float("inf"):
            raise CgbenchError(f"--minimum {text}: write NUMBER=VALUE, for example --minimum fcn_iou=0.02")
    return replace(rules, minimum=found)
