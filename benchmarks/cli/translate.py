"""`cgbench translate`: images and medical volumes of the user's own through a trained method."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cgbench.api.names import DIRECTIONS
from cgbench.api.registry import METHODS
from cgbench.benchmarks.cli.options import (
    DATASET_NAMES,
    DEVICE,
    QUIET_OPTION,
    RUN_FOLDER,
    Command,
    completes,
    one_line_errors,
    resolve_device,
)
from cgbench.formatting import plural, printable
from cgbench.results.run_folder import trial_folders

MEGAPIXEL = 2**20
METHOD = click.option(
    "--method", metavar="NAME", shell_complete=completes(METHODS),
    help="Trained method to use. Not needed where the run has one.",
)  # fmt: skip
SEED = click.option("--seed", type=int, help="Training seed to use. Not needed where the run has one.")
DATASET = click.option(
    "--dataset", metavar="NAME", shell_complete=DATASET_NAMES,
    help="Dataset that the method was trained on. Not needed where the run has one.",
)  # fmt: skip
DIRECTION = click.option(
    "--direction", type=click.Choice(DIRECTIONS),
    help="Direction to translate in.  [default: AtoB, where the method has it]",
)  # fmt: skip
CHECKPOINT = click.option(
    "--checkpoint", "which", type=click.Choice(["last", "best"]), default="last", show_default=True,
    help="The last training step, or the step that keep_best chose on validation images.",
)  # fmt: skip


def trial_choice(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose a trained method of a run, a direction and a checkpoint."""
    return METHOD(SEED(DATASET(DIRECTION(CHECKPOINT(command)))))


@click.command(
    cls=Command,
    short_help="Translate images or volumes with a trained method.",
    former={"--to": "--output"},
    examples=(
        "cgbench translate runs/streets-demo photo.png --output out --method cyclegan",
        "cgbench translate runs/streets-demo IMAGES --output out --method cut --seed 0",
        "cgbench translate runs/maps IMAGES --output out --direction BtoA \\",
        "    --checkpoint best",
        "cgbench translate runs/study scan.nii.gz --output out --direction AtoB",
        "cgbench translate runs/study DICOM_FOLDER --output out --tile-above 16",
    ),
)  # fmt: skip
@RUN_FOLDER
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="DIR",
    help="Directory, created if necessary, for one NAME.png (or .tif) per image, or NAME.nii.gz (or .mha) per volume. "
    "Nothing in it is overwritten.",
)  # fmt: skip
@trial_choice
@click.option(
    "--size", type=click.Choice(["own", "crop"]), default="own", show_default=True,
    help="Size of the translations: the image's own, not resized, or resized as the run's test images are. Volumes "
    "are translated at their own size only.",
)  # fmt: skip
@click.option(
    "--tile-above", type=click.FloatRange(min=0, min_open=True), default=4.0, show_default=True, metavar="MEGAPIXELS",
    help="Translate larger images in overlapping tiles, none larger than this: a megapixel takes up to 1 GB.",
)  # fmt: skip
@click.option(
    "--tile-statistics", type=click.Choice(["image", "tile"]), default="image", show_default=True,
    help="What normalises a tile: image equals the whole image and takes several times as long, tile lets colours "
    "differ from tile to tile.",
)  # fmt: skip
@DEVICE
@QUIET_OPTION
@one_line_errors
def translate(
    run_folder: Path, files: tuple[Path, ...], output: Path, method: str | None, seed: int | None, dataset: str | None,
    direction: str | None, which: str, size: str, tile_above: float, tile_statistics: str, device: str,
) -> None:  # fmt: skip
    """Translate FILES, images or medical volumes or directories of them, with a trained method of RUN.

    An image comes back at its own size. It is not rescaled: what a method learned at one scale it does best at that
    scale, so show things about as large as they are in the training images, which were resized to load_size. With
    --size crop an image is resized as the test images of the run are. The dataset need not be there, and the run
    is not changed.

    8-bit RGB comes out as PNG. Where a domain has another format, images must have its bands and its type; they come
    out in the numbers of the other domain, as PNG or TIFF.

    A run on the dataset volumes takes volumes as well: NIfTI (.nii, .nii.gz), MetaImage (.mha, .mhd) and directories of
    DICOM slices. They are sliced as in training and come back as volumes with the geometry of their source, as NIfTI
    or, of MetaImage, as .mha. Slices that show less of the body than the run used are not translated.

    A method that samples random numbers uses for image (or slice) k, sorted by file name and counted from 0, those of
    test image k: on a CPU the same command writes the same bytes again.
    """
    from cgbench.benchmarks.exchange import translate_files, translate_volumes

    trial = translate_files.choose_trial(
        trial_folders(run_folder), {"method": method, "seed": seed, "dataset": dataset}
    )
    translator = translate_files.open_translator(trial, direction, which, resolve_device(device))
    chosen = translate_files.Size(size == "own", int(tile_above * MEGAPIXEL), tile_statistics == "image")
    if volumes := translate_volumes.input_volumes(files, translator):
        paths = translate_volumes.output_paths(volumes, output, run_folder)
        translate_volumes.translate(volumes, paths, translator, chosen)
    else:
        images = translate_files.input_images(files, translator)
        paths = translate_files.output_paths(images, output, run_folder, translator)
        translate_files.translate(images, paths, translator, chosen)
    count = plural(len(paths), "volume" if volumes else "image")
    click.echo(printable(f"{count} by {translator.title}, from step {translator.step}, in {output}"))
