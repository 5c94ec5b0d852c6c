"""Files: atomic writes, bounded readers of regular files alone, and safe file names."""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError
from cgbench.formatting import escaped_controls, utf8

PART = ".part"  # suffix of unfinished files and folders
SETTLE_SECONDS = 2.0  # after this time a file's times of change identify it; FAT has a resolution of two seconds
MAX_BYTES = 2**28  # of a JSON file; this program writes nothing of that size
# in JSON, what may be a lone surrogate or a control character: escaped, or as UTF-8; two surrogates may be sound
UNPRINTABLE = re.compile(
    rb"\\u[dD][89a-fA-F]|\\u00[01789]|\\u20[0-6]|\\[bfr]|\x7f|\xc2[\x80-\x9f]|\xe2[\x80\x81][\x8e-\xae]"
)
SPECIAL_FILES = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip
MAX_NAME_BYTES = 200  # of a folder's name; file systems hold 255


@contextmanager
def attach_path(path: Path) -> Iterator[None]:
    """Attach the path to an OSError raised inside: a full disk is reported without one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it: a reader sees the old file or the new one, never a part. A
    symbolic link is replaced, not followed; a pipe, a socket and a device stay and raise `CgbenchError`."""
    with attach_path(path):
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))  # "." would be busy, says the system
        if path.exists() and not path.is_symlink():
            ensure_regular_file(path)  # as root, even /dev/null would be replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def link_or_copy(path: Path, name: Path) -> None:
    """Link the file `path` as `name`, atomically, else copy it; `name` stays when `path` is replaced."""
    with attach_path(name):
        name.parent.mkdir(parents=True, exist_ok=True)
        temporary = name.with_name(f".{name.name}.{os.getpid()}{PART}")
        temporary.unlink(missing_ok=True)
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)
        os.replace(temporary, name)
        temporary.unlink(missing_ok=True)  # os.replace does nothing for two links of one file


def remove_partial_files(folder: Path) -> None:
    """Remove unfinished files of killed processes below `folder`. The caller must hold its lock."""
    for path in list(folder.rglob(f".*{PART}")):  # finished files never begin with a dot
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically; a surrogate, as in a file name that is not UTF-8, becomes a JSON escape."""
    write_bytes(path, utf8(text))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def ensure_regular_file(path: Path) -> None:
    """Raise `CgbenchError` where `path` is a folder, a pipe, a socket or a device: opening a pipe would wait for ever.
    A missing file raises FileNotFoundError."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise CgbenchError(f"{path} is a symbolic link that leads back to itself: put the file there") from None
        raise
    _ensure_regular(path, mode)


def _ensure_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((kind for matches, kind in SPECIAL_FILES if matches(mode)), "a special file")
        raise CgbenchError(f"{path} is {kind} where a file is expected: put the file there")


def open_file(path: Path) -> BufferedReader:
    """Open a regular file for reading; everything else at `path` raises as `ensure_regular_file` does, unopened."""
    ensure_regular_file(path)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        _ensure_regular(path, os.fstat(handle).st_mode)  # it may have been replaced since
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def own_handle(name: str | Path, flags: int) -> int:
    """Return a descriptor of a regular file to write to, created where it is missing; an `opener` for `open`. A
    symbolic link, which would lead the bytes elsewhere, and what `ensure_regular_file` refuses raise `CgbenchError`,
    unopened."""
    path = Path(name)
    with attach_path(path):
        if path.is_symlink():
            raise CgbenchError(f"{path} is a symbolic link, which is not written through: remove it")
        if path.exists():
            ensure_regular_file(path)
        kept = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        handle = os.open(path, flags | os.O_CREAT | kept, 0o644)
    try:
        _ensure_regular(path, os.fstat(handle).st_mode)  # it may have been replaced since
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file; one of more than `most` bytes raises `CgbenchError`."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(most + 1) if size <= most else b""
    if (size := max(size, len(data))) > most:
        raise CgbenchError(f"{path} is too large to be a record: {size:,} bytes, at most {most:,}")
    return data


def read_json(path: Path) -> Any:
    """Read JSON; a missing, broken or oversized file, or what is no file, raises `CgbenchError` that names it.

    A lone surrogate, which no output can hold, is read as the text of its escape, `\\udce9`; so is a control character
    other than tab and newline, which a terminal would obey.
    """
    try:
        return _parse_json(read_bytes(path))
    except FileNotFoundError:
        raise CgbenchError(f"{path} is not there") from None
    except RecursionError:
        raise CgbenchError(f"{path} is not readable JSON: nested too deeply") from None
    except ValueError as error:  # malformed JSON or UTF-8, a number with too many digits
        raise CgbenchError(f"{path} is not readable JSON: {str(error).splitlines()[0]}") from None


def _parse_json(data: bytes) -> Any:
    """Return the value of JSON in UTF-8, with lone surrogates and control characters replaced by their escapes."""
    value = json.loads(data.decode())
    return _printable(value) if UNPRINTABLE.search(data) else value


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return escaped_controls(utf8(value).decode(), keep="\t\n")
    if isinstance(value, list):
        return [_printable(entry) for entry in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(entry) for key, entry in value.items()}
    return value


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def append_jsonl(path: Path, row: dict[str, Any]) -> None:
    """Append one line; a crash can only truncate the last line, which `read_jsonl` skips. A link is not followed."""
    with attach_path(path), open(path, "a", encoding="utf-8", errors="backslashreplace", opener=own_handle) as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; none if it does not exist. A truncated last line is skipped; any other
    line that is not an object raises `CgbenchError`. Unprintable characters are read as `read_json` does."""
    if not path.exists():
        return
    try:
        data = read_bytes(path)
        data.decode()
    except UnicodeDecodeError as error:
        raise CgbenchError(f"{path} is not readable JSON: {error}") from None
    *lines, last = data.split(b"\n")  # not splitlines: a name may contain other line separators
    for number, line in enumerate([*lines, last] if last else lines, 1):
        try:
            row = _parse_json(line)
        except (ValueError, RecursionError):
            if number > len(lines):
                return
            row = None
        if not isinstance(row, dict):
            raise CgbenchError(f"{path}, line {number}: not a readable JSON object")
        yield row


def safe_name(text: str) -> str:
    """Return `text` as the name of one folder: itself where every common file system can hold it, else cleaned and with
    a digest, so that no two texts have one name. `~` marks the digest, so a text with `~` gets one as well."""
    if not text:
        raise CgbenchError("an empty text cannot be used as a name")
    kept = all(map(_is_kept, text)) and unicodedata.is_normalized("NFC", text)
    if kept and text[0] not in ".- " and text[-1] not in ". " and len(text.encode()) <= MAX_NAME_BYTES:
        return text
    cleaned = re.sub(r"[^\w.+-]+", "-", text, flags=re.ASCII).strip(".-")[:90]
    return f"{cleaned or 'name'}~{_short_digest(text)}"


def _is_kept(character: str) -> bool:
    """Return whether a character may stand in a folder's name: no path separator, pattern or control character."""
    return character.isprintable() and (not character.isascii() or character.isalnum() or character in " ._+-=,@()")


def _short_digest(text: str) -> str:
    return hashlib.sha256(utf8(text)).hexdigest()[:8]


def file_name(key: str) -> str:
    """Return a file name for any key: itself where it is a safe name, else with a digest that keeps it apart."""
    cleaned = re.sub(r"[^\w.+-]+", "-", key, flags=re.ASCII).strip(".-")
    if cleaned == key and 0 < len(key) <= 100:
        return key
    return f"{cleaned[:90] or 'image'}-{_short_digest(key)}"
