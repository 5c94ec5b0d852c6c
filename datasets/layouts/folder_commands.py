"""Shell commands that make a layout of own images: they can be pasted together, and one that fails stops the rest."""

import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from cgbench.api.names import Split
from cgbench.datasets.images.stored import EXTENSIONS
from cgbench.datasets.layouts.folder_layouts import (
    DEPTH,
    ONE_NAME,
    SPLIT_FIRST,
    FolderLayout,
    Place,
    SetFolder,
    set_folders,
)
from cgbench.errors import IMAGE_ERRORS
from cgbench.formatting import shell_word

ENTRIES = 20  # of an archive that are looked at
ARCHIVE_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, NotImplementedError)
MOST_HELD_OUT = 100  # test images per domain that a command takes from the training images
# in the C locale, which takes names in any encoding as text
ONLY_IMAGES = f"LC_ALL=C grep -iE '\\.({'|'.join(extension[1:] for extension in EXTENSIONS)})$'"
NOT_HIDDEN = "LC_ALL=C grep -v -e '/[.]' -e '/__MACOSX/'"


def chain(commands: Sequence[str]) -> list[str]:
    """Return the commands, one a line, each of which runs only if the one before has succeeded."""
    return [*(f"{command} &&" for command in commands[:-1]), *commands[-1:]]


def within(root: Path, *commands: str) -> str:
    """Return one command that runs others in a directory until one fails."""
    return f"(cd -- {shell_word(str(root))} && {' && '.join(commands)})"


def move(before: str, after: str) -> str:
    """Return the command that renames a folder."""
    return f"mv -- {shell_word(before)} {shell_word(after)}"


def hold_out(root: Path, source: SetFolder, target: Path) -> str:
    """Return the command that moves the last tenth of the images of a set, at most 100, to `target`, in sub-folders
    where they lie in such."""
    if not source.nested:
        return _hold_out(root, source.path, target, source.images)
    before, after = (shell_word(path.relative_to(root).as_posix()) for path in (source.path, target))
    found = f"(cd -- {before} && find -L . -maxdepth {DEPTH + 1} ! -type d) | {NOT_HIDDEN}"
    moves = f'mkdir -p -- {after}/"$(dirname "$f")" && mv -- {before}/"$f" {after}/"$f" || exit 1'
    return within(root, f"{found} | {_last(source.images, sort=True)} | while IFS= read -r f; do {moves}; done")


def _hold_out(root: Path, source: Path, target: Path, images: int) -> str:
    """Return the command that moves the last tenth of the images that lie in `source` itself to `target`."""
    before, after = (shell_word(path.relative_to(root).as_posix()) for path in (source, target))
    moved = f'while IFS= read -r f; do mv -- {before}/"$f" {after}/ || exit 1; done'
    # -p marks folders, so that none is taken for an image
    return within(root, f"mkdir -p -- {after}", f"ls -p -- {before} | {_last(images)} | {moved}")


def _last(images: int, sort: bool = False) -> str:
    """Return the filter that lets the names of images for the test pass."""
    return f"{ONLY_IMAGES} | {'LC_ALL=C sort | ' if sort else ''}tail -n {max(1, min(MOST_HELD_OUT, images // 10))}"


def misnamed(layout: FolderLayout) -> dict[Place, SetFolder]:
    """Return the sets that are not read and could be those that are absent: of the same split and domain by their
    names, `Horses` for `horse`, or the two of a split by the alphabet. Validation images are taken for test images
    where those of both domains are absent."""
    found: dict[Place, SetFolder] = {}
    for split in (Split.TRAIN, Split.TEST):
        domains = [place.domain for place in layout.absent if place.split == split]
        for source in (split, Split.VAL) if split == Split.TEST and len(domains) == 2 else (split,):
            folders = [folder for folder in layout.unused if folder.split == source and folder.word]
            matched = _by_word(layout, domains, folders)
            if source == split or len(matched) == 2:
                found = {**{Place(split, domain): folder for domain, folder in matched.items()}, **found}
            if matched:
                break
    return found


def _by_word(layout: FolderLayout, domains: Sequence[str], folders: Sequence[SetFolder]) -> dict[str, SetFolder]:
    """Return for domains the folders that have their words, else two folders for two domains by the alphabet."""
    words = {domain: {domain.lower()} for domain in domains}
    for place, folder in layout.sets.items():
        words.setdefault(place.domain, set()).add(_singular(folder.word))
    matched = {
        domain: folder for domain in domains for folder in reversed(folders) if _singular(folder.word) in words[domain]
    }
    first = {folder.word.lower(): folder for folder in reversed(folders)}
    if not matched and len(domains) == len(first) == 2:
        return {domain: first[word] for domain, word in zip(domains, sorted(first), strict=True)}
    return matched


def _singular(word: str) -> str:
    return word.lower().removesuffix("s") or word.lower()


def rename(layout: FolderLayout, moves: Mapping[Place, SetFolder]) -> str:
    """Return the command that gives folders the names of the sets that they are moved to."""
    commands = []
    for place, folder in moves.items():
        target = expected_path(layout, place)
        name = target.relative_to(layout.root).as_posix()
        if target.is_dir() and not any(target.iterdir()):  # else the folder would be moved into it
            commands.append(f"rmdir -- {shell_word(name)}")
        elif not target.parent.exists():
            commands.append(f"mkdir -p -- {shell_word(target.parent.relative_to(layout.root).as_posix())}")
        commands.append(move(folder.path.relative_to(layout.root).as_posix(), name))
    return within(layout.root, *commands)


def unpack(archives: Sequence[Path]) -> str:
    """Return the command that unpacks archives of one directory in it, where no file is replaced."""
    commands = []
    for path in archives:
        name = shell_word(f"./{path.name}")  # no option, whatever its first letter
        is_zip = path.suffix.lower() == ".zip"
        if holds_loose_images(path):
            target = shell_word(f"./{path.name.partition('.')[0]}")
            way = f"unzip -q -n {name} -d {target}" if is_zip else f"tar -xkf {name} -C {target}"
            commands += [f"mkdir -p -- {target}", way]
        else:
            commands.append(f"unzip -q -n {name}" if is_zip else f"tar -xkf {name}")
    return within(archives[0].parent, *commands)


def holds_loose_images(archive: Path) -> bool:
    """Return whether an archive begins with images that are in no folder; false where it cannot be read."""
    try:
        if archive.suffix.lower() == ".zip":
            with zipfile.ZipFile(archive) as packed:
                names = packed.namelist()[:ENTRIES]
        else:
            with tarfile.open(archive) as unpacked:
                names = [entry.name for entry in islice(unpacked, ENTRIES)]
    except (*ARCHIVE_ERRORS, *IMAGE_ERRORS):
        return False
    return any("/" not in name.removeprefix("./") and name.lower().endswith(EXTENSIONS) for name in names)


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
            commands.append(_hold_out(root, root / f"train{letter}", root / f"test{letter}", count))
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
