"""What the folders of a dataset hold: files that are not read, names that make trouble, contents unlike their names."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from cgbench.api.dataset import Dataset, Item
from cgbench.datasets.checks.report import Issue, issues_for, shown
from cgbench.datasets.images import EXTENSIONS, FORMATS, Header, header
from cgbench.errors import DataBroken
from cgbench.formatting import printable

# pictures that other programs write and this one does not read
UNREAD = (".gif", ".avif", ".heic", ".jp2", ".jfif", ".pgm", ".ppm", ".tga", ".exr", ".hdr", ".npy", ".dcm", ".nii")


def check_folders(dataset: Dataset) -> list[Issue]:
    """Return what is in the dataset's folders and is not read as an image, though it looks like one."""
    root, entries = dataset.root, []
    for folder in dataset.folders():
        try:
            inside = sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            entries.append((shown(folder, root), f"the folder cannot be listed ({error.strerror})"))
            continue
        entries += [(shown(path, root), why) for path in inside if (why := _ignored(path))]
    remedy = "convert, rename or move them if they belong to the set, else remove them"
    return issues_for("ignored", "warning", remedy, entries)


def _ignored(path: Path) -> str:
    """Return why a directory entry is not read, "" if it is, or is no image at all."""
    ending = path.suffix.lower()
    if path.is_dir():
        return "is a folder: what is in it is not read" if ending in EXTENSIONS or _holds_images(path) else ""
    if ending in EXTENSIONS and path.name.startswith("."):
        return "is hidden: its name begins with a dot"
    return f"'{ending}' files are not read" if ending in UNREAD else ""


def _holds_images(folder: Path) -> bool:
    try:
        return any(entry.suffix.lower() in EXTENSIONS for entry in folder.iterdir())
    except OSError:
        return True


def check_files(dataset: Dataset, items: Iterable[Item]) -> list[Issue]:
    """Return what the headers of the files say, and their names. Files that cannot be opened are left to the look."""
    root, found, headers = dataset.root, [], {}
    listed = list(items)
    for path in dict.fromkeys(path for item in listed for path in (item.file, item.labels_file) if path):
        try:
            headers[path] = header(path)
        except DataBroken:
            continue
        found += _of_header(path, headers[path], root)
    found += _turned(listed, headers, root)
    return [*found, *_names([path for item in listed if (path := item.file)], root)]


def _of_header(path: Path, facts: Header, root: Path | None) -> list[Issue]:
    name, found = shown(path, root), []
    if path.suffix.lower() not in FORMATS[facts.format]:
        text = f"holds {facts.format}; read as that"
        found.append(Issue("format", "warning", text, "rename them, so that other programs read them too", (name,)))
    if facts.frames > 1 and facts.format != "MPO":  # a telephone's JPEG carries its preview as a second frame
        text = f"holds {facts.frames} frames; the first is read"
        found.append(Issue("frames", "warning", text, "store the frames that matter as files of their own", (name,)))
    if facts.mode == "CMYK":
        text = f"{facts.mode} is converted to RGB without its colour profile"
        found.append(Issue("colours", "note", text, "convert them to RGB yourself if colours matter", (name,)))
    return found


def _turned(items: Sequence[Item], headers: dict[Path, Header], root: Path | None) -> list[Issue]:
    """Return the photos that EXIF turns while their label map stays as it is."""
    entries = []
    for item in items:
        photo, labels = headers.get(item.file), headers.get(item.labels_file)
        if photo and labels and photo.orientation > 1 and photo.orientation != labels.orientation:
            name = shown(item.labels_file, root)
            entries.append(
                (shown(item.file, root), f"orientation {photo.orientation}; {name} has {labels.orientation}")
            )
    remedy = "look whether both show the same; store the photo upright, without the tag"
    return issues_for("rotated", "warning", remedy, dict.fromkeys(entries))


def _names(files: Iterable[Path], root: Path | None) -> list[Issue]:
    """Return names that cannot be written as they are, and names that differ by upper and lower case only."""
    entries, lower = [], {}
    for path in dict.fromkeys(files):
        if printable(path.name) != path.name:
            entries.append((shown(path, root), "holds bytes that are no UTF-8, or control characters"))
        other = lower.setdefault((path.parent, path.stem.lower()), path)
        if other.stem != path.stem:
            entries.append((shown(path, root), f"differs from {printable(other.name)} by upper and lower case only"))
    return issues_for(
        "names", "warning", "rename them: other systems cannot keep such files apart or write them", entries
    )
