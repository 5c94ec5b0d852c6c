"""`cgbench speed`: how fast it is here."""

from pathlib import Path

import click
from rich.console import Console

from cgbench.benchmarks.cli import commands
from cgbench.benchmarks.cli.options import DEVICE, named, one_line_errors
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.runtime.signals import name_of, number_of
from cgbench.errors import EXIT_OK, EXIT_SIGNAL, EXIT_TRIAL_FAILED
from cgbench.files import write_json

WHAT = ("step", "table", "data", "translation", "features", "run", "start")
WIDE = 150  # of the tables, in a file or a pipe as well


@click.command()
@click.option("--what", "parts", default=",".join(WHAT), show_default=True, help="What is measured, in this order.")
@click.option("--methods", default="all", show_default=True, help="Names with commas between them; 'run' takes one.")
@click.option(
    "--sizes", default="64", show_default=True,
    help="Of 32, 64 (the demo preset), 128 and 256 (the published networks), with commas; 'run' takes the first.",
)  # fmt: skip
@click.option(
    "--arm", "arms", multiple=True, metavar="NAME:KEY=VALUE[,KEY=VALUE]",
    help="Measure with these settings as well, beside the defaults. Repeatable.",
)  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=5.0, show_default=True,
    help="Time for each arm of each comparison; three rounds at least.",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), help="So many rounds instead, however long they take.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write everything to this file, too.")
@DEVICE
@one_line_errors
def speed(
    parts: str, methods: str, sizes: str, arms: tuple[str, ...], seconds: float, rounds: int | None, file: Path | None,
    device: str,
) -> int:  # fmt: skip
    """Measure how fast cgbench is on this machine, beside a plain reference of the same networks and losses.

    All arms take turns in one process (A B A B). Minutes for one size of all methods on a CPU. Ctrl-C shows, and
    writes, what was measured until then. Exit code 1: something could not be measured that should have been.
    """
    chosen = named("--what", parts, WHAT)
    from cgbench.benchmarks.speed.measurements import SpeedOptions
    from cgbench.benchmarks.speed.session import Report, as_json, measure
    from cgbench.benchmarks.speed.tables import left_out_lines, tables
    from cgbench.benchmarks.speed.timing import Budget
    from cgbench.benchmarks.speed.workload import SIZES, read_methods, read_variants

    plan = SpeedOptions(
        read_methods(methods), named("--sizes", sizes, SIZES), read_variants(arms), Budget(seconds, rounds or 0),
        commands.choose_device(device), lambda text: console.print(text, style="dim"),
    )  # fmt: skip
    report, code = Report(), EXIT_OK
    try:
        measure(chosen, plan, report)
    except KeyboardInterrupt as stop:
        click.echo(f"stopped by {name_of(stop)}: this is what was measured until then", err=True)
        code = EXIT_SIGNAL + number_of(stop)
    wide = Console(highlight=False, width=max(console.width, WIDE))
    for table in tables(report.entries):
        wide.print(table)
    for line in left_out_lines(report.left_out):
        click.echo(line, err=True)
    if file:
        write_json(file, as_json(report, plan))
    return code or (EXIT_TRIAL_FAILED if report.failed else EXIT_OK)
