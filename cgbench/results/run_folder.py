"""The file layout of a run and of its trials.

runs/NAME/run.json                           methods, seeds, preset and command
runs/NAME/DATASET/METHOD/seed-N/trial.json   everything resolved, with versions, device and digest
                                status.json  running, done, diverged, failed or interrupted
                                steps.jsonl  losses by step
                                metrics.jsonl, image_scores.jsonl, protocols.json, failures.json, cost.json
                                history.jsonl  intermediate evaluations, where there are any
                                alternatives.jsonl  scores of averaged weights and earlier checkpoints, where kept
                                outputs/DIRECTION/KEY.png, outputs/DIRECTION-ood/KEY.png
                                reconstructions/DIRECTION/KEY.png, segmentations/DIRECTION/KEY.png
                                imported.npy  outputs of another program that are not 8-bit RGB
                                checkpoint.safetensors, checkpoint-STEP.safetensors, best.safetensors
runs/NAME/.lock                              the process that works on the run
runs/NAME/results.csv, runs/NAME/report/
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.api.names import DIRECTIONS, TrialState
from cgbench.errors import CgbenchError
from cgbench.files import file_name, safe_name, write_json
from cgbench.results.record_files import read_status_file

STATES = tuple(state.value for state in TrialState if state != TrialState.NOT_BEGUN)


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
    def alternatives(self) -> Path:
        return self.path / "alternatives.jsonl"

    @property
    def cost(self) -> Path:
        return self.path / "cost.json"

    @property
    def image_scores(self) -> Path:
        return self.path / "image_scores.jsonl"

    @property
    def protocols(self) -> Path:
        return self.path / "protocols.json"

    @property
    def failures(self) -> Path:
        return self.path / "failures.json"

    @property
    def imported(self) -> Path:
        return self.path / "imported.npy"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    def checkpoint_at(self, step: int) -> Path:
        """Return the path of a retained checkpoint of an earlier step."""
        return self.path / f"checkpoint-{step}.safetensors"

    def earlier_checkpoints(self) -> dict[int, Path]:
        """Return the retained checkpoints of earlier steps, by step."""
        found = self.path.glob("checkpoint-*.safetensors")
        steps = {path: path.stem.removeprefix("checkpoint-") for path in found}
        return {int(step): path for path, step in steps.items() if step.isdecimal()}

    def output(self, direction: str, key: str) -> Path:
        """Return the path of the translation of test image `key`; direction "AtoB-ood" is that of the split `ood`."""
        return self.path / "outputs" / direction_folder(direction) / f"{file_name(key)}.png"

    def numbers(self, direction: str) -> Path:
        """Return the folder of translations in stored numbers, where these are more than 8-bit pictures: images, or
        files of the dataset's own kind such as volumes."""
        return self.path / "numbers" / direction_folder(direction)

    def reconstruction(self, direction: str, key: str) -> Path:
        """Return the path of the reconstruction of test image `key`."""
        return self.path / "reconstructions" / direction_folder(direction) / f"{file_name(key)}.png"

    def segmentation(self, direction: str, key: str) -> Path:
        """Return the path of the classes that the scorer predicts in the translation of test image `key`."""
        return self.path / "segmentations" / direction_folder(direction) / f"{file_name(key)}.png"

    def status(self) -> dict[str, Any]:
        """Return the trial's status, `{"state": ""}` if it has not begun."""
        path = self.path / "status.json"
        return read_status_file(path) if path.exists() else {"state": TrialState.NOT_BEGUN.value}

    def set_status(self, state: str, **details: Any) -> None:
        """Record the state, and details such as the step or the reason."""
        if state not in STATES:
            raise ValueError(f"unknown state '{state}'")
        write_json(self.path / "status.json", {"state": state, **details})

    def mark_interrupted(self, step: int | None = None) -> None:
        """Change the state to interrupted, with the `step` that is saved where it is given; other details stay."""
        details = {**self.status(), **({} if step is None else {"step": step})}
        self.set_status(**{**details, "state": TrialState.INTERRUPTED})


def direction_folder(direction: str) -> str:
    """Return the folder of a direction's images; a direction from an untrusted record must not lead elsewhere."""
    if direction.removesuffix("-ood") not in DIRECTIONS:
        raise CgbenchError(f"'{direction}' is no direction: AtoB or BtoA")
    return direction


def ensure_no_linked_folder(run: Path) -> None:
    """Raise `CgbenchError` where a folder inside a run is a symbolic link: writing would follow it."""
    for parent, folders, _ in os.walk(run):
        for name in folders:
            if (path := Path(parent, name)).is_symlink():
                raise CgbenchError(
                    f"{path} is a symbolic link to a folder, and nothing is written through one: "
                    "remove it, or put the folder itself there"
                )


def trial_folders(run: Path) -> list[TrialFolder]:
    """Return the folders of all trials that a run has begun, in the order of dataset, method and seed."""
    if not run.is_dir():
        problem = "it is a file" if run.exists() else "it is not there"
        raise CgbenchError(f"{run} is not a run folder: {problem}")
    found = [path.parent for path in run.glob("*/*/seed-*/trial.json")]
    folders = [TrialFolder(path) for path in found if re.fullmatch(r"seed-\d+", path.name)]
    if not folders:
        raise CgbenchError(f"{run} holds no trial: is it the folder that 'cgbench run' named?")
    return sorted(folders, key=lambda folder: (*folder.path.parts[-3:-1], int(folder.path.name.removeprefix("seed-"))))
