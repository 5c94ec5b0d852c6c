"""Messages about a directory of own images: what it holds, the nearest layout, and the command that makes it right."""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TypeVar

from cgbench.api.names import Split
from cgbench.datasets.images.decoding import unread_extension
from cgbench.datasets.images.stored import stored_files
from cgbench.datasets.layouts.file_keys import FOLDERS
from cgbench.datasets.layouts.folder_commands import (
    chain,
    divide,
    expected_path,
    hold_out,
    misnamed,
    rename,
    renames,
    unpack,
)
from cgbench.datasets.layouts.folder_layouts import (
    LEVELS,
    MAX_FOLDERS,
    FolderLayout,
    Place,
    SetFolder,
    layout_in,
    set_folders,
    visible_folders,
)
from cgbench.datasets.layouts.seams import Seams
from cgbench.errors import CgbenchError
from cgbench.formatting import plural, printable, shell_word

EXPECTED = """folder: {problem}.{advice}
  Expected either trainA, trainB, testA and testB with images in each,
  or train and test (or val) whose images show A and B side by side, at least two of them in train.
  Say where: --data-root DIR, DIR being the directory that holds these folders."""
NOTHING = "none of the expected folders"
SHOWN = 8  # folders that a message names
MOST_FORMATS = 2  # formats that are not read, a line each
MOST_SEARCHED = 200  # folders in which files of other formats are looked for
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
Found = TypeVar("Found")
OTHER_DATASETS = {"trainannot": "camvid", "leftImg8bit": "cityscapes", "gtFine": "cityscapes"}


def expectation(problem: str, advice: Sequence[str] = ()) -> str:
    """Return the message about a problem, with lines of advice and the layouts that are expected."""
    return printable(EXPECTED.format(problem=problem, advice="".join(f"\n  {line}" for line in advice)), keep="\n")


def layout_problem(layout: FolderLayout, seams: Seams | None) -> str | None:
    """Return None for a complete layout, else a message of at most eight lines. `seams` are those of pairs side by
    side."""
    root = printable(str(layout.root))
    if seams is not None and holds_photos(layout, seams):
        return _photos_problem(layout, root, seams)
    if layout.side_by_side:
        return _pairs_problem(layout, root)
    if layout.sets:
        return _absent_problem(layout, root) if layout.absent else None
    if layout.inner:
        names = _few([printable(path.name) for path in layout.inner])
        first = shell_word(str(layout.inner[0]))
        problem = f"{root} holds {len(layout.inner)} data sets, {names}"
        return expectation(problem, (f"Choose one, for example --data-root {first}",))
    return _unknown_problem(layout, root)


def holds_photos(layout: FolderLayout, seams: Seams) -> bool:
    """Return whether the folders of pairs side by side hold plain photos: by their seams or, where these do not tell,
    because the directory is a folder of another layout."""
    return seams.plain_photos or (seams.unclear and _layout_above(layout.root) is not None)


def _photos_problem(layout: FolderLayout, root: str, seams: Seams) -> str:
    """Return the message about plain photos in the folders of pairs side by side."""
    train, test = (layout.sets.get(Place(split, "A")) for split in (Split.TRAIN, Split.TEST))
    names = " and ".join(layout.name(folder.path) for folder in (train, test) if folder)
    problem = f"{root} holds plain photos in {names}, not pairs side by side"
    looked_at = f"{plural(seams.images, 'image')} looked at"
    checked = f"In {seams.continuing} of {looked_at}, the halves continue each other."
    if above := _layout_above(layout.root):
        return expectation(problem, (checked, _give(above)))
    mend = "Put the images of the two domains into folders of their own, trainA and trainB."
    return expectation(problem, (checked, mend, "If they are pairs all the same: --set paired=yes"))


def _pairs_problem(layout: FolderLayout, root: str) -> str | None:
    train = layout.sets.get(Place(Split.TRAIN, "A"))
    if train and train.images >= 2:
        return None
    test = layout.name(layout.sets[Place(Split.TEST, "A")].path)
    held = f"{layout.name(train.path)} ({plural(train.images, 'image')})" if train else "no training images"
    problem = f"{root} holds {test} ({plural(layout.sets[Place(Split.TEST, 'A')].images, 'image')}) and {held}"
    need = "Pairs side by side need two files in train: one gives its A, the other its B."
    return expectation(problem, (need, *_unread(layout.root)))


def _absent_problem(layout: FolderLayout, root: str) -> str:
    """Return the message about a layout of two folders per split, some of which are not there or empty."""
    paths = {place: expected_path(layout, place) for place in layout.absent}
    names = [layout.name(path) for path in paths.values()]
    missing = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} missing or empty"
    advice = [f"Nearest layout: {' '.join(_pattern(layout))}; {missing}."]
    needed = "Both directions are measured, which takes test images of A and of B."
    if moves := misnamed(layout):
        advice += ["Sets that are not read could be these. To rename them:", rename(layout, moves)]
    absent = {path.name for path in paths.values()}
    packed = [path for path in _archives(layout.root, absent) if path.name.partition(".")[0] in absent]
    unread = {folder for counts in _unread_files(layout.root).values() for folder in counts}
    commands = []
    for place, path in paths.items():
        source = layout.sets.get(Place(Split.TRAIN, place.domain))
        other_format = any(path in (folder, *folder.parents) for folder in unread)
        if place.split == Split.TEST and source and source.images > 1 and place not in moves and not other_format:
            commands.append(hold_out(layout.root, source, path))
    if packed:
        archives = _few([printable(path.name) for path in packed])
        advice += [f"Not unpacked: {archives}. To unpack:", unpack(packed[:SHOWN])]
    elif commands:
        advice += [f"{needed} To take some of the training images:", *chain(commands)]
    elif Split.TEST in {place.split for place in paths} and not moves:
        advice.append(needed)
    return expectation(f"{root} holds {_held(layout.root)}", [*advice, *_unread(layout.root)])


def _unknown_problem(layout: FolderLayout, root: str) -> str:
    """Return the message about a directory in which no layout was found."""
    folders = visible_folders(layout.root)
    inside = [*folders, *(child for folder in folders[:SHOWN] for child in visible_folders(folder))]
    other = next((name for folder in inside if (name := OTHER_DATASETS.get(folder.name))), "")
    if other:
        return expectation(f"{root} holds {_held(layout.root)}", (f"This looks like {other}: --dataset {other}",))
    if layout.words:
        words = _few([printable(word) for word in layout.words])
        problem = f"{root} holds {_held(layout.root)}: {len(layout.words)} domains ({words}), and two are compared"
        return expectation(problem, ("Choose two and name them trainA, trainB, testA and testB:", renames(layout)))
    above = _layout_above(layout.root)
    if above:
        return expectation(f"{root} is one of the folders of a layout", (_give(above),))
    if alone := _training_alone(layout.root):
        return _alone_problem(alone)
    if inner := _incomplete_layouts(layout.root):
        if len(inner) == 1:
            return layout_problem(inner[0], None) or ""
        names = _few([printable(found.root.relative_to(layout.root).as_posix()) for found in inner])
        first = shell_word(str(inner[0].root))
        problem = f"{root} holds {len(inner)} data sets that are not complete, {names}"
        return expectation(problem, (f"To see what one lacks, for example --data-root {first}",))
    if alone := _deeper_alone(layout.root):
        return _alone_problem(alone)
    domains = [(folder, len(stored_files(folder))) for folder in folders]
    domains = [(folder, count) for folder, count in domains if count]
    if len(domains) == 2:
        return expectation(f"{root} holds {_held(layout.root)}, not divided into training and test", divide(domains))
    if archives := _archives(layout.root, set(FOLDERS)):
        names = _few([printable(path.name) for path in archives])
        problem = f"{root} holds {_held(layout.root)}; not unpacked: {names}"
        return expectation(problem, ("To unpack:", unpack(archives[:SHOWN]), *_unread(layout.root)))
    images = len(stored_files(layout.root))
    held = _held(layout.root)
    if images and held == NOTHING:
        held = f"{plural(images, 'image')} and none of the expected folders"
    return expectation(f"{root} holds {held}", _unread(layout.root))


def _alone_problem(alone: SetFolder) -> str:
    """Return the message about a folder `train` without test images beside it."""
    root = alone.path.parent
    take = "If its images show A and B side by side, take some of them for the test:"
    problem = f"{printable(str(root))} holds {_held(root)}, and no test images"
    return expectation(problem, (take, hold_out(root, alone, root / "test"), *_unread(root)))


def _training_alone(root: Path) -> SetFolder | None:
    """Return the folder in a directory that is called like a training set of no domain and holds images."""
    return next((folder for folder in set_folders(root) if not folder.word and folder.split == Split.TRAIN), None)


def _deeper_alone(root: Path) -> SetFolder | None:
    """Return the only such folder one level deeper, or deeper where there is one folder only."""
    for _ in range(LEVELS):
        folders = visible_folders(root)[:MAX_FOLDERS]
        found = [alone for folder in folders if (alone := _attempted(_training_alone, folder))]
        if found or len(folders) != 1:
            return found[0] if len(found) == 1 else None
        root = folders[0]
    return None


def _incomplete_layouts(root: Path) -> list[FolderLayout]:
    """Return the layouts that lie one folder deeper, or deeper where there is one folder only."""
    for _ in range(LEVELS):
        folders = visible_folders(root)[:MAX_FOLDERS]
        if found := [layout for folder in folders if (layout := _attempted(layout_in, folder)) and layout.sets]:
            return found
        if len(folders) != 1:
            break
        root = folders[0]
    return []


def _attempted(look: Callable[[Path], Found], folder: Path) -> Found | None:
    try:
        return look(folder)
    except CgbenchError:  # one that may not be listed
        return None


def _held(root: Path) -> str:
    """Return the folders in a directory that hold images or are called like a set, with their numbers of images."""
    counts = {folder.path: folder.images for folder in set_folders(root)}
    for folder in visible_folders(root):
        if folder not in counts and ((count := len(stored_files(folder))) or folder.name in FOLDERS):
            counts[folder] = count
    texts = [
        f"{printable(path.relative_to(root).as_posix())} ({plural(count, 'image')})" for path, count in counts.items()
    ]
    return _few(texts) if texts else NOTHING


def _archives(root: Path, absent: Set[str] = frozenset()) -> list[Path]:
    """Return the archives in a directory, apart from those beside a folder of their name: they are unpacked, unless it
    is one of the `absent` sets, which have no images."""
    try:
        paths = sorted(path for path in root.iterdir() if path.name[0] != "." and path.is_file())
    except OSError:
        return []
    stems = [(path, end) for path in paths for end in ARCHIVES if path.name.lower().endswith(end)]
    return [path for path, end in stems if (n := path.name[: -len(end)]) in absent or not (root / n).is_dir()]


def _unread_files(root: Path) -> dict[str, Counter[Path]]:
    """Return for each image format that is not read the number of such files in the folders that hold any."""
    found: dict[str, Counter[Path]] = {}
    for folder, folders, names in itertools.islice(os.walk(root), MOST_SEARCHED):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX")
        for name in names:
            if name[0] != "." and (extension := unread_extension(Path(name))):
                found.setdefault(extension, Counter())[Path(folder)] += 1
    return dict(sorted(found.items()))


def _unread(root: Path) -> list[str]:
    """Return a line for each of the first formats that are not read: where such files are, and how many."""
    lines = []
    for extension, counts in list(_unread_files(root).items())[:MOST_FORMATS]:
        names = [printable((path.relative_to(root) if path != root else path).as_posix()) for path in counts]
        files, verb = plural(counts.total(), f"{extension} file"), "holds" if len(names) == 1 else "hold"
        which = "is not read: convert it" if counts.total() == 1 else "are not read: convert them"
        lines.append(f"{_few(names)} {verb} {files}, which {which} to PNG")
    return lines


def _few(texts: Sequence[str]) -> str:
    return ", ".join(texts[:SHOWN]) + (f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")


def _give(above: Path) -> str:
    return f"Give the directory that holds it: --data-root {shell_word(str(above))}"


def _pattern(layout: FolderLayout) -> list[str]:
    """Return the names of the four required folders in the style that was found."""
    required = [Place(split, domain) for split in (Split.TRAIN, Split.TEST) for domain in "AB"]
    return [layout.name(expected_path(layout, place)) for place in required]


def _layout_above(root: Path) -> Path | None:
    """Return the directory above whose layout reads a folder, or folders in it, as its sets; None for no such one."""
    here = root.resolve()
    for above in here.parents[:2]:
        if len(visible_folders(above)) > MAX_FOLDERS:
            return None
        layout = _attempted(layout_in, above)
        if layout is None:
            return None
        if any(here in (folder.path, folder.path.parent) for folder in layout.sets.values()):
            return above
    return None
