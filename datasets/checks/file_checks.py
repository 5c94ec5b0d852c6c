"""Checks of files: files that are not read, problematic names, contents that differ from the file extension."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from cgbench.api.dataset import Dataset, Item
from cgbench.datasets.checks.report import Issue, display_name, issues_for
from cgbench.datasets.images import EXTENSIONS, FORMATS, Header, header, image_files
from cgbench.errors import DataBroken
from cgbench.formatting import printable

# image formats that are not read
UNREAD_EXTENSIONS = (
    ".gif",
    ".avif",
    ".heic",
    ".jp2",
    ".jfif",
    ".pgm",
    ".ppm",
    ".tga",
    ".exr",
    ".hdr",
    ".npy",
    ".dcm",
    ".nii",
)


def check_folders(dataset: Dataset) -> list[Issue]:
    """Return issues for everything that looks like an image of the dataset and is not read as one; `files` of the
    issues together are these files. Those in a sub-folder, or in a folder that is not used, share an issue."""
    root, read = dataset.root, set(dataset.folders())
    counted: set[Path] = set()
    issues: list[Issue] = []
    for folder in dataset.folders():
        try:
            paths = sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            issues.append(_ignored((folder,), f"the folder cannot be listed ({error.strerror})", root))
            continue
        for path in paths:
            if path.is_dir():
                below = (file for file in _unread_images(path) if file == path or file.parent not in read)
                if files := [file for file in below if file not in counted]:
                    counted.update(files)
                    issues.append(_ignored(files, f"in a sub-folder of {display_name(folder, root)}", root))
            elif reason := _unread_reason(path):
                issues.append(_ignored((path,), reason, root))
    for folder in dataset.unused_folders():
        if files := image_files(folder) or _unread_images(folder):
            issues.append(_ignored(files, f"{display_name(folder, root)} is no set that is read", root))
    return issues


def _ignored(paths: Sequence[Path], text: str, root: Path | None) -> Issue:
    fix = "convert, rename or move them if they belong to the set, else remove them"
    return Issue("ignored", "warning", text, fix, tuple(display_name(path, root) for path in paths))


def _unread_reason(path: Path) -> str:
    """Return the reason why a file is not read; "" where it is read or is no image."""
    extension = path.suffix.lower()
    if extension in EXTENSIONS and path.name.startswith("."):
        return "is hidden: its name begins with a dot"
    return f"'{extension}' files are not read" if extension in UNREAD_EXTENSIONS else ""


def _unread_images(folder: Path) -> list[Path]:
    """Return the images in a folder that is not read, and in its folders; itself where it has the name of an image or
    cannot be listed."""
    found = []
    try:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                found += _unread_images(path)
            elif path.suffix.lower() in EXTENSIONS:
                found.append(path)
    except OSError:
        return [folder]
    return found or ([folder] if folder.suffix.lower() in EXTENSIONS else [])


def check_files(dataset: Dataset, items: Iterable[Item]) -> list[Issue]:
    """Return the issues of file headers and file names. Files that cannot be opened are reported by `check_images`."""
    root, issues, headers = dataset.root, [], {}
    listed = list(items)
    for path in dict.fromkeys(path for item in listed for path in (item.file, item.labels_file) if path):
        try:
            headers[path] = header(path)
        except DataBroken:
            continue
        issues += _header_issues(path, headers[path], root)
    issues += _rotated(listed, headers, root)
    return [*issues, *_name_issues([path for item in listed if (path := item.file)], root)]


def _header_issues(path: Path, header: Header, root: Path | None) -> list[Issue]:
    name, issues = display_name(path, root), []
    if path.suffix.lower() not in FORMATS[header.format]:
        text = f"holds {header.format}; read as that"
        issues.append(Issue("format", "warning", text, "rename them, so that other programs read them too", (name,)))
    if header.frames > 1 and header.format != "MPO":  # a telephone's JPEG carries its preview as a second frame
        text = f"holds {header.frames} frames; the first is read"
        issues.append(Issue("frames", "warning", text, "store the frames that matter as files of their own", (name,)))
    if header.mode == "CMYK":
        text = f"{header.mode} is converted to RGB without its colour profile"
        issues.append(Issue("colours", "note", text, "convert them to RGB yourself if colours matter", (name,)))
    return issues


def _rotated(items: Sequence[Item], headers: dict[Path, Header], root: Path | None) -> list[Issue]:
    """Return an issue for each photo that EXIF rotates otherwise than its label map."""
    entries = []
    for item in items:
        photo, labels = headers.get(item.file), headers.get(item.labels_file)
        if photo and labels and photo.orientation > 1 and photo.orientation != labels.orientation:
            name = display_name(item.labels_file, root)
            entries.append(
                (display_name(item.file, root), f"orientation {photo.orientation}; {name} has {labels.orientation}")
            )
    fix = "look whether both show the same; store the photo upright, without the tag"
    return issues_for("rotated", "warning", fix, dict.fromkeys(entries))


def _name_issues(files: Iterable[Path], root: Path | None) -> list[Issue]:
    """Return an issue for each name that is not printable, or differs from another one by case only."""
    entries: list[tuple[str, str]] = []
    lower: dict[tuple[Path, str], Path] = {}
    for path in dict.fromkeys(files):
        if printable(path.name) != path.name:
            entries.append((display_name(path, root), "holds bytes that are no UTF-8, or control characters"))
        first = lower.setdefault((path.parent, path.stem.lower()), path)
        if first.stem != path.stem:
            entries.append(
                (display_name(path, root), f"differs from {printable(first.name)} by upper and lower case only")
            )
    return issues_for(
        "names", "warning", "rename them: other systems cannot keep such files apart or write them", entries
    )
