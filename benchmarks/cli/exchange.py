"""`cgbench import` and `cgbench export`: what other programs made, as a row of a run, and methods for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cgbench.api.names import DIRECTIONS
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.cli.listings import print_broken_plugins
from cgbench.benchmarks.cli.options import (
    DATA_ROOT,
    DEVICE,
    QUIET_OPTION,
    RUN_FOLDER,
    WAIT,
    Command,
    Group,
    one_line_errors,
    resolve_device,
    verbosity,
)
from cgbench.benchmarks.cli.translate import trial_choice
from cgbench.benchmarks.execution.run_lock import exclusive_run
from cgbench.benchmarks.trials.request import recorded_data_root
from cgbench.formatting import printable
from cgbench.results.run_folder import trial_folders

if TYPE_CHECKING:
    import numpy as np

    from cgbench.benchmarks.exchange.external_trials import External, RecordedTests

ROW_OPTIONS = (
    click.option("--as", "name", required=True, metavar="NAME",
                 help="Name of the row: letters, digits, '_' and '-'; no name of a method."),
    click.option("--direction", type=click.Choice(DIRECTIONS), required=True,
                 help="Direction of the run that the images are translations of."),
    click.option("--seed", type=int,
                 help="Seed of their training, for several rows of one name.  [default: not known]"),
    click.option("--training", default="", metavar="TEXT",
                 help="How they were trained and selected, as the tables shall say it."),
    DATA_ROOT, DEVICE, WAIT,
)  # fmt: skip


def row_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that every imported row has."""
    for option in reversed(ROW_OPTIONS):
        command = option(command)
    return command


@click.group(
    name="import", cls=Group, short_help="Put what other programs made into a run.",
    examples=("cgbench import outputs runs/maps OUTPUTS --as other --direction AtoB",),
)  # fmt: skip
def import_group() -> None:
    """Put what other programs made into a finished run, as a row of its tables.

    It is measured as the trained methods of the run are, and marked as external, with what is not known of it.
    """


@import_group.command(
    "outputs",
    short_help="Measure images that another program translated.",
    examples=(
        "cgbench import outputs runs/maps results/maps_cyclegan/test_latest \\",
        "    --as cyclegan-theirs --direction AtoB --data-root DIR",
        "cgbench import outputs runs/maps OUT --as other --direction BtoA --seed 1 \\",
        '    --training "200 epochs, batch 1, last checkpoint" --data-root DIR',
    ),
)
@RUN_FOLDER
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@row_options
@verbosity
@one_line_errors
def outputs(
    run_folder: Path, folder: Path, name: str, direction: str, seed: int | None, training: str,
    data_root: Path | None, device: str, wait: bool,
) -> None:  # fmt: skip
    """Measure the images in FOLDER, translations by another program, and add them to RUN as a row.

    There must be one image for each test image of RUN and no other, at the size that the run measures at. KEY.png
    belongs to the test image KEY; so does KEY_fake_B.png (KEY_fake_A.png for BtoA), KEY_fake.png or
    KEY-outputs.png, with inputs, targets and reconstructions beside them left alone, as public repositories write
    their results. Nothing in RUN is changed but the new row. To take it out again, delete its folder.
    """
    from cgbench.benchmarks.exchange.external_trials import External
    from cgbench.benchmarks.exchange.output_files import read_outputs
    from cgbench.benchmarks.runtime.progress import progress

    def read(opened: RecordedTests, device: str) -> tuple[np.ndarray, str]:
        with progress("reading outputs") as update:
            found = read_outputs(folder, opened.sources(direction), opened.target_pixels(direction), direction, update)
        return found.outputs, found.origin

    _add_row(run_folder, External(name, direction, seed, training), read, data_root, device, wait)


@import_group.command(
    "checkpoint",
    short_help="Translate by a generator of a public repository, and measure it.",
    examples=(
        "cgbench import checkpoint runs/maps maps_cyclegan/latest_net_G_A.pth \\",
        "    --as cyclegan-theirs --direction AtoB --data-root DIR",
        "cgbench import checkpoint runs/maps gen_01000000.pt \\",
        "    --as munit-theirs --direction BtoA --seed 1",
    ),
)
@RUN_FOLDER
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@row_options
@verbosity
@one_line_errors
def checkpoint(
    run_folder: Path, file: Path, name: str, direction: str, seed: int | None, training: str,
    data_root: Path | None, device: str, wait: bool,
) -> None:  # fmt: skip
    """Translate the test images of RUN by the generator whose weights are in FILE, and add them to RUN as a row.

    FILE is a state dictionary (.pth, .pt, .safetensors) of the public PyTorch code of CycleGAN and pix2pix, CUT, UNIT
    or MUNIT; the network is recognised from its tensors, and nothing in FILE is run. Images are translated at the size
    that RUN measures at, in evaluation mode. MUNIT draws one random style for each image, by --seed or else by 0.
    """
    from cgbench.benchmarks.exchange.external_generators import (
        ensure_fits,
        load_generator,
        translate_test_images,
        translated_by,
    )
    from cgbench.benchmarks.exchange.external_trials import External
    from cgbench.benchmarks.runtime.progress import progress

    generator = load_generator(file, direction)

    def translate(opened: RecordedTests, device: str) -> tuple[np.ndarray, str]:
        sources, pixels = opened.sources(direction), opened.target_pixels(direction)
        ensure_fits(generator, sources, pixels, direction)
        with progress("translating") as update:
            made = translate_test_images(generator, sources, pixels, (seed or 0, direction), device, update)
        return made, translated_by(generator, seed or 0)

    _add_row(run_folder, External(name, direction, seed, training), translate, data_root, device, wait)


def _add_row(
    run_folder: Path, external: External, make: Callable[[RecordedTests, str], tuple[np.ndarray, str]],
    data_root: Path | None, device: str, wait: bool,
) -> None:  # fmt: skip
    """Measure a row, add it to a run and print the tables. `make(run, device)` returns its outputs, as
    `add_external_trial` wants them, and where they come from."""
    from cgbench.benchmarks.exchange.external_trials import add_external_trial, ensure_free, open_tests
    from cgbench.benchmarks.execution.reevaluation import open_test_data

    print_broken_plugins()
    device = resolve_device(device)
    trial_folders(run_folder)  # what is no run is said before a lock is made in it
    with exclusive_run(run_folder, wait), recorded_data_root(run_folder):
        opened = open_tests(run_folder, lambda dataset, config: open_test_data(dataset, data_root, config))
        ensure_free(run_folder, external, opened)
        made, origin = make(opened, device)
        added = add_external_trial(run_folder, replace(external, origin=origin), made, opened, device)
        click.echo(printable(f"{external.name}: {origin} measured and added as {added.path}"))
        report.write_and_print(run_folder)


@click.command(
    cls=Command,
    short_help="Write a trained method as a file for other programs.",
    examples=(
        "cgbench export runs/streets --method cyclegan --format onnx --output day.onnx",
        "cgbench export runs/maps --direction BtoA --format public \\",
        "    --output latest_net_G_B.pth",
    ),
)  # fmt: skip
@RUN_FOLDER
@click.option("--format", "name", type=click.Choice(["onnx", "torchscript", "pt2", "public"]), required=True,
              help="ONNX, TorchScript, torch.export, or weights for the public CycleGAN code.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="File to write: .onnx, .pt, .pt2 or .pth. It is never overwritten.")  # fmt: skip
@trial_choice
@QUIET_OPTION
@one_line_errors
def export(
    run_folder: Path, name: str, output: Path, method: str | None, seed: int | None, dataset: str | None,
    direction: str | None, which: str,
) -> None:  # fmt: skip
    """Write the translation of a trained method of RUN, in one direction, as a file that runs without cgbench.

    It maps float32 images (N, C, H, W) in [-1, 1], of any size from 8 pixels on, to translations of that size. A
    method that samples random numbers reads them as a second input. The file says in its metadata how images become
    inputs, and where it is from; with --format public a JSON file beside it does. Before it is put in place, its
    outputs are compared with those of the method on two sizes: they may differ by 1e-4 of their range.

    ONNX needs further packages: pip install '.[export]'.
    """
    from cgbench.benchmarks.exchange import export_model, translate_files

    export_model.ensure_exportable(output, run_folder, name)
    trial = translate_files.choose_trial(
        trial_folders(run_folder), {"method": method, "seed": seed, "dataset": dataset}
    )
    translator = translate_files.open_translator(trial, direction, which, "cpu")
    deviation = export_model.export(translator, trial[1], name, output)
    checked = "the same weights" if deviation is None else f"differs by {deviation:.1e} of the range at most"
    click.echo(printable(f"{translator.title}, from step {translator.step}, in {output} ({checked})"))
