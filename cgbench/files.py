"""Files of a run: where things lie, and how they are written so that a crash never leaves half a file.

runs/NAME/run.json                           what was asked for
runs/NAME/DATASET/METHOD/seed-N/trial.json   everything resolved, with versions, device and digest
                                status.json  running, done, diverged, failed or interrupted
                                steps.jsonl  losses by step
                                metrics.jsonl, image_scores.jsonl, protocols.json, failures.json, cost.json
                                history.jsonl  what was measured while it trained, where that was asked for
                                outputs/DIRECTION/KEY.png, outputs/DIRECTION-ood/KEY.png
                                reconstructions/DIRECTION/KEY.png, segmentations/DIRECTION/KEY.png
                                checkpoint.safetensors, checkpoint-STEP.safetensors, best.safetensors
runs/NAME/.lock                              who works on the run
runs/NAME/results.csv, runs/NAME/report/
"""

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

PART = ".part"  # how the names of unfinished files and folders end
MAX_BYTES = 2**28  # of a JSON file: nothing that this program writes comes near


@contextmanager
def attach_path(path: Path) -> Iterator[None]:
    """Give an error of the system the path it is about: a full disk is reported without one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it: readers see the old file or the new one, never a part."""
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
    """Let the file `path` have a second name, atomically, which stays when `path` is written anew; no bytes are copied
    where the file system has hard links."""
    with attach_path(name):
        name.parent.mkdir(parents=True, exist_ok=True)
        temporary = name.with_name(f".{name.name}.{os.getpid()}{PART}")
        temporary.unlink(missing_ok=True)
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)
        os.replace(temporary, name)
        temporary.unlink(missing_ok=True)  # two names of one file already: then the system renames nothing


def remove_partial_files(folder: Path) -> None:
    """Remove what killed processes left unfinished below `folder`; only for who holds its lock."""
    for path in list(folder.rglob(f".*{PART}")):  # no name of ours begins with a dot
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically; a surrogate, as in a file name of other bytes, becomes an escape JSON knows."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; a missing, broken or monstrous file raises `CgbenchError` that names it."""
    try:
        return json.loads(_bounded_text(path))
    except FileNotFoundError:
        raise CgbenchError(f"{path} is not there") from None
    except RecursionError:
        raise CgbenchError(f"{path} is not readable JSON: nested too deeply") from None
    except ValueError as error:  # of JSON, of UTF-8, of a number with too many digits
        raise CgbenchError(f"{path} is not readable JSON: {str(error).splitlines()[0]}") from None


def _bounded_text(path: Path) -> str:
    """Return a file's text; a file from elsewhere must not fill the memory."""
    if (bytes_ := path.stat().st_size) > MAX_BYTES:
        raise CgbenchError(f"{path} is too large to be a record: {bytes_:,} bytes, at most {MAX_BYTES:,}")
    return path.read_text(encoding="utf-8")


def write_jsonl(path: Path, rows: Iterable[dict]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def append_jsonl(path: Path, row: dict) -> None:
    """Add one line; a crash can only cut the last line short, which `read_jsonl` leaves out."""
    with attach_path(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_jsonl(path: Path) -> Iterator[dict]:
    """Yield the objects of a JSON-lines file; none if it is not there. A last line cut short is left out; anything else
    that is no object raises `CgbenchError`."""
    if not path.exists():
        return
    try:
        *lines, last = _bounded_text(path).split("\n")  # not splitlines: a name may hold another kind of line end
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
