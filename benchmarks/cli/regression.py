"""`cgbench check`, `baseline update` and `diff`: the drift gate. No command here needs torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgbench.api.registry import metric_values
from cgbench.benchmarks.cli.options import RUN_FOLDER, Command, Group, one_line_errors, one_line_gate_errors
from cgbench.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_TRIAL_FAILED, CgbenchError

if TYPE_CHECKING:
    from cgbench.benchmarks.regression.gate import Rules
    from cgbench.benchmarks.regression.run_numbers import RunNumbers

RUN = click.Path(path_type=Path)
BASELINE = click.option("--baseline", "file", type=RUN, required=True, metavar="FILE", help="Baseline (a JSON file).")
EXIT_CODES = {"pass": EXIT_OK, "fail": EXIT_TRIAL_FAILED, "inconclusive": EXIT_INCONCLUSIVE}


@click.command(
    cls=Command,
    short_help="Test a run against a baseline.",
    former={"--redrawn": "--allow-redrawn-images", "--all": "--show-passing"},
    examples=(
        "cgbench run --suite ci",
        "cgbench check runs/ci --baseline benchmarks/baselines/ci.json",
        "cgbench check runs/ci --baseline ci.json --junit verdict.xml --strict",
    ),
)  # fmt: skip
@RUN_FOLDER
@BASELINE
@click.option("--strict", is_flag=True, help="Also fail on significant improvements.")
@click.option(
    "--allow-redrawn-images", is_flag=True,
    help="Allow test images that differ by floating-point rounding (procedural datasets rendered on another CPU).",
)  # fmt: skip
@click.option("--show-passing", is_flag=True, help="Also list the numbers that pass.")
@click.option("--json", "json_file", type=RUN, metavar="FILE", help="Also write the verdict as JSON.")
@click.option("--junit", "junit_file", type=RUN, metavar="FILE",
              help="Also write the verdict as JUnit XML, for the page of a pull request.")  # fmt: skip
@one_line_gate_errors
def check(
    run_folder: Path, file: Path, strict: bool, allow_redrawn_images: bool, show_passing: bool,
    json_file: Path | None, junit_file: Path | None,
) -> int:  # fmt: skip
    """Test whether RUN is worse than a baseline by more than seeds explain.

    \b
    Exit code 0  it passes
              1  a number is worse beyond the noise of seeds, a trial failed,
                 or a number is missing
              2  the two cannot be compared, or the verdict cannot be written
              3  inconclusive: too few seeds, or a trial is not finished
    """
    from cgbench.benchmarks.regression.baseline_file import read_baseline
    from cgbench.benchmarks.regression.changes import program_changes, setting_changes
    from cgbench.benchmarks.regression.gate import check as compare_with_baseline
    from cgbench.benchmarks.regression.verdict_formats import CheckResult, as_json, as_junit, as_text
    from cgbench.files import write_text

    known, run = read_baseline(file), _measured(run_folder)
    checked = CheckResult(
        str(run_folder), str(file),
        compare_with_baseline(known.run, run, known.tolerances, known.rules, strict, allow_redrawn_images),
        setting_changes(known.run.settings, run.settings),
        program_changes(known.run.provenance, run.provenance), allow_redrawn_images,
    )  # fmt: skip
    code = EXIT_CODES[checked.verdict]
    if json_file:
        write_text(json_file, as_json(checked, code))
    if junit_file:
        write_text(junit_file, as_junit(checked))
    click.echo(as_text(checked, show_passing), nl=False)
    return code


@click.group(
    cls=Group,
    short_help="Create or update a baseline.",
    examples=("cgbench baseline update runs/ci --baseline ci.json --dry-run",),
)
def baseline() -> None:
    """Create or update the baseline that 'cgbench check' compares with."""


@baseline.command(
    former={"--minimum": "--min-effect"},
    examples=(
        "cgbench run --suite ci --seeds 531316,543564,... --name ci-baseline",
        "cgbench baseline update runs/ci-baseline --baseline ci.json --dry-run",
        "cgbench baseline update runs/ci-baseline --baseline ci.json \\",
        "    --min-effect fcn_iou=0.02",
    ),
)
@RUN_FOLDER
@BASELINE
@click.option(
    "--min-effect", "minimums", multiple=True, metavar="NUMBER=VALUE",
    help="Smallest change of a number that fails, in its own units, for example fcn_iou=0.02. Stored in the file. "
    "Repeatable.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the change and write nothing.")
@one_line_errors
def update(run_folder: Path, file: Path, minimums: tuple[str, ...], dry_run: bool) -> None:
    """Make RUN the baseline, and show what that changes.

    The more seeds it has, the narrower the band: 24 or more where checks have 5, drawn at random from a wide range,
    those of the checks among them. Rules stored in the file are kept. Commit the file with the change that it
    belongs to.
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


@click.command(
    cls=Command,
    short_help="Show what differs between two runs.",
    examples=("cgbench diff runs/before runs/after", "cgbench diff runs/before runs/after --exit-code"),
)
@click.argument("run_a", type=RUN)
@click.argument("run_b", type=RUN)
@click.option("--exit-code", is_flag=True, help="Exit with code 1 if settings, states or numbers differ.")
@one_line_gate_errors
def diff(run_a: Path, run_b: Path, exit_code: bool) -> int:
    """Show what differs between RUN_A and RUN_B: settings with the layer they came from, program, states, numbers."""
    from cgbench.benchmarks.regression.run_diff import diff_text, difference
    from cgbench.results.run import read_run

    found = difference(read_run(run_a, uniform=False), read_run(run_b, uniform=False), metric_values())
    click.echo(diff_text(found, str(run_a), str(run_b)), nl=False)
    return EXIT_TRIAL_FAILED if exit_code and found.differs else EXIT_OK


def _measured(run_folder: Path) -> RunNumbers:
    from cgbench.benchmarks.regression.run_numbers import collect_numbers
    from cgbench.results.run import read_run

    return collect_numbers(read_run(run_folder), metric_values())


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
            raise CgbenchError(f"--min-effect {text}: write NUMBER=VALUE, for example --min-effect fcn_iou=0.02")
    return replace(rules, minimum=found)
