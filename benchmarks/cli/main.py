"""The command `cgbench`: its groups of commands, and shell completion. Each command has a file of its own."""

import click
from click.shell_completion import get_completion_class

from cgbench import __version__
from cgbench.benchmarks.cli.datasets import datasets
from cgbench.benchmarks.cli.exchange import export, import_group
from cgbench.benchmarks.cli.finished_runs import evaluate, extend
from cgbench.benchmarks.cli.listings import failures, methods, metrics, show
from cgbench.benchmarks.cli.options import Group, one_line_errors
from cgbench.benchmarks.cli.regression import baseline, check, diff
from cgbench.benchmarks.cli.report import report, table
from cgbench.benchmarks.cli.run import run
from cgbench.benchmarks.cli.speed import speed
from cgbench.benchmarks.cli.study import study
from cgbench.benchmarks.cli.translate import translate
from cgbench.benchmarks.runtime.process_setup import prepare_process
from cgbench.errors import CgbenchError

SHELLS = ("bash", "zsh", "fish")
SECTIONS = {
    "Run": ("run", "extend", "evaluate", "translate", "speed"),
    "Exchange": ("import", "export"),
    "Results": ("report", "table"),
    "Components": ("methods", "metrics", "failures", "show"),
    "Data": ("datasets",),
    "Regression": ("check", "baseline", "diff"),
    "Perceptual study": ("study",),
    "Shell": ("completion",),
}
EXAMPLES = (
    "cgbench run --methods cyclegan,gan_only --dataset streets --preset demo",
    "cgbench run --suite family --dataset camvid --data-root DIR --jobs auto",
    "cgbench report runs/streets-demo --format latex",
    "cgbench show cyclegan",
)


@click.group(
    cls=Group, sections=SECTIONS, examples=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)  # fmt: skip
@click.version_option(__version__, prog_name="cgbench")
def main() -> None:
    """Train and compare methods of unpaired image translation under identical seeds.

    The first example needs no data and takes a few minutes on a laptop. 'cgbench COMMAND --help' explains a command.
    """
    prepare_process()


@main.command(
    short_help="Print the shell completion script.",
    examples=(
        'eval "$(cgbench completion bash)"                  # in ~/.bashrc',
        'eval "$(cgbench completion zsh)"                   # in ~/.zshrc',
        "cgbench completion fish > ~/.config/fish/completions/cgbench.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@one_line_errors
def completion(shell: str) -> None:
    """Print the shell completion script for bash, zsh or fish.

    It completes commands, options, and the names of methods, datasets and suites.
    """
    completer = get_completion_class(shell)
    if completer is None:
        raise CgbenchError(f"completion {shell}: the installed version of click has none for this shell")
    try:
        click.echo(completer(main, {}, "cgbench", "_CGBENCH_COMPLETE").source())
    except RuntimeError as error:  # a bash that is too old
        raise CgbenchError(f"completion {shell}: {error}") from None


for command in (
    run, extend, evaluate, translate, speed, report, table, methods, metrics, failures, show, datasets, check,
    baseline, diff, study, import_group, export,
):  # fmt: skip
    main.add_command(command)
