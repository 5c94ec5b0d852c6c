"""Fetching one set: terms, download, digest, unpacking, counts, and what to type next."""

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cgbench.datasets.download.archives import only_folder, unpack
from cgbench.datasets.download.catalogue import PublicSet
from cgbench.datasets.download.http import DownloadFailed, Limits, download, sha256
from cgbench.datasets.images import image_files
from cgbench.errors import DataBroken
from cgbench.files import read_json, write_json
from cgbench.formatting import printable, size

Say = Callable[[str], object]
Update = Callable[[int, int], None]


def fetch(
    entry: PublicSet, root: Path, url: str | None, say: Say, update: Update, limits: Limits | None = None
) -> Path:
    """Fetch a set to `root/NAME` and return that folder; one that is there already is only counted.

    `url` replaces the catalogue's address. Beside the folder `NAME.source.json` keeps where the archive came from and
    its SHA-256, which a later fetch must find again. Raises `CgbenchError` with what to do; what was loaded is kept.
    """
    target, source = root / entry.name, root / f"{entry.name}.source.json"
    say(f"{entry.name}: {entry.licence}.\nCite: {entry.cite}." + (f"\nNote: {entry.note}." if entry.note else ""))
    if target.exists():
        if wrong := miscounted(entry, target):
            raise DataBroken(f"{target}: is there, but {wrong}: move it away, and the same command fetches it again")
        say(f"{target} is there already: {_counted(entry, target)}.")
        say(_next(entry, target))
        return target
    address = url or entry.url
    archive = root / (entry.name + (".tar.gz" if entry.url.endswith(".tar.gz") else ".zip"))
    if not archive.exists():
        say(f"from {printable(address)}")
        download(address, archive, limits or Limits(entry.largest), say, update)
    digest = sha256(archive)
    _check_digest(entry, archive, source, digest)
    say(f"{size(archive.stat().st_size)}, SHA-256 {digest}")
    _unpack(entry, archive, target, update)
    facts = {"name": entry.name, "url": address, "bytes": archive.stat().st_size, "sha256": digest}
    facts |= {"fetched": datetime.now(UTC).isoformat(timespec="seconds"), "licence": entry.licence, "cite": entry.cite}
    write_json(source, facts | {"images": counts(entry, target)})
    archive.unlink()
    say(f"{target}: {_counted(entry, target)}.")
    say(_next(entry, target))
    return target


def counts(entry: PublicSet, folder: Path) -> dict[str, int]:
    """Return the number of images in each of the set's folders."""
    return {name: len(image_files(folder / name)) for name in entry.folders}


def miscounted(entry: PublicSet, folder: Path) -> str:
    """Return how the images differ from what the catalogue says, "" where they do not."""
    found = counts(entry, folder)
    wrong = [
        f"{name} holds {count} images instead of {entry.counts.get(name) or 'at least one'}"
        for name, count in found.items()
        if count != entry.counts.get(name, count) or not count
    ]
    return ", ".join(wrong)


def _check_digest(entry: PublicSet, archive: Path, source: Path, digest: str) -> None:
    """Compare with the published digest, else with that of an earlier fetch; another one raises."""
    if entry.sha256 and digest != entry.sha256:
        archive.unlink()
        raise DownloadFailed(
            f"{archive.name}: its SHA-256 is {digest}, not {entry.sha256}: the bytes are not those of the set, and "
            "were removed. The same command loads it again; or give another --url"
        )
    earlier = read_json(source) if source.exists() else {}
    if not entry.sha256 and earlier.get("sha256") not in (None, digest):
        raise DownloadFailed(
            f"{archive}: its SHA-256 is {digest}, but the archive fetched on {earlier.get('fetched', '?')[:10]} had "
            f"{earlier['sha256']}. Remove the archive to load it again, or {source.name} to accept the new one"
        )


def _unpack(entry: PublicSet, archive: Path, target: Path, update: Update) -> None:
    """Unpack beside the target, count, and only then give it its name."""
    place = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{entry.name}."))
    try:
        unpack(archive, place / "content", update)
        content = only_folder(place / "content", entry.folders)
        if wrong := miscounted(entry, content):
            raise DataBroken(
                f"{archive}: unpacked, {wrong}: not the set that the catalogue knows. The archive is kept; remove it "
                "to load it again, or unpack it yourself if you trust it"
            )
        os.rename(content, target)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _counted(entry: PublicSet, folder: Path) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts(entry, folder).items())


def _next(entry: PublicSet, target: Path) -> str:
    """Return the commands that examine the set and run on it."""
    where = f"--data-root {shlex.quote(str(target))}"
    check = f"Next:  cgbench datasets check folder {where}"
    if "testA" not in entry.folders and "train" not in entry.folders:
        return f"Next:  {entry.note}"
    return f"{check}\n       cgbench run --methods cyclegan,gan_only --dataset folder {where}"
