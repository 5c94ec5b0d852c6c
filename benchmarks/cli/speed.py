"""`cgbench speed`: timing of training, data loading, translation and whole runs."""

from pathlib import Path

import click
from rich.console import Console

from cgbench.benchmarks.cli.options import (
    DEVICE,
    METHOD_NAMES,
    QUIET_OPTION,
    Command,
    known_names,
    one_line_errors,
    resolve_device,
)
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.runtime.signals import signal_name, signal_number
from cgbench.errors import EXIT_OK, EXIT_SIGNAL, EXIT_TRIAL_FAILED
from cgbench.files import write_json

PARTS = ("step", "table", "data", "translation", "features", "run", "start")
WIDTH = 150  # characters of the tables, in a file or a pipe as well


@click.command(
    cls=Command,
    short_help="Time training, data loading and whole runs.",
    former={"--what": "--parts", "--arm": "--variant"},
    examples=(
        "cgbench speed --methods cyclegan --sizes 64",
        "cgbench speed --parts step,data --sizes 64,128 --methods cyclegan,cut",
        "cgbench speed --parts step --methods cyclegan --variant bf16:precision=bf16",
    ),
)  # fmt: skip
@click.option("--parts", default=",".join(PARTS), show_default=True, metavar="NAMES",
              help="Comma-separated parts to time, in this order.")  # fmt: skip
@click.option("--methods", default="all", show_default=True, metavar="NAMES", shell_complete=METHOD_NAMES,
              help="Comma-separated method names, or 'all'; part 'run' takes the first.")  # fmt: skip
@click.option(
    "--sizes", default="64", show_default=True, metavar="NAMES",
    help="Comma-separated image sizes: 32, 64 (the demo preset), 128, 256 (the published networks); part 'run' takes "
    "the first.",
)  # fmt: skip
@click.option(
    "--variant", "variants", multiple=True, metavar="NAME:KEY=VALUE[,KEY=VALUE]",
    help="Also time this configuration. Repeatable.",
)  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=5.0, show_default=True,
    help="Time budget per variant of each comparison, three rounds at least.",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1),
              help="Run exactly this many rounds instead of a time budget.")  # fmt: skip
@click.option("--json", "file", type=click.Path(path_type=Path), metavar="FILE",
              help="Also write all measurements as JSON.")  # fmt: skip
@DEVICE
@QUIET_OPTION
@one_line_errors
def speed(
    parts: str, methods: str, sizes: str, variants: tuple[str, ...], seconds: float, rounds: int | None,
    file: Path | None, device: str,
) -> int:  # fmt: skip
    """Time cgbench on this machine, beside a plain reference step of the same networks and losses.

    All variants take turns in one process (A B A B). One size of all methods takes minutes on a CPU. Ctrl-C shows,
    and writes, what was measured until then. Exit code 1: something could not be measured that should have been.
    """
    chosen = known_names("--parts", parts, PARTS)
    from cgbench.benchmarks.speed.measurements import SpeedOptions
    from cgbench.benchmarks.speed.session import Report, as_json, measure
    from cgbench.benchmarks.speed.tables import left_out_lines, tables
    from cgbench.benchmarks.speed.timing import Budget
    from cgbench.benchmarks.speed.workload import SIZES, read_methods, read_variants

    options = SpeedOptions(
        read_methods(methods), known_names("--sizes", sizes, SIZES), read_variants(variants),
        Budget(seconds, rounds or 0), resolve_device(device), lambda text: console.print(text, style="dim"),
    )  # fmt: skip
    report, code = Report(), EXIT_OK
    try:
        measure(chosen, options, report)
    except KeyboardInterrupt as stop:
        click.echo(f"stopped by {signal_name(stop)}: this is what was measured until then", err=True)
        code = EXIT_SIGNAL + signal_number(stop)
    wide = Console(highlight=False, width=max(console.width, WIDTH))
    for table in tables(report.entries):
        wide.print(table)
    for line in left_out_lines(report.left_out):
        click.echo(line, err=True)
    if file:
        write_json(file, as_json(report, options))
    return code or (EXIT_TRIAL_FAILED if report.failed else EXIT_OK)
