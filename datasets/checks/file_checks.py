"""Checks of files: files that are not read, problematic names, contents that differ from the file extension."""

from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cgbench.api.dataset import Dataset, Item
from cgbench.datasets.checks.compression import compare_formats
from cgbench.datasets.checks.report import Issue, display_name, issues_for
from cgbench.datasets.images import decoding
from cgbench.datasets.images.decoding import Header, header, unread_extension
from cgbench.datasets.images.stored import EXTENSIONS, FORMATS, stored_files, stored_header
from cgbench.errors import CgbenchError, DataBroken
from cgbench.formatting import printable
from cgbench.progress import ProgressCallback


def check_folders(dataset: Dataset) -> list[Issue]:
    """Return issues for everything that looks like an image of the dataset and is not read as one; `files` of the
    issues together are these files. Those in a sub-folder, or in a folder that is not used, share an issue."""
    root, read = dataset.root, set(dataset.folders())
    used = _used_files(dataset)
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
            elif reason := _unread_reason(path, used):
                issues.append(_ignored((path,), reason, root))
    for folder in dataset.unused_folders():
        if files := stored_files(folder) or _unread_images(folder):
            issues.append(_ignored(files, f"{display_name(folder, root)} is no set that is read", root))
    return issues


def _ignored(paths: Sequence[Path], text: str, root: Path | None) -> Issue:
    fix = "convert, rename or move them if they belong to the set, else remove them"
    return Issue("ignored", "warning", text, fix, tuple(display_name(path, root) for path in paths))


def _used_files(dataset: Dataset) -> set[Path]:
    """Return the files that the dataset lists, as images or with a problem."""
    used: set[Path] = set()
    for split in dataset.splits:
        for letter in "AB":
            with suppress(CgbenchError):  # said where the sets are listed
                listing = dataset.listing(split, letter)
                used |= {item.file for item in listing.items if item.file} | {entry.file for entry in listing.problems}
    return used


def _unread_reason(path: Path, used: Set[Path]) -> str:
    """Return the reason why a file is not read; "" where it is read or is no image."""
    extension = path.suffix.lower()
    if extension in EXTENSIONS and path.name.startswith("."):
        return "is hidden: its name begins with a dot"
    unread = unread_extension(path)
    if extension in EXTENSIONS and extension not in decoding.EXTENSIONS and path not in used:
        unread = extension
    return f"'{unread}' files are not read" if unread else ""


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


@dataclass(frozen=True)
class Headers:
    """The headers of all files of a dataset that can be opened, and the reason for each of the others."""

    by_file: dict[Path, Header]
    broken: dict[Path, str]

    def of_sets(self, listed: Mapping[tuple[str, str], Sequence[Item]]) -> dict[tuple[str, str], list[Header]]:
        """Return the headers of the images of each split and domain."""
        return {
            name: [self.by_file[item.file] for item in items if item.file in self.by_file]
            for name, items in listed.items()
        }


def read_headers(
    dataset: Dataset, listed: Mapping[tuple[str, str], Sequence[Item]], update: ProgressCallback | None = None
) -> Headers:
    """Return the headers of the files of all splits and domains, each file read once and no pixel decoded; none of
    files that are no images, such as volumes. `update(done, total)` is called after each file."""
    by_file, broken, paths = {}, {}, {}
    for (_, letter), items in listed.items():
        pictures = dataset.domains[letter == "B"].pixels.is_rgb8
        for item in items:
            if item.file and (pictures or item.file.suffix.lower() in EXTENSIONS):
                paths[item.file] = header if pictures else stored_header
            if item.labels_file:
                paths.setdefault(item.labels_file, header)
    for done, (path, read) in enumerate(paths.items(), 1):
        try:
            by_file[path] = read(path)
        except DataBroken as error:
            broken[path] = str(error).removeprefix(f"{printable(str(path))}: ")
        if update:
            update(done, len(paths))
    return Headers(by_file, broken)


def check_files(dataset: Dataset, listed: Mapping[tuple[str, str], Sequence[Item]], headers: Headers) -> list[Issue]:
    """Return the issues of file headers and file names. Files that cannot be opened are reported by `check_images`."""
    root, issues = dataset.root, []
    items = [item for of_set in listed.values() for item in of_set]
    for path, found in headers.by_file.items():
        issues += _header_issues(path, found, root)
    issues += _transparent(dataset, listed, headers)
    issues += _rotated(items, headers.by_file, root)
    issues += compare_formats(dataset, headers.of_sets(listed))
    return [*issues, *_name_issues([path for item in items if (path := item.file)], root)]


def _transparent(dataset: Dataset, listed: Mapping[tuple[str, str], Sequence[Item]], headers: Headers) -> list[Issue]:
    """Return an issue for each photo that declares transparency."""
    files = [
        item.file
        for (_, letter), items in listed.items()
        if dataset.domains[letter == "B"].kind == "photo"
        for item in items
        if item.file in headers.by_file and headers.by_file[item.file].transparent
    ]
    text = "declares transparency: laid over white"
    fix = "store them without it if another ground is meant"
    return issues_for(
        "colours", "note", fix, [(display_name(file, dataset.root), text) for file in dict.fromkeys(files)]
    )


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
