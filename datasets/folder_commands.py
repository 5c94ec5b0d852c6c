"""Shell commands that make a layout of own images: they can be pasted together, and one that fails stops the rest."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from cgbench.api.names import Split
from cgbench.datasets.folder_layouts import ONE_NAME, SPLIT_FIRST, FolderLayout, Place, SetFolder, set_folders
from cgbench.datasets.images import EXTENSIONS

MOST_HELD_OUT = 100  # test images per domain that a command takes from the training images
# in the C locale, which takes names in any encoding as text
ONLY_IMAGES = f"LC_ALL=C grep -iE '\\.({'|'.join(extension[1:] for extension in EXTENSIONS)})$'"


def chain(commands: Sequence[str]) -> list[str]:
    """Return the commands, one a line, each of which runs only if the one before has succeeded."""
    return [*(f"{command} &&" for command in commands[:-1]), *commands[-1:]]


def within(root: Path, *commands: str) -> str:
    """Return one command that runs others in a directory until one fails."""
    return f"(cd -- {shlex.quote(str(root))} && {' && '.join(commands)})"


def move(before: str, after: str) -> str:
    """Return the command that renames a folder."""
    return f"mv -- {shlex.quote(before)} {shlex.quote(after)}"


def hold_out(root: Path, source: Path, target: Path, images: int) -> str:
    """Return the command that moves the last tenth of the images in `source`, at most 100, to `target`."""
    number = max(1, min(MOST_HELD_OUT, images // 10))
    before, after = (shlex.quote(path.relative_to(root).as_posix()) for path in (source, target))
    # -p marks folders, so that none is taken for an image
    listed = f"ls -p -- {before} | {ONLY_IMAGES} | tail -n {number}"
    moved = f'while IFS= read -r f; do mv -- {before}/"$f" {after}/ || exit 1; done'
    return within(root, f"mkdir -p -- {after}", f"{listed} | {moved}")


def renames(layout: FolderLayout) -> str:
    """Return the command that makes trainA, trainB, testA and testB of the first two of too many domains."""
    found = [folder for folder in set_folders(layout.root) if folder.word.lower() in layout.words[:2]]
    moves = [
        move(folder.path.relative_to(layout.root).as_posix(), f"{split}{'AB'[layout.words.index(folder.word.lower())]}")
        for split in (Split.TRAIN, Split.TEST)
        for folder in found
        if folder.split == split and folder.style == found[0].style
    ]
    return within(layout.root, *moves)


def divide(domains: Sequence[tuple[Path, int]]) -> list[str]:
    """Return the commands that make trainA, trainB, testA and testB of two folders, given with their numbers of
    images."""
    root = domains[0][0].parent
    commands = [
        within(root, *(move(path.name, f"train{letter}") for (path, _), letter in zip(domains, "AB", strict=True)))
    ]
    for (_, count), letter in zip(domains, "AB", strict=True):
        if count > 1:
            commands.append(hold_out(root, root / f"train{letter}", root / f"test{letter}", count))
    return ["To divide them:", *chain(commands)]


def expected_path(layout: FolderLayout, place: Place) -> Path:
    """Return the folder of a set, or the one that it should be in, named like the folders that are there."""
    if found := layout.sets.get(place):
        return found.path
    like = next(iter(layout.sets.values()))
    word = next((folder.word for known, folder in layout.sets.items() if known.domain == place.domain), "")
    word = word or (place.domain.lower() if like.word in ("a", "b") else place.domain)
    split = _split_text(layout, like, place.split)
    if layout.style == ONE_NAME:
        between = like.path.name[: len(like.path.name) - len(like.word)]
        separator = between[-1] if between[-1] in " _.-" else ""
        return layout.root / f"{split}{separator}{word}"
    return layout.root / split / word if layout.style == SPLIT_FIRST else layout.root / word / split


def _split_text(layout: FolderLayout, like: SetFolder, split: str) -> str:
    """Return how a split is written: `Test` beside `TrainA`."""
    name = like.path.relative_to(layout.root).parts[0 if layout.style != "A/train" else 1]
    if name[:2].isupper():
        return split.upper()
    return split.capitalize() if name[0].isupper() else str(split)
