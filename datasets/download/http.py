"""A resumable HTTP download that trusts neither the announced length nor the announced content."""

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
from cgbench.files import open_file, own_handle, read_json, write_json
from cgbench.formatting import printable, size
from cgbench.progress import ProgressCallback

CHUNK = 1 << 18
MAX_FRUITLESS_ATTEMPTS = 5  # in a row without a new byte
MAX_ATTEMPTS = 200  # in total, for servers that send a few bytes each time
MAX_PAUSE = 30.0  # seconds
STALL_SECONDS, STALL_BYTES = 60.0, 60_000  # slower than this is a broken connection
MARGIN = 200_000_000  # bytes of disk space that stay free
RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)


class DownloadFailed(CgbenchError):
    """The archive could not be downloaded; the message names the part that is kept and the fix."""


class _Broken(Exception):
    """The connection broke or stalled; the download is attempted again."""


class _Stale(_Broken):
    """The part does not match the file of the server, and was emptied."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a download: total bytes, seconds without a response, and seconds before the second attempt."""

    max_bytes: int
    timeout: float = 30.0
    pause: float = 1.0


@dataclass(frozen=True)
class Origin:
    """Metadata of a file; a part is resumed only while they are those of its first response. Length 0: unknown."""

    url: str
    length: int = 0
    etag: str = ""
    modified: str = ""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A handler that follows a few redirects, to http and https only, and never from https to http."""

    max_redirections = 5
    max_repeats = 2

    def redirect_request(self, request, response, code, message, headers, url):
        checked_url(url)
        if request.full_url.startswith("https:") and not url.startswith("https:"):
            raise DownloadFailed(f"{request.full_url}: leads from https to {url}: refused; give another --url")
        return super().redirect_request(request, response, code, message, headers, url)


def checked_url(url: str) -> str:
    """Return an http or https address unchanged; any other raises `CgbenchError`."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CgbenchError(f"{printable(url)}: only http:// and https:// addresses are fetched")
    return url


def download(url: str, target: Path, limits: Limits, log: Callable[[str], object], update: ProgressCallback) -> Origin:
    """Download a file, resuming `target.part` of an earlier attempt.

    Args:
        url: http or https address.
        target: path of the file; an existing one is replaced.
        limits: bounds of the download.
        log: called with a line of text before each further attempt.
        update: called with the bytes so far and the total.

    Returns:
        The metadata that the server sent.

    Raises:
        DownloadFailed: the bytes so far are kept in the part, unless they are useless.
    """
    checked_url(url)
    part, metadata = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(part, "ab", opener=own_handle) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DownloadFailed(f"{part}: another process is loading this: wait for it") from None
        origin = _attempts(url, file, metadata, limits, log, update)
        file.flush()
        os.fsync(file.fileno())
        os.replace(part, target)
    metadata.unlink(missing_ok=True)
    return origin


def _attempts(
    url: str, file: BinaryIO, metadata: Path, limits: Limits, log: Callable, update: ProgressCallback
) -> Origin:
    """Attempt the download until the file is complete, or until several attempts in a row bring nothing."""
    fruitless = stale = 0
    for _ in range(MAX_ATTEMPTS):
        before = file.tell()
        try:
            return _attempt(url, file, metadata, limits, update)
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {printable(str(error.reason))}"
            error.close()
            if error.code not in RETRIED_STATUS:
                raise DownloadFailed(f"{url}: {reason}: check the address, or give a mirror with --url") from None
        except (_Broken, http.client.HTTPException, OSError) as error:  # URLError and timeouts are OSErrors
            if isinstance(error, OSError) and (error.errno in (28, 122) or error.filename):
                raise  # disk full, quota, or a file that cannot be written: not for the server to mend
            reason = printable(str(getattr(error, "reason", "") or error) or type(error).__name__)
            stale += isinstance(error, _Stale)
            if stale >= MAX_FRUITLESS_ATTEMPTS:
                raise DownloadFailed(
                    f"{url}: the server contradicts itself: {reason}; give a mirror with --url"
                ) from None
        fruitless = 0 if file.tell() > before else fruitless + 1
        if fruitless >= MAX_FRUITLESS_ATTEMPTS:
            break
        pause = min(MAX_PAUSE, limits.pause * 2**fruitless)
        log(f"{reason}; {size(file.tell())} are here, again in {pause:.0f} s")
        time.sleep(pause)
    raise DownloadFailed(
        f"{url}: {reason}, {fruitless} times without progress. {size(file.tell())} are kept in {file.name}: "
        "the same command goes on from there, or give a mirror with --url"
    )


def _attempt(url: str, file: BinaryIO, metadata: Path, limits: Limits, update: ProgressCallback) -> Origin:
    """Request the missing bytes and append them; return the server's metadata once the file is complete."""
    expected = _read_origin(metadata, url, file)
    offset = file.tell()
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "cgbench"})
    if offset:
        request.add_header("Range", f"bytes={offset}-")
        if validator := expected.etag or expected.modified:
            request.add_header("If-Range", validator)
    try:
        response = _opener().open(request, timeout=limits.timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not offset:
            raise
        error.close()  # no bytes beyond the offset: the part is complete, or the file has changed
        if expected.length == offset:
            return expected
        _empty_part(file, metadata)
        raise _Stale("the file there ends where the part here does, or before, though it should be longer") from None
    with response:
        origin = _check_response(response, url, expected, file, metadata, limits)
        _check_disk_space(file, origin.length - file.tell(), limits)
        _copy(response, file, origin, limits, update)
    if origin.length and file.tell() != origin.length:
        if file.tell() > origin.length:
            _empty_part(file, metadata)
            raise _Stale("more came than was announced")
        raise _Broken(f"the connection ended after {file.tell():,} of {origin.length:,} bytes")
    return origin


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https, without files and FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor, _Redirects,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _read_origin(metadata: Path, url: str, file: BinaryIO) -> Origin:
    """Return the stored metadata of the part, which is emptied where they are missing or of another address."""
    try:
        origin = Origin(**read_json(metadata)) if metadata.exists() else None
    except (CgbenchError, TypeError):
        origin = None
    if origin is None or origin.url != url:
        _empty_part(file, metadata)
        return Origin(url)
    return origin


def _empty_part(file: BinaryIO, metadata: Path) -> None:
    file.truncate(0)
    file.seek(0)
    metadata.unlink(missing_ok=True)


def _check_response(
    response: http.client.HTTPResponse, url: str, expected: Origin, file: BinaryIO, metadata: Path, limits: Limits
) -> Origin:
    """Return the metadata of the response; the part is emptied where the response does not continue at its end."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadFailed(f"{url}: the server compresses what it was asked to send as it is: give another --url")
    announced = int(text) if (text := response.headers.get("Content-Length", "")).isdigit() else 0
    offset, etag = file.tell(), response.headers.get("ETag", "")
    etag = "" if etag.startswith("W/") else etag  # a weak one does not guarantee identical bytes
    modified = response.headers.get("Last-Modified", "")
    if offset and response.status == 206:
        sent = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        total = int(sent[3]) if sent and sent[3] != "*" else 0
        continues = sent and int(sent[1]) == offset and (not expected.length or not total or total == expected.length)
        if continues and (not etag or not expected.etag or etag == expected.etag):
            return expected
        _empty_part(file, metadata)
        raise _Stale("the server offers another file or another part than asked for: it is loaded anew")
    if offset:
        _empty_part(file, metadata)  # the whole file is sent: the server does not support ranges, or the file changed
    if announced > limits.max_bytes:
        raise DownloadFailed(
            f"{url}: {size(announced)} is more than the {size(limits.max_bytes)} that this set may have"
        )
    origin = Origin(url, announced, etag, modified)
    write_json(metadata, asdict(origin))
    return origin


def _check_disk_space(file: BinaryIO, missing: int, limits: Limits) -> None:
    """Raise where the disk has no room for the missing bytes and for the unpacked images."""
    free = shutil.disk_usage(Path(file.name).parent).free
    needed = max(0, missing) + max(0, missing) + file.tell() + MARGIN
    if free < needed:
        raise DownloadFailed(
            f"{Path(file.name).parent}: {size(free)} are free, but {size(needed)} are needed for archive and images: "
            "make room, or choose another --data-root"
        )


def _copy(
    response: http.client.HTTPResponse, file: BinaryIO, origin: Origin, limits: Limits, update: ProgressCallback
) -> None:
    """Append the response to the file; raises on a stall and on more bytes than allowed."""
    window_start, bytes_before = time.monotonic(), file.tell()
    while chunk := response.read1(CHUNK):
        file.write(chunk)
        if file.tell() > limits.max_bytes:
            file.truncate(0)
            raise DownloadFailed(f"{origin.url}: more than {size(limits.max_bytes)}, which this set may have: refused")
        update(file.tell(), origin.length or file.tell())
        now = time.monotonic()
        if now - window_start > STALL_SECONDS:
            if file.tell() - bytes_before < STALL_BYTES:
                raise _Broken("the server hardly sends anything")
            window_start, bytes_before = now, file.tell()


def sha256(path: Path) -> str:
    """Return a file's SHA-256, 64 hex digits."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
