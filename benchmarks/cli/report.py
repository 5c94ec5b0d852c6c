"""`cgbench report` and `cgbench table`: tables and page of a run, and a run beside a published table."""

import os
import shutil
import sys
from pathlib import Path

import click

from cgbench.api.names import Analysis
from cgbench.api.registry import metric_values
from cgbench.benchmarks.cli.options import RUN_FOLDER, WAIT, Command, one_line_errors, one_line_run_errors
from cgbench.benchmarks.execution.run_lock import exclusive_run
from cgbench.benchmarks.runtime.process_setup import use_one_blas_thread
from cgbench.reports.paper_tables.published import TABLES
from cgbench.results.run_folder import trial_folders


def write_and_print(
    run_folder: Path, reference: str = "", figures: bool = False, analysis: Analysis = Analysis.BAND
) -> None:
    """Write tables and page, with `figures` every figure as files too; print the tables and where the page lies: on a
    terminal the scores in lines that fit, elsewhere all of `table.md`.

    The caller must hold the run's lock.
    """
    from cgbench.reports.contents import collect_contents
    from cgbench.reports.report import write_contents
    from cgbench.reports.terminal import terminal_text

    trial_folders(run_folder)
    contents = collect_contents(run_folder, metric_values(), reference, analysis)
    page = write_contents(run_folder, contents, figures)
    table = page.parent / "table.md"
    if sys.stdout.isatty():
        click.echo(terminal_text(contents, shutil.get_terminal_size().columns, os.environ.get("TERM") != "dumb"))
        click.echo(f"Differences, failures and costs: {table}")
    else:
        click.echo(table.read_text(encoding="utf-8"))
    click.echo(f"Report: {page}")


@click.command(
    cls=Command,
    short_help="Write tables and page of a run.",
    examples=(
        "cgbench report runs/streets-demo",
        "cgbench report runs/streets-demo --reference gan_only",
        "cgbench report runs/streets-demo --analysis welch",
        "cgbench report runs/streets-demo --format latex > table.tex",
    ),
)
@RUN_FOLDER
@click.option("--reference", default="", metavar="METHOD",
              help="Reference method for pairwise differences.  [default: cyclegan, or the first]")  # fmt: skip
@click.option(
    "--analysis", type=click.Choice([analysis.value for analysis in Analysis]), default=Analysis.BAND.value,
    show_default=True,
    help="Intervals and tests of differences. band: seeds are independent, the methods' variances inform each other; "
    "welch: Welch's t with Holm's correction; paired: Student's t over seeds in common, five or more, with the same, "
    "for an ablation named beforehand.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["md", "csv", "latex", "html"]),
    help="Print the report in this format and write nothing.",
)  # fmt: skip
@WAIT
@one_line_run_errors
def report(run_folder: Path, reference: str, analysis: str, form: str | None, wait: bool) -> None:
    """Write the tables and the page of RUN from its records, and print the tables.

    On a terminal the scores are printed in lines that fit; into a file or a pipe goes all of table.md.

    Unlike the report at the end of 'run' and 'evaluate', this one also writes every figure as an SVG and a PNG file.
    """
    use_one_blas_thread()
    trial_folders(run_folder)
    if form:
        from cgbench.reports.report import report_text

        click.echo(report_text(run_folder, metric_values(), reference, form, Analysis(analysis)), nl=False)
        return
    with exclusive_run(run_folder, wait):
        write_and_print(run_folder, reference, figures=True, analysis=Analysis(analysis))


@click.command(
    cls=Command,
    short_help="Print a run beside a published table.",
    examples=("cgbench table 4 runs/cityscapes-paper", "cgbench table cut runs/cut --format csv"),
)
@click.argument("which", metavar="TABLE", type=click.Choice(list(TABLES)))
@RUN_FOLDER
@click.option(
    "--format", "form", type=click.Choice(["md", "latex", "csv"]), default="md", show_default=True,
    help="Markdown, LaTeX with booktabs, or CSV with one line per row and score.",
)  # fmt: skip
@one_line_errors
def table(which: str, run_folder: Path, form: str) -> None:
    """Print RUN beside a published TABLE: the paper's value, ours and the difference.

    \b
    2    CycleGAN paper: CycleGAN and its rivals, labels→photo
    3    the same, photo→labels
    4    CycleGAN paper: CycleGAN and its ablations, labels→photo
    5    the same, photo→labels
    cut  CUT paper, Table 1: one-sided methods, labels→photo
    """
    from cgbench.reports.paper_tables.formats import FORMATS
    from cgbench.results.run import read_run

    trial_folders(run_folder)
    click.echo(FORMATS[form](read_run(run_folder), TABLES[which]), nl=False)
