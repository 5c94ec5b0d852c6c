"""Files of a run: where things lie, and how they are written so that a crash never leaves half a file.

runs/NAME/run.json                           what was asked for
runs/NAME/DATASET/METHOD/seed-N/trial.json   everything resolved, with versions, device and digest
                                status.json  running, done, diverged, failed or interrupted
                                steps.jsonl  losses by step
                                metrics.jsonl, images.jsonl, protocols.json, failures.json, cost.json
                                history.jsonl  what was measured while it trained, where that was asked for
                                outputs/DIRECTION/KEY.png, outputs/DIRECTION-ood/KEY.png
                                reconstructions/DIRECTION/KEY.png, segmentations/DIRECTION/KEY.png
                                checkpoint.safetensors
runs/NAME/results.csv, runs/NAME/report/
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError

STATES = ("running", "done", "diverged", "failed", "interrupted")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it: readers see the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically; a surrogate, as in a file name of other bytes, becomes an escape JSON knows."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; a missing or broken file raises `CgbenchError` that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CgbenchError(f"{path} is not there") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CgbenchError(f"{path} is not readable JSON: {error}") from None


def write_jsonl(path: Path, rows: Iterable[dict]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def append_jsonl(path: Path, row: dict) -> None:
    """Add one line; a crash can only cut the last line short, which `read_jsonl` leaves out."""
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_jsonl(path: Path) -> Iterator[dict]:
    """Yield the objects of a JSON-lines file; none if it is not there. A last line cut short is left out."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines):
                raise CgbenchError(f"{path}, line {number}: not readable JSON") from None


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


@dataclass(frozen=True)
class TrialFolder:
    """The folder of one trial: method × dataset × seed."""

    path: Path

    @classmethod
    def of(cls, run: Path, dataset: str, method: str, seed: int) -> "TrialFolder":
        """Return the folder of a trial in the run folder `run`."""
        return cls(run / safe_name(dataset) / safe_name(method) / f"seed-{seed}")

    @property
    def trial(self) -> Path:
        return self.path / "trial.json"

    @property
    def steps(self) -> Path:
        return self.path / "steps.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def cost(self) -> Path:
        return self.path / "cost.json"

    @property
    def images(self) -> Path:
        return self.path / "images.jsonl"

    @property
    def protocols(self) -> Path:
        return self.path / "protocols.json"

    @property
    def failures(self) -> Path:
        return self.path / "failures.json"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    def output(self, direction: str, key: str) -> Path:
        """Return where the translation of test image `key` lies; direction "AtoB-ood" is that of the split `ood`."""
        return self.path / "outputs" / direction / f"{file_name(key)}.png"

    def reconstruction(self, direction: str, key: str) -> Path:
        """Return where the reconstruction of test image `key` lies."""
        return self.path / "reconstructions" / direction / f"{file_name(key)}.png"

    def segmentation(self, direction: str, key: str) -> Path:
        """Return where the classes lie that the scorer found in the translation of test image `key`."""
        return self.path / "segmentations" / direction / f"{file_name(key)}.png"

    def status(self) -> dict:
        """Return the trial's status, `{"state": ""}` if it has not begun."""
        path = self.path / "status.json"
        return read_json(path) if path.exists() else {"state": ""}

    def set_status(self, state: str, **details: Any) -> None:
        """Record the state, and details such as the step or the reason."""
        if state not in STATES:
            raise ValueError(f"unknown state '{state}'")
        write_json(self.path / "status.json", {"state": state, **details})


def trial_folders(run: Path) -> list[TrialFolder]:
    """Return the folders of all trials that a run has begun, in the order of dataset, method and seed."""
    if not run.is_dir():
        raise CgbenchError(f"{run} is not a run folder: it is not there")
    found = [path.parent for path in run.glob("*/*/seed-*/trial.json")]
    folders = [TrialFolder(path) for path in found if re.fullmatch(r"seed-\d+", path.name)]
    if not folders:
        raise CgbenchError(f"{run} holds no trial: is it the folder that 'cgbench run' named?")
    return sorted(folders, key=lambda folder: (*folder.path.parts[-3:-1], int(folder.path.name.removeprefix("seed-"))))
