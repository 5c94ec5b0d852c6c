"""Fetching one public dataset: terms, download, digest, unpacking, counts, and the next commands."""

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cgbench.datasets.download.archives import content_folder, unpack
from cgbench.datasets.download.catalogue import PublicSet
from cgbench.datasets.download.http import DownloadFailed, Limits, download, sha256
from cgbench.datasets.images.decoding import image_files
from cgbench.errors import DataBroken
from cgbench.files import read_json, write_json
from cgbench.formatting import plural, printable, shell_word, size
from cgbench.progress import ProgressCallback

Log = Callable[[str], object]


def fetch(
    entry: PublicSet, root: Path, url: str | None, log: Log, update: ProgressCallback, limits: Limits | None = None
) -> Path:
    """Fetch a public dataset; one that is there already is only counted.

    `root/NAME.source.json` stores the address of the archive and its SHA-256, which a later download must match.

    Args:
        entry: the dataset in the catalogue.
        root: the data root.
        url: address of a mirror, or None for that of the catalogue.
        log: called with lines of text for the user.
        update: called with the progress in bytes, then in files.
        limits: bounds of the download, by default those of the catalogue.

    Returns:
        The folder `root/NAME`.

    Raises:
        CgbenchError: with the fix; the bytes downloaded so far are kept.
    """
    target, source = root / entry.name, root / f"{entry.name}.source.json"
    log(f"{entry.name}: {entry.licence}.\nCite: {entry.cite}." + (f"\nNote: {entry.note}." if entry.note else ""))
    if target.exists():
        if mismatch := count_mismatch(entry, target):
            raise DataBroken(f"{target}: is there, but {mismatch}: move it away, and the same command fetches it again")
        log(f"{target} is there already: {_counts_text(entry, target)}.")
        log(_next_commands(entry, target))
        return target
    address = url or entry.url
    archive = root / (entry.name + (".tar.gz" if entry.url.endswith(".tar.gz") else ".zip"))
    bounds = limits or Limits(entry.max_bytes)
    if not archive.exists():
        log(f"from {printable(address)}")
        download(address, archive, bounds, log, update)
    if archive.stat().st_size > bounds.max_bytes:
        raise DataBroken(
            f"{archive}: {size(archive.stat().st_size)} is more than the {size(bounds.max_bytes)} that this set may "
            "have: remove it, then the same command loads it again"
        )
    digest = sha256(archive)
    _check_digest(entry, archive, source, digest)
    log(f"{size(archive.stat().st_size)}, SHA-256 {digest}")
    _unpack(entry, archive, target, update)
    record = {"name": entry.name, "url": address, "bytes": archive.stat().st_size, "sha256": digest}
    record |= {"fetched": datetime.now(UTC).isoformat(timespec="seconds"), "licence": entry.licence, "cite": entry.cite}
    write_json(source, record | {"images": counts(entry, target)})
    archive.unlink()
    log(f"{target}: {_counts_text(entry, target)}.")
    log(_next_commands(entry, target))
    return target


def counts(entry: PublicSet, folder: Path) -> dict[str, int]:
    """Return the number of images in each of the set's folders."""
    return {name: len(image_files(folder / name)) for name in entry.folders}


def count_mismatch(entry: PublicSet, folder: Path) -> str:
    """Return the differences between the numbers of images and the catalogue as text, "" for none."""
    mismatches = [
        f"{name} holds {plural(count, 'image')} instead of {entry.counts.get(name) or 'at least one'}"
        for name, count in counts(entry, folder).items()
        if count != entry.counts.get(name, count) or not count
    ]
    return ", ".join(mismatches)


def _check_digest(entry: PublicSet, archive: Path, source: Path, digest: str) -> None:
    """Raise where the digest differs from the published one or, without one, from that of an earlier fetch."""
    if entry.sha256 and digest != entry.sha256:
        archive.unlink()
        raise DownloadFailed(
            f"{archive.name}: its SHA-256 is {digest}, not {entry.sha256}: the bytes are not those of the set, and "
            "were removed. The same command loads it again; or give another --url"
        )
    earlier = _read_source(source)
    if not entry.sha256 and earlier.get("sha256") not in (None, digest):
        raise DownloadFailed(
            f"{archive}: its SHA-256 is {digest}, but the archive fetched on {str(earlier.get('fetched', '?'))[:10]} "
            f"had {earlier['sha256']}. Remove the archive to load it again, or {source.name} to accept the new one"
        )


def _read_source(source: Path) -> dict[str, Any]:
    """Return the record of an earlier fetch, empty where there was none."""
    earlier = read_json(source) if source.exists() else {}
    if not isinstance(earlier, dict):
        raise DataBroken(f"{source} is not the record of a fetch: remove it to accept the archive as it is now")
    return earlier


def _unpack(entry: PublicSet, archive: Path, target: Path, update: ProgressCallback) -> None:
    """Unpack into a temporary folder beside the target, check the counts, then rename it to the target."""
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{entry.name}."))
    try:
        unpack(archive, temporary / "content", update)
        content = content_folder(temporary / "content", entry.folders)
        if wrong := count_mismatch(entry, content):
            raise DataBroken(
                f"{archive}: unpacked, {wrong}: not the set that the catalogue knows. The archive is kept; remove it "
                "to load it again, or unpack it yourself if you trust it"
            )
        os.rename(content, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _counts_text(entry: PublicSet, folder: Path) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts(entry, folder).items())


def _next_commands(entry: PublicSet, target: Path) -> str:
    """Return the text that names the commands to check the set and to run on it."""
    option = f"--data-root {shell_word(str(target))}"
    check = f"Next:  cgbench datasets check folder {option}"
    if "testA" not in entry.folders and "train" not in entry.folders:
        return f"Next:  {entry.note}"
    return f"{check}\n       cgbench run --methods cyclegan,gan_only --dataset folder {option}"
