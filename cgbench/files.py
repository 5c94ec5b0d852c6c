"""Files: atomic writes, bounded JSON and JSON-lines readers, and safe file names."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError

PART = ".part"  # suffix of unfinished files and folders
MAX_BYTES = 2**28  # of a JSON file; this program writes nothing of that size


@contextmanager
def attach_path(path: Path) -> Iterator[None]:
    """Attach the path to an OSError raised inside: a full disk is reported without one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it: a reader sees the old file or the new one, never a part."""
    with attach_path(path):
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
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; a missing, broken or oversized file raises `CgbenchError` that names it."""
    try:
        return json.loads(_bounded_text(path))
    except FileNotFoundError:
        raise CgbenchError(f"{path} is not there") from None
    except RecursionError:
        raise CgbenchError(f"{path} is not readable JSON: nested too deeply") from None
    except ValueError as error:  # malformed JSON or UTF-8, a number with too many digits
        raise CgbenchError(f"{path} is not readable JSON: {str(error).splitlines()[0]}") from None


def _bounded_text(path: Path) -> str:
    """Return a file's text; its size is bounded, because it may be untrusted."""
    if (bytes_ := path.stat().st_size) > MAX_BYTES:
        raise CgbenchError(f"{path} is too large to be a record: {bytes_:,} bytes, at most {MAX_BYTES:,}")
    return path.read_text(encoding="utf-8")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def append_jsonl(path: Path, row: dict[str, Any]) -> None:
    """Append one line; a crash can only truncate the last line, which `read_jsonl` skips."""
    with attach_path(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; none if it does not exist. A truncated last line is skipped; any other
    line that is not an object raises `CgbenchError`."""
    if not path.exists():
        return
    try:
        *lines, last = _bounded_text(path).split("\n")  # not splitlines: a name may contain other line separators
    except UnicodeDecodeError as error:
        raise CgbenchError(f"{path} is not readable JSON: {error}") from None
    for number, line in enumerate([*lines, last] if last else lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            if number > len(lines):
                return
            row = None
        if not isinstance(row, dict):
            raise CgbenchError(f"{path}, line {number}: not a readable JSON object")
        yield row


def safe_name(text: str) -> str:
    """Return `text` as one folder or file name: letters, digits, '.', '_', '-' and '+', at most 120 characters."""
    name = re.sub(r"[^\w.+-]+", "-", text, flags=re.ASCII).strip(".-")[:120]
    if not name:
        raise CgbenchError(f"'{text}' cannot be used as a name: it has no letter or digit")
    return name


def file_name(key: str) -> str:
    """Return a file name for any key: itself where it is a safe name, else with a digest that keeps it apart."""
    cleaned = re.sub(r"[^\w.+-]+", "-", key, flags=re.ASCII).strip(".-")
    if cleaned == key and 0 < len(key) <= 100:
        return key
    return f"{cleaned[:90] or 'image'}-{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"
