"""`cgbench methods`, `metrics`, `failures` and `show`: the registered components, listed and explained."""

import shutil
import sys

import click

from cgbench.api.failure import CONTROL_RATE, HEALTHY_RATE
from cgbench.api.method_description import describe
from cgbench.api.registry import DATASETS, FAILURES, METHODS, METRICS, Registry
from cgbench.benchmarks.cli.options import PRESET, SET, Command, completes, one_line_errors
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.trials.trial import Trial, resolve_one
from cgbench.errors import CgbenchError, DataMissing, error_line
from cgbench.formatting import MIN_WIDTH, wrapped

ARROWS = {"higher": "↑", "lower": "↓", "": ""}


@click.command(cls=Command, examples=("cgbench methods", "cgbench show cyclegan"))
@one_line_errors
def methods() -> None:
    """List the methods that can be trained."""
    rows = [METHODS.get(name) for name in METHODS.names()]
    width = max(len(method.name) for method in rows)
    for method in rows:
        echo_entry(f"{method.name:{width}}", method.summary)
    echo_note("'cgbench show NAME' tells networks and losses. Reference rows (floor, ceiling) join every run.")
    print_broken_plugins(METHODS)


@click.command(cls=Command, examples=("cgbench metrics",))
@one_line_errors
def metrics() -> None:
    """List the metrics and the numbers they give."""
    names = METRICS.names()
    width = max(map(len, names))
    for name in names:
        metric = METRICS.get(name)
        values = ", ".join(f"{value.name} {ARROWS[value.better]}".strip() for value in metric.values)
        echo_entry(f"{name:{width}}", f"{metric.summary} [{values}]")
    print_broken_plugins(METRICS)


@click.command(cls=Command, short_help="List the failure modes that are detected.", examples=("cgbench failures",))
@one_line_errors
def failures() -> None:
    """List the failure modes that are detected, with their thresholds."""
    rows = sorted(map(FAILURES.get, FAILURES.names()), key=lambda failure: failure.rank)
    width = max(len(failure.name) for failure in rows)
    for failure in rows:
        sign = "≥" if failure.above else "≤"
        how = "or stricter" if failure.control is not None else "fixed"
        limits = f"{sign} {failure.threshold:g}, {how}, in {failure.share:.0%}"
        echo_entry(f"{failure.name:{width}}", f"{failure.summary} [{limits}]")
    echo_note("In brackets: the evidence of an image, and the share of images from which a trial has the failure.")
    echo_note(
        f"'or stricter': set for each dataset when a run is evaluated, so that at most {HEALTHY_RATE:.0%} of its real "
        f"images,\nslightly disturbed, are called. Where less than {CONTROL_RATE:.0%} of these are called, the failure "
        "cannot be judged:"
    )
    for failure in rows:
        if failure.control is not None:
            echo_entry(f"  {failure.name:{width}}", failure.control.description)
    print_broken_plugins(FAILURES)


@click.command(
    cls=Command,
    short_help="Show networks, graph and losses of a method.",
    examples=("cgbench show cyclegan", "cgbench show cut --preset smoke --set cut.nce_b=0"),
)
@click.argument("method", shell_complete=completes(METHODS))
@PRESET
@SET
@one_line_errors
def show(method: str, preset: str | None, assignments: tuple[str, ...]) -> None:
    """Show what METHOD trains: networks, players, every live loss term, and its difference from its parent."""
    click.echo(method_text(resolve_one(method, preset or "paper", assignments)))


def echo_entry(name: str, text: str) -> None:
    """Print a padded name and the text about it: on a terminal in lines that fit, elsewhere in one line."""
    click.echo(f"{name}  {_fitted(text, len(name) + 2)}")


def echo_note(text: str) -> None:
    """Print an empty line and a text: on a terminal in lines that fit, elsewhere as it is."""
    click.echo(f"\n{_fitted(text)}")


def _fitted(text: str, indent: int = 0) -> str:
    if not sys.stdout.isatty():
        return text
    margin = " " * indent
    return wrapped(text, max(MIN_WIDTH, shutil.get_terminal_size().columns), margin, margin).lstrip()


def print_broken_plugins(*registries: Registry) -> None:
    """Print the plugins that could not be loaded, with the reason, on standard error; with `--verbose` also where each
    error was raised. Without `registries`, those of all kinds."""
    for registry in registries or (METHODS, DATASETS, METRICS, FAILURES):
        registry.discover()
        for name, reason in registry.broken.items():
            click.echo(f"plugin '{name}' could not be loaded: {reason}", err=True)
            console.debug(registry.tracebacks.get(name, ""))


def method_text(trial: Trial) -> str:
    """Return networks with their weights counted, tensors, players, live terms, and the difference from the parent."""
    from cgbench.benchmarks.evaluation.scorer import build_network
    from cgbench.benchmarks.execution.step_memory import ensure_networks_fit
    from cgbench.methods.blocks.model import Model

    method, facts = trial.method, describe(trial.method)
    config = trial.config
    problem = ""
    try:
        ensure_networks_fit(trial)
        counts = Model(method, config, 0, scorer=build_network(config.classes, config.scorer_width)).parameter_counts()
    except DataMissing as error:
        counts, problem = {}, str(error)
    except (RuntimeError, MemoryError) as error:  # too large, most often
        raise CgbenchError(f"{method.name}: its networks cannot be built: {error_line(error)}") from None
    lines = [f"{method.name}: {method.summary}", f"source: {method.source or 'none given'}"]
    if method.parent:
        lines.append(f"difference from {method.parent}: {'; '.join(method.changes)}")
    lines.append(
        f"\nnetworks (preset {trial.preset}: {config.crop_size} pixels, {config.blocks} blocks, ngf {config.ngf})"
    )
    lines += [f"  {name:12} {count:>12,} weights  {facts['networks'][name]}" for name, count in counts.items()]
    lines.append(f"  not counted: {problem}" if problem else f"  {'total':12} {sum(counts.values()):>12,}")
    lines.append("\ntensors that training computes")
    lines += [f"  {name} = {text}" for name, text in facts["tensors"].items()]
    for player, networks in facts["players"].items():
        lines.append(f"\nplayer {player} trains {', '.join(networks)} to lower")
        terms = [term for term in facts["terms"] if term["player"] == player]
        lines += [
            f"  {term['weight']:>5g} × {term['name']:22} {term['function']}({', '.join(term['reads'])})"
            for term in terms
        ]
    frozen = [name for name in counts if method.networks[name].frozen]
    if frozen:
        lines.append(f"\nfrozen, trained by nothing here: {', '.join(frozen)}")
    dead = [term.name for term in method.terms if term.name not in {entry["name"] for entry in facts["terms"]}]
    if dead:
        lines.append(f"\nnot trained, because nothing depends on it: {', '.join(dead)}")
    translations = [f"{direction}: {tensor}" for direction, tensor in facts["translates"].items()]
    lines.append(f"\ntranslates {'; '.join(translations)}")
    return "\n".join(lines)
