"""The command line. torch is imported only by the commands that compute. A group of commands of its own lives in a file
`cli_NAME.py` and is added at the end."""

from pathlib import Path
from typing import Any

import click

from cgbench import __version__
from cgbench.benchmarks.cli import commands, regression
from cgbench.benchmarks.cli.datasets import datasets
from cgbench.benchmarks.cli.extend import extend
from cgbench.benchmarks.cli.options import DATA_ROOT, DETERMINISTIC, DEVICE, JOBS, PRESET, SET, WAIT, one_line_errors
from cgbench.benchmarks.cli.speed import speed
from cgbench.benchmarks.cli.study import study
from cgbench.benchmarks.cli.translate import translate
from cgbench.reports.paper_tables.published import TABLES


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="cgbench")
def main() -> None:
    """Compare methods of unpaired image translation under identical seeds.

    \b
    A first run, a few minutes on a laptop, no data needed:
        cgbench run --methods cyclegan,gan_only --dataset streets --preset demo
    What there is:
        cgbench methods        cgbench datasets        cgbench show cyclegan
    """


@main.command()
@click.option("--methods", help="Names with commas between them, or 'all'. See 'cgbench methods'.")
@click.option("--dataset", help="See 'cgbench datasets'.")
@click.option("--seeds", help="Whole numbers with commas, or a range like 0-4.  [default: 0; of a suite 0-2]")
@PRESET
@click.option("--suite", help="A TOML file with these options, or the name of one that comes along (family).")
@SET
@DATA_ROOT
@DEVICE
@click.option("--name", help="Name of the run's folder.  [default: DATASET-PRESET]")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder that holds all runs.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan with measured times, and train nothing.")
@JOBS
@DETERMINISTIC
@WAIT
@one_line_errors
def run(**options: Any) -> int:
    """Train, measure and compare methods, and write the report.

    The untrained rows 'copy', 'shuffled' and 'real' are always added: the floors and the ceiling of every score.
    Stop it whenever you like (Ctrl-C, SIGTERM); the same command goes on where it was. Exit code 0: all trials are
    done, 1: some failed or diverged, or the disk is full, 2: something is wrong with the command or the data, 128 and
    the signal's number: stopped (130 by Ctrl-C, 143 by SIGTERM).
    """
    return commands.run(**options)


@main.command()
@one_line_errors
def methods() -> None:
    """List the methods."""
    commands.list_methods()


@main.command()
@one_line_errors
def metrics() -> None:
    """List the metrics and the numbers they give."""
    commands.list_metrics()


@main.command()
@one_line_errors
def failures() -> None:
    """List the failures that are looked for, and from where on they count."""
    commands.list_failures()


@main.command()
@click.argument("method")
@PRESET
@SET
@one_line_errors
def show(method: str, preset: str | None, assignments: tuple[str, ...]) -> None:
    """Show what METHOD trains: networks, players, every live loss term, and its difference from its parent."""
    commands.show(method, preset or "paper", assignments)


@main.command()
@click.argument("run_folder", type=click.Path(path_type=Path))
@DATA_ROOT
@DEVICE
@WAIT
@one_line_errors
def evaluate(run_folder: Path, data_root: Path | None, device: str, wait: bool) -> int:
    """Translate the test images again with the trained models of RUN_FOLDER, measure them, and write the report."""
    return commands.evaluate(run_folder, data_root, device, wait)


@main.command()
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.option("--reference", default="", help="Method that all are compared with.  [default: cyclegan, or the first]")
@click.option(
    "--format", "form", type=click.Choice(["md", "csv", "latex", "html"]),
    help="Only print the report in this form, and write nothing.",
)  # fmt: skip
@WAIT
@one_line_errors
def report(run_folder: Path, reference: str, form: str | None, wait: bool) -> None:
    """Write the tables and the page of RUN_FOLDER from its records, and print the table.

    Unlike the report at the end of 'run' and 'evaluate', this one also writes every figure as an SVG and a PNG file.
    """
    if form:
        commands.print_report(run_folder, reference, form)
    else:
        commands.report_again(run_folder, reference, wait)


@main.command()
@click.argument("which", metavar="TABLE", type=click.Choice(list(TABLES)))
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["md", "latex", "csv"]), default="md", show_default=True,
    help="Markdown, LaTeX with booktabs, or CSV with one line per row and score.",
)  # fmt: skip
@one_line_errors
def table(which: str, run_folder: Path, form: str) -> None:
    """Print RUN_FOLDER beside a published TABLE: the paper's value, ours and the difference.

    \b
    2  CycleGAN paper: CycleGAN and its rivals, labels→photo
    3  the same, photo→labels
    4  CycleGAN paper: CycleGAN and its ablations, labels→photo
    5  the same, photo→labels
    cut  CUT paper, Table 1: one-sided methods, labels→photo
    """
    commands.table(which, run_folder, form)


main.add_command(datasets)
main.add_command(extend)
main.add_command(speed)
main.add_command(study)
main.add_command(translate)
main.add_command(regression.check)
main.add_command(regression.baseline)
main.add_command(regression.diff)
