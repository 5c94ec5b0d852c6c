"""`cgbench study make` and `study score`: the perceptual study of the CycleGAN paper (Table 1)."""

from pathlib import Path

import click

from cgbench.api.names import DIRECTIONS
from cgbench.benchmarks.cli.options import METHOD_NAMES, RUN_FOLDER, Group, comma_separated, one_line_errors
from cgbench.errors import EXIT_OK, EXIT_TRIAL_FAILED, CgbenchError
from cgbench.formatting import size
from cgbench.results.run_folder import ensure_no_linked_folder, trial_folders

LARGE = 30_000_000  # bytes of a page; beyond it mail and slow machines have trouble


class MakeByDefault(Group):
    """A group in which the former `study RUN` still means `study make RUN`, with a note."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            click.echo(f"cgbench: 'study {args[0]}' is called 'study make {args[0]}' now", err=True)
            args = ["make", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=MakeByDefault,
    short_help="Human study: real or generated?",
    examples=("cgbench study make runs/streets-demo", "cgbench study score --study runs/streets-demo answers/*.json"),
)  # fmt: skip
def study() -> None:
    """Perceptual study of the CycleGAN paper (Table 1): can people tell a method's images from real ones?

    Every participant sees one method: a real and a generated image side by side for one second, 10 pairs for practice
    and 40 that count. 'make' writes the study as one HTML page, 'score' scores the files that participants return.
    """


@study.command(
    former={"--out": "--output"},
    examples=(
        "cgbench study make runs/streets-demo",
        "cgbench study make runs/maps --methods cyclegan,cut --output study.html",
    ),
)  # fmt: skip
@RUN_FOLDER
@click.option(
    "--direction",
    type=click.Choice(DIRECTIONS),
    help="Direction to show.  [default: the one that makes photos, else AtoB]",
)
@click.option("--methods", metavar="NAMES", shell_complete=METHOD_NAMES,
              help="Comma-separated method names; 'copy' and 'shuffled' too.  [default: all trained ones]")  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Random seed of images, order and assignment of methods; recorded.",
)
@click.option("--trial-seed", type=int, help="Training seed to show images of.  [default: the first of the run]")
@click.option("--participants", type=click.IntRange(1, 1000), default=25, show_default=True,
              help="Number of participants per method.")  # fmt: skip
@click.option("--practice", type=click.IntRange(0, 1000), default=10, show_default=True,
              help="Number of practice pairs, with feedback.")  # fmt: skip
@click.option("--scored", type=click.IntRange(1, 1000), default=40, show_default=True,
              help="Number of pairs that count.")  # fmt: skip
@click.option(
    "--side",
    type=click.IntRange(8, 1024),
    default=256,
    show_default=True,
    help="Maximum side in pixels; larger images are reduced, real and generated ones alike.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="HTML page to write; its key goes beside it.  [default: RUN/study/study-DIRECTION.html]",
)
@one_line_errors
def make(
    run_folder: Path, direction: str | None, methods: str | None, seed: int, trial_seed: int | None, participants: int,
    practice: int, scored: int, side: int, output: Path | None,
) -> None:  # fmt: skip
    """Make the study of RUN: one HTML page that works offline, and its key.

    Participants are numbered from 1; the number determines method, pairs, order and sides. Methods are assigned in
    blocks, so that they are balanced whenever the study stops. The page names no method and does not hold the answers
    to scored pairs; the key does, and scoring needs it: keep it private. Images can still be compared with the
    developer tools of a browser.

    Practice and scored pairs show different test images, the same for all methods. With fewer test images than 50, say
    how many pairs to make of them with --practice and --scored.
    """
    from cgbench.reports.perceptual_study.page import write_study
    from cgbench.reports.perceptual_study.study import StudyOptions, make_study
    from cgbench.results.run import read_run

    trial_folders(run_folder)
    if output is None:
        ensure_no_linked_folder(run_folder)
    names = comma_separated(methods or "")
    plan = StudyOptions(direction or "", names, seed, trial_seed, participants, practice, scored, side)
    made, pictures, left_out = make_study(read_run(run_folder), plan)
    page = output or run_folder / "study" / f"study-{made.direction}.html"
    if page.suffix not in (".html", ".htm"):
        raise CgbenchError(f"--output {page}: a page's name ends in .html")
    key = write_study(page, made, pictures)
    for name, why in left_out.items():
        click.echo(f"left out: {name}: {why}")
    weight, count = page.stat().st_size, len(made.sessions)
    click.echo(f"study {made.id}: {made.direction_name}, {', '.join(made.methods)}, training seed {made.trial_seed}")
    click.echo(f"page:  {page} ({size(weight)}); participants are numbered from 1 to {count}")
    click.echo(f"key:   {key}; keep it to yourself, scoring needs it")
    click.echo(f"score: cgbench study score --study {key} FILES")
    if weight > LARGE:
        click.echo("The page is large for mail: fewer --methods or a smaller --side make it smaller.")


@study.command(
    examples=(
        "cgbench study score answers/*.json",
        "cgbench study score --study runs/streets-demo answers/*.json --format latex",
    )
)
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--study",
    "where",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE|RUN",
    help="The study's .key.json, or its run folder.  [default: searched beside the files and in runs/]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "csv", "latex"]),
    default="md",
    show_default=True,
    help="Markdown, CSV with one line per method, or LaTeX with booktabs.",
)
@one_line_errors
def score(files: tuple[Path, ...], where: Path | None, form: str) -> int:
    """Score the answers in FILES: the percentage judged real per method, with its interval over participants.

    Files that do not count are named with the reason, on standard error: cut, edited, of another study, copies, and
    two sessions of one participant (then neither counts: leave the later one out). Exit code 0: all files count,
    1: some do not, 2: none does.
    """
    from cgbench.reports.perceptual_study.answers import Rejected, find_study, read_answers, sort_answers
    from cgbench.reports.perceptual_study.scoring import FORMATS
    from cgbench.reports.perceptual_study.scoring import score as scored

    read = []
    for file in files:
        try:
            read.append(read_answers(file))
        except Rejected as error:
            click.echo(f"does not count: {file}: {error}", err=True)
    if not read:
        raise CgbenchError("no file holds answers that count")
    found = find_study(read, where)
    counted = sort_answers(read, found)
    for file, why in counted.rejected:
        click.echo(f"does not count: {file}: {why}", err=True)
    if not counted.valid:
        raise CgbenchError("no file holds answers that count")
    click.echo(FORMATS[form](scored(found, counted.valid)), nl=False)
    return EXIT_OK if len(counted.valid) == len(files) else EXIT_TRIAL_FAILED
