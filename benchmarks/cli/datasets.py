"""`cgbench datasets`: the datasets listed, one checked, a public one fetched. Starts without torch."""

import json
import shutil
from pathlib import Path

import click

from cgbench.api.dataset import Dataset
from cgbench.api.registry import DATASETS
from cgbench.benchmarks.cli.listings import echo_entry, echo_note, print_broken_plugins
from cgbench.benchmarks.cli.options import (
    DATA_ROOT,
    DATASET_NAMES,
    QUIET_OPTION,
    Group,
    comma_separated,
    one_line_errors,
)
from cgbench.benchmarks.runtime.process_setup import use_one_blas_thread
from cgbench.benchmarks.runtime.progress import console, progress
from cgbench.config_layers import resolve, split_assignments
from cgbench.errors import EXIT_OK, EXIT_TRIAL_FAILED, EXIT_USAGE, CgbenchError, DataBroken, DataMissing, PluginError
from cgbench.formatting import plural, printable, shortened

DATASET_SETTINGS = ("split", "paired")
SHOWN = 10  # files of a warning or note that the text names; of errors all are named


@click.group(
    cls=Group,
    short_help="List, check and fetch datasets.",
    invoke_without_command=True,
    examples=(
        "cgbench datasets --data-root DIR",
        "cgbench datasets check cityscapes --data-root DIR --split train,test",
        "cgbench datasets fetch horse2zebra --data-root DIR",
    ),
)  # fmt: skip
@DATA_ROOT
@click.pass_context
def datasets(context: click.Context, data_root: Path | None) -> None:
    """List the datasets and whether each is ready; check one; fetch a public one.

    Decoded images are cached in the directory 'decoded' of CGBENCH_CACHE (default ~/.cache/cgbench), up to
    CGBENCH_CACHE_LIMIT (default 20 GB; 0 disables the cache); the least recently used entries are evicted. The
    directory can be deleted at any time.
    """
    context.obj = data_root
    if context.invoked_subcommand is None:
        one_line_errors(list_datasets)(data_root)


def list_datasets(data_root: Path | None) -> None:
    """Print one line per dataset: its name, whether it is ready, what it is."""
    names = DATASETS.names()
    width = max(map(len, names))
    for name in names:
        summary = ""
        try:
            data = DATASETS.factory(name)(data_root)
            summary = data.summary
            state = "ready" if data.missing() is None else "not there"
        except PluginError as error:
            state, summary = "broken", str(error)
        except CgbenchError:  # a folder that may not be listed must not hide the others
            state = "unreadable"
        echo_entry(f"{name:{width}}  {state:10}", summary)
    echo_note(
        "Data is looked for under --data-root or CGBENCH_DATA. 'cgbench run' says how to get what is not there,\n"
        "'cgbench datasets fetch' gets public sets, 'cgbench datasets check NAME' examines one."
    )
    print_broken_plugins(DATASETS)


@datasets.command(
    examples=(
        "cgbench datasets check streets --limit 20",
        "cgbench datasets check folder --data-root DIR --format json",
    )
)
@click.argument("name", shell_complete=DATASET_NAMES)
@DATA_ROOT
@click.option("--split", "splits", multiple=True, metavar="SPLITS",
              help="Comma-separated splits to check.  [default: all]")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=0), default=0, metavar="N",
              help="Number of images to check per split and domain; 0 means all.")  # fmt: skip
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
              help="The settings 'split' and 'paired' of a run, repeatable.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="Output format.")  # fmt: skip
@QUIET_OPTION
@click.pass_obj
@one_line_errors
def check(
    inherited: Path | None, name: str, data_root: Path | None, splits: tuple[str, ...], limit: int,
    assignments: tuple[str, ...], form: str,
) -> int:  # fmt: skip
    """Examine dataset NAME and report everything that is wrong, with file names and what to do.

    \b
    error    training would fail, or a number would be wrong
    warning  suspicious: test images in training, shared scenes, blank maps,
             domains that their format or compression tells apart
    note     good to know

    Exit code 0: no error (warnings are allowed), 1: errors were found, 2: data is not there,
    all of it or a part.
    """
    use_one_blas_thread()
    from cgbench.datasets.checks.checker import check as check_dataset
    from cgbench.datasets.checks.report import Report

    data = DATASETS.chosen(name)(data_root or inherited)
    data.configure(**_dataset_settings(assignments))
    chosen = tuple(split for text in splits for split in comma_separated(text))
    if form == "json":
        report: Report = check_dataset(data, chosen, limit)
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        with progress(f"looking at {data.label}") as update:
            report = check_dataset(data, chosen, limit, update)
        _print(report, name)
    if report.incomplete:
        return EXIT_USAGE
    return EXIT_TRIAL_FAILED if report.count("error") else EXIT_OK


def _dataset_settings(assignments: tuple[str, ...]) -> dict[str, str]:
    """Return the values of `split` and `paired` in the texts of `--set`; other settings raise."""
    shared, own = split_assignments(assignments)
    for key in (*shared, *own):
        if key not in DATASET_SETTINGS:
            known = " and ".join(DATASET_SETTINGS)
            raise CgbenchError(f"--set {shortened(key)}: a check knows the settings {known} alone")
    config = resolve([("--set", shared)]).config
    return {key: getattr(config, key) for key in shared}


def check_before_training(dataset: Dataset) -> None:
    """Print in one line what folders, file names and headers of a dataset show, if anything, and how to see all of it.

    A file that cannot be read or would be changed silently, and sets of class ids in place of pictures, for which a few
    files are decoded, raise `DataBroken`.
    """
    from cgbench.benchmarks.data.loading import check_command
    from cgbench.datasets.checks.quick_checks import check_quickly, summary

    with progress(f"reading the headers of {dataset.label}") as update:
        issues = check_quickly(dataset, update)
    errors = [issue for issue in issues if issue.severity == "error"]
    if errors:
        more = f"; {plural(len(errors) - 1, 'more error')}" if len(errors) > 1 else ""
        text = ": ".join([*_few(errors[0].files), errors[0].text])
        raise DataBroken(f"{text}{more} ({check_command(dataset)} lists all that is wrong)")
    if issues:
        console.print(f"{dataset.label}: {summary(issues)}: {printable(check_command(dataset))}", style="yellow")


def _print(report, name: str) -> None:
    """Print a report for people: what was looked at, findings from the worst to the least, the sum."""
    from cgbench.datasets.checks.report import CHECKS

    click.echo(f"{report.dataset}" + (f" in {report.root}" if report.root else ""))
    for entry in report.summaries:
        count, noun = plural(entry.images, "image").split()
        click.echo(f"  {entry.split:5}  {entry.domain}  {entry.name:8}  {count:>6} {noun:6}  {entry.size}".rstrip())
    for line in report.formats:
        _wrapped(f"numbers of {line}", "  ")
    if report.test_images:
        _wrapped(f"test images: {report.test_images}", "  ")
    for severity, check_name, remedy, findings in report.groups():
        click.echo()
        _wrapped(f"{severity}: {CHECKS[check_name]} ({len(findings)})", "")
        most = len(findings) if severity == "error" else SHOWN
        for finding in findings[:most]:
            _wrapped(": ".join([*_few(finding.files), finding.text]), "  ")
        if len(findings) > most:
            click.echo(f"  and {len(findings) - most} more: --format json names them all")
        first, *others = remedy.splitlines()
        _wrapped(f"→ {first}", "  ")
        for line in others:  # a command must stay in one line
            click.echo(f"    {line}")
    click.echo()
    for remark in report.remarks:
        _wrapped(remark, "")
    counts = ", ".join(
        plural(count, word) for word in ("error", "warning", "note")
        if (count := report.count(word))
    )  # fmt: skip
    click.echo(f"{counts or 'nothing to report'}, in {report.seconds:.1f} s")
    if report.count("error"):
        click.echo(f"'cgbench run --dataset {name}' would fail or measure wrongly: mend the errors first.")


def _few(files: tuple[str, ...]) -> list[str]:
    if len(files) <= 1:
        return list(files)
    return [", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")]


def _wrapped(text: str, indent: str) -> None:
    """Print text with a hanging indent, in lines no wider than the terminal and never wider than 120."""
    wide = max(40, min(120, shutil.get_terminal_size((100, 24)).columns)) - len(indent) - 4
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > wide:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    for number, part in enumerate(lines):
        click.echo(indent + ("    " if number else "") + part)


@datasets.command(
    examples=("cgbench datasets fetch", "cgbench datasets fetch horse2zebra --data-root DIR"),
)
@click.argument("name", required=False)
@DATA_ROOT
@click.option("--url", help="Address of a mirror to download the archive from instead.")
@QUIET_OPTION
@click.pass_obj
@one_line_errors
def fetch(inherited: Path | None, name: str | None, data_root: Path | None, url: str | None) -> None:
    """Download the public dataset NAME into the data root; without NAME, list what can be downloaded.

    What was downloaded is kept when the connection breaks or on Ctrl-C: the same command resumes. The archive is
    checked before it is unpacked, and the numbers of images are compared with the catalogue.
    """
    from cgbench.datasets.download.catalogue import CATALOGUE, find
    from cgbench.datasets.download.fetch import fetch as download

    if name is None:
        width = max(map(len, CATALOGUE))
        for entry in CATALOGUE.values():
            click.echo(f"{entry.name:{width}}  {entry.counts_text()}".rstrip())
        click.echo("\n'cgbench datasets fetch NAME --data-root DIR' fetches one to DIR/NAME and prints its licence.")
        return
    entry = find(name)
    root = data_root or inherited
    if root is None and not entry.refused:
        raise DataMissing(f"fetch {name}: say where to put it: --data-root DIR, or CGBENCH_DATA")
    if entry.refused:
        raise CgbenchError(f"{name}: {entry.refused}")
    assert root is not None
    with progress(f"fetching {name}") as update:
        download(entry, root, url, click.echo, update)
