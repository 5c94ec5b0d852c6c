"""Layouts of Cityscapes in a directory: the official archives wherever they were unpacked, and two prepared forms."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgbench.api.dataset import FileProblem
from cgbench.api.names import IGNORE, Split
from cgbench.datasets.images.decoding import image_files, read_image, read_labels
from cgbench.datasets.layouts.file_keys import FOLDERS, by_key, halves, pair_key, side_by_side_test, stem, unmatched
from cgbench.datasets.layouts.folder_layouts import visible_folders
from cgbench.errors import DataBroken, DataMissing
from cgbench.formatting import plural, printable, shell_word
from cgbench.selection import evenly_spaced

PHOTO_SUFFIX, LABEL_SUFFIX = "_leftImg8bit.png", "_gtFine_labelIds.png"
RAW, TWO_FOLDERS, SIDE_BY_SIDE = "raw", "folders", "side by side"
PHOTOS, LABELS, COARSE = "leftImg8bit", "gtFine", "gtCoarse"
ARCHIVES = {PHOTOS: "leftImg8bit_trainvaltest.zip", LABELS: "gtFine_trainvaltest.zip"}
OTHER_LABELS = {"_gtFine_color.png": "colour files", "_gtFine_labelTrainIds.png": "files of training ids"}
DEPTH = 3  # levels below the given directory that are searched for the folders of the archives
MAX_FOLDERS = 500  # that are searched
MAX_TRAIN_ID = 18
LABELS_READ = 4  # label maps whose ids or colours are looked at
COLOUR_DISTANCE = 16  # levels by which resizing and JPEG shift a label colour away from edges
MIN_LABEL_SHARE = 0.6  # pixels near a label colour: JPEG of 128 pixels has 0.77 and more, photos of streets up to 0.46
MIN_CLASS_SHARE = 0.1  # pixels near the colour of a class: images of class ids are all near black, which is none
SPLITS = {Split.TRAIN: "train", Split.TEST: "val"}  # the published recipe tests on `val`

Scene = tuple[str, Path, Path]  # key, file with the labels, file with the photo


@dataclass(frozen=True)
class CityscapesLayout:
    """A layout: RAW, TWO_FOLDERS, SIDE_BY_SIDE or "" for none; the folder that has it; and of the raw one the folders
    that hold `train` and `val` of the photos and of the labels. `remark` says where it was found, if elsewhere than
    expected."""

    kind: str
    folder: Path
    photos: Path | None = None
    labels: Path | None = None
    remark: str = ""

    def split_folders(self, split: str) -> tuple[Path, Path]:
        """Return the folders of the cities of a split, "train" or "val": photos and labels."""
        assert self.photos is not None and self.labels is not None
        return self.photos / split, self.labels / split


def find_cityscapes(root: Path) -> CityscapesLayout:
    """Return the layout in a directory: in itself or in `cityscapes` inside it, else where the only archives are."""
    named = [folder for folder in visible_folders(root) if folder.name.lower() == "cityscapes"]
    inside = [folder for outer in named for folder in visible_folders(outer) if folder.name.lower() == "cityscapes"]
    for folder in (root, *sorted(named, key=lambda path: path.name != "cityscapes"), *inside):
        if (folder / PHOTOS / "train").is_dir() and (folder / LABELS / "train").is_dir():
            return CityscapesLayout(RAW, folder, folder / PHOTOS, folder / LABELS)
        if all((folder / name).is_dir() for name in FOLDERS):
            return CityscapesLayout(TWO_FOLDERS, folder)
        if (folder / "trainannot").is_dir():
            continue  # train and val of CamVid, not pairs side by side
        if image_files(folder / "train") and side_by_side_test(folder):
            return CityscapesLayout(SIDE_BY_SIDE, folder)
    photos, labels = (archive_folders(root, name) for name in (PHOTOS, LABELS))
    if len(photos) == len(labels) == 1:
        remark = f"photos are read from {printable(str(photos[0]))}, labels from {printable(str(labels[0]))}"
        return CityscapesLayout(RAW, root, photos[0], labels[0], remark)
    return CityscapesLayout("", root)


def archive_folders(root: Path, name: str) -> list[Path]:
    """Return the folders called `name` that hold `train` or `val`, below the directory or, if it is one of them or
    inside one, beside it."""
    found = [folder for folder in _folders_below(start_of_search(root)) if folder.name.lower() == name.lower()]
    return [folder for folder in found if any((folder / split).is_dir() for split in SPLITS.values())]


def start_of_search(root: Path) -> Path:
    """Return the directory, or the one that holds both archives where the given one is inside an archive."""
    here = root.resolve()
    archives = {name.lower() for name in (PHOTOS, LABELS)}
    inside = [path for path in (here, *here.parents[:2]) if path.name.lower() in archives]
    return inside[-1].parent if inside else root


def raw_problem(layout: CityscapesLayout) -> str:
    """Return what the raw layout lacks, one line; "" where both splits have photos and labels."""
    lacking = []
    for split in SPLITS.values():
        folders = layout.split_folders(split)
        for folder, suffix in zip(folders, (PHOTO_SUFFIX, LABEL_SUFFIX), strict=True):
            if next(folder.glob(f"*/*{suffix}"), None) is None:
                others = [text for end, text in OTHER_LABELS.items() if next(folder.glob(f"*/*{end}"), None)]
                instead = f", only {' and '.join(others)}" if suffix == LABEL_SUFFIX and others else ""
                lacking.append(f"{printable(str(folder))} has no files *{suffix}{instead}")
    return "; ".join(lacking)


def prepared_problem(layout: CityscapesLayout, classes: np.ndarray, void: np.ndarray) -> str:
    """Return why a prepared layout is no Cityscapes, one line; "" where every folder has images and its label images
    are in the colours of Cityscapes. `classes` and `void` are colours of labels, (N, 3); a few images are read."""
    folder = layout.folder
    names = FOLDERS if layout.kind == TWO_FOLDERS else ("train", side_by_side_test(folder).name)
    for name in names:
        if not image_files(folder / name):
            others = sum(path.name[0] != "." for path in (folder / name).iterdir())
            seen = f", only {plural(others, 'other file')}" if others else ""
            return f"{printable(str(folder / name))} has no image that is read{seen}"
    side_by_side = layout.kind == SIDE_BY_SIDE
    labels = folder / ("train" if side_by_side else "trainB")
    share = _label_share(labels, (lambda path: halves(path)[1]) if side_by_side else read_image, classes, void)
    if share is None:
        return f"none of the images looked at in {printable(str(labels))} can be read"
    if share >= MIN_LABEL_SHARE:
        return ""
    what = f"{'right halves' if side_by_side else 'images'} in {printable(str(labels))}"
    text = f"the {what} are not in the label colours of Cityscapes ({share:.0%} of the pixels are)"
    if not side_by_side and (_label_share(folder / "trainA", read_image, classes, void) or 0) >= MIN_LABEL_SHARE:
        return f"{text}, those in trainA are: exchange A and B"
    return f"{text}: for other pictures use --dataset folder"


def _label_share(
    folder: Path, read: Callable[[Path], np.ndarray], classes: np.ndarray, void: np.ndarray
) -> float | None:
    """Return the share of pixels in label colours, the median of a few images of a folder; an image without a class
    counts as 0. None where none of them can be read."""
    files, shares = image_files(folder), []
    for index in evenly_spaced(len(files), LABELS_READ):
        with suppress(DataBroken):  # said of the file when the images are read
            image = read(files[index])
            steps = [max(1, length // 64) for length in image.shape[:2]]
            pixels = image[:: steps[0], :: steps[1]].reshape(-1, 1, 3).astype(np.int16)
            of_class, of_none = (
                (np.abs(pixels - colours).max(axis=2) <= COLOUR_DISTANCE).any(axis=1) for colours in (classes, void)
            )
            shares.append(float((of_class | of_none).mean()) if of_class.mean() >= MIN_CLASS_SHARE else 0.0)
    return float(np.median(shares)) if shares else None


def nothing_found(root: Path) -> tuple[str, str]:
    """Return what a directory without a layout holds and lacks, and the command that makes it right, or ""."""
    start = start_of_search(root)
    found = {name: archive_folders(root, name) for name in (PHOTOS, LABELS)}
    present = [name for name, folders in found.items() if folders]
    several = [f"{len(folders)} folders {name}" for name, folders in found.items() if len(folders) > 1]
    coarse = any(folder.name == COARSE for folder in _folders_below(start))
    archives = packed_archives(start)
    seen = [f"only {name}" for name in present] if len(present) == 1 else several
    if coarse and LABELS not in present:
        seen.append(f"{COARSE}, whose labels are too coarse: {LABELS} is missing")
    command = ""
    if archives:
        seen.append(f"{plural(len(archives), 'archive')} not unpacked, {', '.join(p.name for p in archives)}")
        unzip = " && ".join(f"unzip -q -n {shell_word(path.name)}" for path in archives)
        command = f"(cd {shell_word(str(archives[0].parent))} && {unzip})"
        absent = [ARCHIVES[n] for n in ARCHIVES if n not in present and not any(n in p.name for p in archives)]
        seen += [f"missing: {', '.join(absent)}"] if absent else []
    elif several:
        seen.append("give the directory that holds one of each")
    elif len(present) == 1:
        absent_name = LABELS if present == [PHOTOS] else PHOTOS
        seen.append(f"missing: {absent_name} ({ARCHIVES[absent_name]})")
    return "found " + "; ".join(seen or ["no layout that it knows"]), command


def packed_archives(root: Path) -> list[Path]:
    """Return the archives of photos and fine labels that lie in the first directory that has any."""
    for folder in (root, *visible_folders(root)):
        try:
            names = [path for path in folder.iterdir() if path.suffix.lower() == ".zip" and path.is_file()]
        except OSError:
            continue
        if found := sorted(p for p in names if any(name.lower() in p.name.lower() for name in ARCHIVES)):
            return found
    return []


def scenes(layout: CityscapesLayout, split: str) -> tuple[list[Scene], list[FileProblem]]:
    """Return the scenes of "train" or "test", and a problem for each file that belongs to none."""
    if layout.kind == RAW:
        return _raw_scenes(layout, SPLITS[Split(split)])
    folder = layout.folder
    if layout.kind == SIDE_BY_SIDE:
        source = side_by_side_test(folder) if split == Split.TEST else folder / "train"
        files, problems = by_key(image_files(source), stem)
        return [(key, path, path) for key, path in files.items()], problems
    photos, photo_problems = by_key(image_files(folder / f"{split}A"), pair_key)
    labels, label_problems = by_key(image_files(folder / f"{split}B"), pair_key)
    return _joined(photos, labels, [*photo_problems, *label_problems], "unpack the archive again")


def training_ids_problem(found: Sequence[Scene]) -> list[FileProblem]:
    """Return a problem where a few label maps, spread over the scenes, hold nothing but training ids: under the name of
    labelIds they would be read as other classes."""
    files = [found[index][1] for index in evenly_spaced(len(found), LABELS_READ)]
    try:
        values = {int(value) for file in files for value in np.unique(read_labels(file))}
    except DataBroken:
        return []  # said of the file when it is read
    if not values or any(MAX_TRAIN_ID < value < IGNORE for value in values):
        return []
    text = (
        f"holds training ids (0 to {MAX_TRAIN_ID} and {IGNORE}) under the name of labelIds, like all {len(files)} "
        f"files that were looked at: unpack {ARCHIVES[LABELS]} again"
    )
    return [FileProblem(files[0], text)]


def _raw_scenes(layout: CityscapesLayout, split: str) -> tuple[list[Scene], list[FileProblem]]:
    """Return the scenes of the official archives, keyed by city, sequence and frame."""
    photo_folder, label_folder = layout.split_folders(split)
    photos = {p.name.removesuffix(PHOTO_SUFFIX): p for p in photo_folder.glob(f"*/*{PHOTO_SUFFIX}")}
    labels = {p.name.removesuffix(LABEL_SUFFIX): p for p in label_folder.glob(f"*/*{LABEL_SUFFIX}")}
    if not photos or not labels:
        raise DataMissing(
            f"cityscapes: {layout.folder} has no {split} files in leftImg8bit or gtFine: unpack both archives"
        )
    found, problems = _joined(photos, labels, [], "unpack both archives again")
    return found, [*problems, *training_ids_problem(found)]


def _joined(
    photos: dict[str, Path], labels: dict[str, Path], problems: list[FileProblem], fix: str
) -> tuple[list[Scene], list[FileProblem]]:
    single = unmatched(photos, labels, ("photo", "label map"), fix)
    found = [(key, labels[key], photos[key]) for key in sorted(photos.keys() & labels.keys())]
    return found, [*problems, *single]


def _folders_below(root: Path) -> list[Path]:
    """Return the folders below a directory, level by level, at most `MAX_FOLDERS`; not those of the splits."""

    def walk() -> Iterator[Path]:
        level = [root]
        for _ in range(DEPTH):
            level = [child for folder in level[:MAX_FOLDERS] for child in visible_folders(folder)]
            level = [folder for folder in level if folder.name.lower() not in ("train", "val", "test")]
            yield from level[:MAX_FOLDERS]

    return list(walk())
