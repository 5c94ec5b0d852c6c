"""`cgbench translate`: pictures of the user's own through a trained method."""

from pathlib import Path

import click

from cgbench.api.method import DIRECTIONS
from cgbench.benchmarks.cli import commands
from cgbench.benchmarks.cli.options import DEVICE, one_line_errors
from cgbench.formatting import printable
from cgbench.results.run_folder import trial_folders


@click.command()
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.argument("pictures", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--to", type=click.Path(path_type=Path), required=True,
    help="Folder, made if need be, for one NAME.png per picture. Nothing in it is overwritten.",
)  # fmt: skip
@click.option("--method", help="Which trained method translates. Not needed where the run has one.")
@click.option("--seed", type=int, help="Which of its training seeds. Not needed where the run has one.")
@click.option("--dataset", help="Trained on which dataset. Not needed where the run has one.")
@click.option("--direction", type=click.Choice(DIRECTIONS), help="[default: AtoB, where the method has it]")
@click.option(
    "--checkpoint", "which", type=click.Choice(["last", "best"]), default="last", show_default=True,
    help="The end of the training, or the step that keep_best chose on validation images.",
)  # fmt: skip
@DEVICE
@one_line_errors
def translate(
    run_folder: Path, pictures: tuple[Path, ...], to: Path, method: str | None, seed: int | None, dataset: str | None,
    direction: str | None, which: str, device: str,
) -> None:  # fmt: skip
    """Translate PICTURES, image files or folders of them, with a trained method of RUN_FOLDER.

    A picture is decoded and made a square as the test images of the run are, and comes out at that size. The dataset
    need not be there, and the run is not changed.

    A method that draws random numbers draws for picture k, sorted by file name and counted from 0, those of test image
    k: on a CPU the same command writes the same bytes again.
    """
    from cgbench.benchmarks.execution import translate_files

    found = translate_files.choose_trial(
        trial_folders(run_folder), {"method": method, "seed": seed, "dataset": dataset}
    )
    files = translate_files.input_images(pictures)
    paths = translate_files.output_paths(files, to, run_folder)
    translator = translate_files.open_translator(found, direction, which, commands.choose_device(device))
    translate_files.translate(files, paths, translator)
    count = f"{len(files)} picture{'' if len(files) == 1 else 's'}"
    click.echo(printable(f"{count} by {translator.title}, from step {translator.step}, in {to}"))
