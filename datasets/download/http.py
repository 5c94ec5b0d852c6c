"""A download over HTTP that goes on where it broke, and believes neither the length nor the content it is promised."""

import fcntl
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from cgbench.errors import CgbenchError
from cgbench.files import read_json, write_json
from cgbench.formatting import printable, size

CHUNK = 1 << 18
ATTEMPTS = 5  # in a row that bring nothing new
MOST_ATTEMPTS = 200  # in all: a server that gives a little each time must not hold us for ever
LONGEST_PAUSE = 30.0
STALL_SECONDS, STALL_BYTES = 60.0, 60_000  # slower than this is a broken connection
MARGIN = 200_000_000  # bytes of disk that are left free
AGAIN = (408, 425, 429, 500, 502, 503, 504)

Update = Callable[[int, int], None]


class DownloadFailed(CgbenchError):
    """The archive could not be loaded; the message says what is kept and what to do."""


class _Broken(Exception):
    """The connection broke or stalled: worth another attempt."""


class _Stale(_Broken):
    """What is here does not fit what is there, and was thrown away."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a download: bytes in all, seconds without an answer, and the pause before the second attempt."""

    largest: int
    timeout: float = 30.0
    pause: float = 1.0


@dataclass(frozen=True)
class Origin:
    """What the first answer said of the file: it must stay the same for a part to be added to. 0: length unknown."""

    url: str
    length: int = 0
    etag: str = ""
    modified: str = ""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, to http and https only, and never from https back to http."""

    max_redirections = 5
    max_repeats = 2

    def redirect_request(self, request, answer, code, message, headers, url):
        checked_url(url)
        if request.full_url.startswith("https:") and not url.startswith("https:"):
            raise DownloadFailed(f"{request.full_url}: leads from https to {url}: refused; give another --url")
        return super().redirect_request(request, answer, code, message, headers, url)


def checked_url(url: str) -> str:
    """Return an http or https address; another one raises."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CgbenchError(f"{printable(url)}: only http:// and https:// addresses are fetched")
    return url


def download(url: str, target: Path, limits: Limits, say: Callable[[str], object], update: Update) -> Origin:
    """Load `url` to `target`, going on with `target.part` of an earlier attempt, and return what the server said of it.

    Raises `DownloadFailed`; what was loaded is then kept in the part, unless it cannot be of use.
    """
    checked_url(url)
    part, notes = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DownloadFailed(f"{part}: another process is loading this: wait for it") from None
        origin = _attempts(url, file, notes, limits, say, update)
        file.flush()
        os.fsync(file.fileno())
        os.replace(part, target)
    notes.unlink(missing_ok=True)
    return origin


def _attempts(url: str, file: BinaryIO, notes: Path, limits: Limits, say: Callable, update: Update) -> Origin:
    """Try until the file is whole; give up after some attempts that bring nothing."""
    fruitless = stale = 0
    for _ in range(MOST_ATTEMPTS):
        before = file.tell()
        try:
            return _attempt(url, file, notes, limits, update)
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {printable(str(error.reason))}"
            error.close()
            if error.code not in AGAIN:
                raise DownloadFailed(f"{url}: {reason}: check the address, or give a mirror with --url") from None
        except (_Broken, http.client.HTTPException, OSError) as error:  # URLError and timeouts are OSErrors
            if isinstance(error, OSError) and error.errno in (28, 122):  # disk full, quota
                raise
            reason = printable(str(getattr(error, "reason", "") or error) or type(error).__name__)
            stale += isinstance(error, _Stale)
            if stale >= ATTEMPTS:
                raise DownloadFailed(
                    f"{url}: the server contradicts itself: {reason}; give a mirror with --url"
                ) from None
        fruitless = 0 if file.tell() > before else fruitless + 1
        if fruitless >= ATTEMPTS:
            break
        pause = min(LONGEST_PAUSE, limits.pause * 2**fruitless)
        say(f"{reason}; {size(file.tell())} are here, again in {pause:.0f} s")
        time.sleep(pause)
    raise DownloadFailed(
        f"{url}: {reason}, {fruitless} times without progress. {size(file.tell())} are kept in {file.name}: "
        "the same command goes on from there, or give a mirror with --url"
    )


def _attempt(url: str, file: BinaryIO, notes: Path, limits: Limits, update: Update) -> Origin:
    """Ask for what is missing and add it; return what the server said once all is there."""
    known = _known(notes, url, file)
    here = file.tell()
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "cgbench"})
    if here:
        request.add_header("Range", f"bytes={here}-")
        if stamp := known.etag or known.modified:
            request.add_header("If-Range", stamp)
    try:
        answer = _opener().open(request, timeout=limits.timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not here:
            raise
        error.close()  # nothing is left to be given: all is here, or the file has changed
        if known.length == here:
            return known
        _restart(file, notes)
        raise _Stale("the file there ends where the part here does, or before, though it should be longer") from None
    with answer:
        origin = _accept(answer, url, known, file, notes, limits)
        _check_room(file, origin.length - file.tell(), limits)
        _copy(answer, file, origin, limits, update)
    if origin.length and file.tell() != origin.length:
        if file.tell() > origin.length:
            _restart(file, notes)
            raise _Stale("more came than was announced")
        raise _Broken(f"the connection ended after {file.tell():,} of {origin.length:,} bytes")
    return origin


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https, and neither files nor FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor, _Redirects,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _known(notes: Path, url: str, file: BinaryIO) -> Origin:
    """Return what is known of the part, which is emptied where it is of another address or nothing is known."""
    try:
        known = Origin(**read_json(notes)) if notes.exists() else None
    except (CgbenchError, TypeError):
        known = None
    if known is None or known.url != url:
        _restart(file, notes)
        return Origin(url)
    return known


def _restart(file: BinaryIO, notes: Path) -> None:
    file.truncate(0)
    file.seek(0)
    notes.unlink(missing_ok=True)


def _accept(
    answer: http.client.HTTPResponse, url: str, known: Origin, file: BinaryIO, notes: Path, limits: Limits
) -> Origin:
    """Return what the answer says of the file; the part is emptied where the answer does not go on from its end."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadFailed(f"{url}: the server compresses what it was asked to send as it is: give another --url")
    announced = int(text) if (text := answer.headers.get("Content-Length", "")).isdigit() else 0
    here, etag = file.tell(), answer.headers.get("ETag", "")
    etag = "" if etag.startswith("W/") else etag  # a weak one does not promise the same bytes
    modified = answer.headers.get("Last-Modified", "")
    if here and answer.status == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
        total = int(found[3]) if found and found[3] != "*" else 0
        fits = found and int(found[1]) == here and (not known.length or not total or total == known.length)
        if fits and (not etag or not known.etag or etag == known.etag):
            return known
        _restart(file, notes)
        raise _Stale("the server offers another file or another part than asked for: it is loaded anew")
    if here:
        _restart(file, notes)  # it sends all of it: it knows no ranges, or the file has changed
    if announced > limits.largest:
        raise DownloadFailed(f"{url}: {size(announced)} is more than the {size(limits.largest)} that this set may have")
    origin = Origin(url, announced, etag, modified)
    write_json(notes, asdict(origin))
    return origin


def _check_room(file: BinaryIO, missing: int, limits: Limits) -> None:
    """Raise where the disk cannot hold what is still to come, and the unpacked images beside it."""
    free = shutil.disk_usage(Path(file.name).parent).free
    wanted = max(0, missing) + max(0, missing) + file.tell() + MARGIN
    if free < wanted:
        raise DownloadFailed(
            f"{Path(file.name).parent}: {size(free)} are free, but {size(wanted)} are needed for archive and images: "
            "make room, or choose another --data-root"
        )


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, origin: Origin, limits: Limits, update: Update) -> None:
    """Add what comes; a stall, and more than was announced or allowed, end it."""
    began, then = time.monotonic(), file.tell()
    while chunk := answer.read1(CHUNK):
        file.write(chunk)
        if file.tell() > limits.largest:
            file.truncate(0)
            raise DownloadFailed(f"{origin.url}: more than {size(limits.largest)}, which this set may have: refused")
        update(file.tell(), origin.length or file.tell())
        now = time.monotonic()
        if now - began > STALL_SECONDS:
            if file.tell() - then < STALL_BYTES:
                raise _Broken("the server hardly sends anything")
            began, then = now, file.tell()


def sha256(path: Path) -> str:
    """Return a file's SHA-256, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
