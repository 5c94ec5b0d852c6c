"""External trials: outputs of another program as a row of a finished run, measured as its trained methods are."""

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.api.dataset import Dataset
from cgbench.api.names import DIRECTIONS, Role, TrialState
from cgbench.api.registry import METHODS
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.evaluation.context import EvaluationContext, with_scorers
from cgbench.benchmarks.evaluation.evaluator import evaluate
from cgbench.benchmarks.execution.reevaluation import load_config, recorded_dataset, recorded_test_images
from cgbench.benchmarks.execution.run_lock import ensure_held
from cgbench.benchmarks.execution.saved_outputs import save_imported
from cgbench.benchmarks.runtime.environment import environment
from cgbench.benchmarks.runtime.progress import progress
from cgbench.benchmarks.trials.comparison_checks import (
    ensure_examined_alike,
    ensure_measured_alike,
    ensure_same_test_images,
)
from cgbench.benchmarks.trials.external_method import external_method, is_external
from cgbench.benchmarks.trials.trial import Trial
from cgbench.benchmarks.trials.trial_record import trial_record
from cgbench.config import TrialConfig
from cgbench.config_layers import Resolved
from cgbench.digests import content_digest, digest
from cgbench.errors import CgbenchError
from cgbench.files import PART, write_json
from cgbench.formatting import printable, shortened
from cgbench.pixel_format import PixelFormat
from cgbench.results.record_files import read_run_file
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder, trial_folders
from cgbench.seeds import SEED_BOUND

MOST_TRAINING = 500
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class External:
    """What is told of outputs that another program made: the name of their row, their direction, the seed of their
    training (None where it is not known), how they were trained and selected (a free text, "" for nothing), and where
    they come from ("folder images (12 PNG)")."""

    name: str
    direction: str
    seed: int | None = None
    training: str = ""
    origin: str = ""


@dataclass(frozen=True)
class RecordedTests:
    """The test images of a finished run, without scorers, and the `record` (trial.json) of the trial whose settings
    they were read with."""

    record: Mapping[str, Any]
    config: TrialConfig
    evaluation: EvaluationContext

    def sources(self, direction: str) -> ImageSet:
        """Return the test images that `direction` translates, in the order that outputs must have."""
        return self.evaluation.source(direction)

    def target_pixels(self, direction: str) -> PixelFormat:
        """Return the format that outputs of `direction` must have."""
        return self.evaluation.target(direction).pixels


def open_tests(run_folder: Path, open_data: Callable[[str, TrialConfig], Dataset]) -> RecordedTests:
    """Return the test images that a run was measured on. `open_data(name, config)` returns its dataset.

    A run without a finished trial, and test images that are not those it was measured on, raise `CgbenchError`.
    """
    label = read_run_file(run_folder / "run.json")["dataset"]
    records = [(folder, read_trial(folder)) for folder in trial_folders(run_folder)]
    finished = [
        (folder, record) for folder, record in records
        if record["dataset"]["label"] == label and not is_external(record)
        and folder.status()["state"] == TrialState.DONE
    ]  # fmt: skip
    if not finished:
        raise CgbenchError(f"{run_folder} has no finished trial to compare with: finish the run first")
    folder, record = min(finished, key=lambda entry: entry[1]["method"].get("role", "") != Role.COMPARED)
    config = load_config(folder, record)
    trial = Trial(external_method("", DIRECTIONS[0]), record["seed"], record["preset"], Resolved(config, {}, {}))
    dataset = recorded_dataset(record, [(folder, trial)], open_data)
    evaluation = recorded_test_images(dataset, record, config)
    ensure_same_test_images(folder, evaluation.image_facts())
    return RecordedTests(record, config, evaluation)


def ensure_free(run_folder: Path, external: External, opened: RecordedTests) -> None:
    """Raise `CgbenchError` where the name of a row cannot be used, or the run has it already."""
    name, seed = external.name, external.seed
    if not NAME.fullmatch(name):
        raise CgbenchError(
            f"--as {shortened(printable(name))}: a name has 1 to 64 letters, digits, '_' and '-', and begins with a "
            "letter or a digit"
        )
    if external.direction not in DIRECTIONS:
        raise CgbenchError(f"'{external.direction}' is no direction: AtoB or BtoA")
    if seed is not None and not 0 <= seed < SEED_BOUND:
        raise CgbenchError(f"--seed {seed}: a seed is a whole number from 0 to {SEED_BOUND - 1}")
    if len(external.training) > MOST_TRAINING or printable(external.training) != external.training:
        raise CgbenchError(f"--training: one line of at most {MOST_TRAINING} characters, without control characters")
    taken = {known.casefold() for known in (*METHODS.names(), *read_run_file(run_folder / "run.json")["methods"])}
    for folder in trial_folders(run_folder):
        record = read_trial(folder)
        other = record["method"]["name"]
        if not is_external(record):
            taken.add(other.casefold())
        elif other.casefold() == name.casefold() and record["dataset"]["label"] == opened.record["dataset"]["label"]:
            _ensure_another_seed(folder, record, external)
    if name.casefold() in taken:
        raise CgbenchError(f"--as {name}: a method has this name: choose another, such as {name}-theirs")
    folder = TrialFolder.of(run_folder, opened.record["dataset"]["label"], name, seed or 0)
    if folder.path.exists():
        raise CgbenchError(f"{folder.path} is in the way and holds no trial: delete it")


def _ensure_another_seed(folder: TrialFolder, record: Mapping[str, Any], external: External) -> None:
    """Raise unless `external` can be a further seed of the external row that `record` is of."""
    known, name = record["external"], record["method"]["name"]
    remove = f"to import it anew, delete {folder.path}"
    if name != external.name:
        raise CgbenchError(f"--as {external.name}: the run has {name}, which not every file system tells apart")
    if known["seed"] is None or external.seed is None:
        which = "without a seed" if known["seed"] is None else f"with seed {known['seed']}"
        raise CgbenchError(f"--as {name}: imported before {which}; {remove}; several seeds need --seed each")
    if known["seed"] == external.seed:
        raise CgbenchError(f"--as {name}: seed {external.seed} was imported before; {remove}")
    for what in ("direction", "training"):
        if known[what] != getattr(external, what):
            now, before = (shortened(text) or "nothing" for text in (getattr(external, what), known[what]))
            raise CgbenchError(
                f"--as {name}: its seed {known['seed']} has --{what} {before}, not {now}: one row is one {what}; "
                "choose another name"
            )


def add_external_trial(
    run_folder: Path, external: External, outputs: np.ndarray, opened: RecordedTests, device: str
) -> TrialFolder:
    """Measure outputs of another program by the metrics, scorers and protocols of a run, and add them as a row of it.

    The caller must hold the run's lock. The trial is built in a temporary folder of the run and renamed at the end:
    until then the run has nothing of it.

    Args:
        run_folder: The folder of the run.
        external: What is told of the outputs.
        outputs: The translations of all test images, (N, H, W, D) in the order of `opened.sources(direction)` and in
            the numbers of `opened.target_pixels(direction)`: uint8 (N, H, W, 3) for 8-bit RGB. Where test images have
            sizes of their own, outputs lie in the upper left corners, as `on_canvas` puts them.
        opened: The run's test images.
        device: The device that scorers and feature extractors compute on.

    Returns:
        The folder of the new trial.

    Raises:
        CgbenchError: The name is taken, the outputs do not fit the test images, or the run was measured by protocols
            that are not those of now.
    """
    ensure_free(run_folder, external, opened)
    _ensure_fit(external, outputs, opened)
    evaluation = with_scorers(opened.evaluation, opened.config, device)
    _ensure_one_protocol(run_folder, opened, evaluation)
    content = content_digest(outputs)
    method = external_method(external.name, external.direction, outputs)
    trial = Trial(
        method, external.seed or 0, opened.record["preset"], Resolved(opened.config, {}, dict(opened.record["origins"]))
    )
    record = _record(trial, external, opened, content, environment(device, opened.config.precision))
    part = TrialFolder(Path(tempfile.mkdtemp(dir=run_folder, prefix=".import.", suffix=PART)))
    try:
        part.path.chmod(0o755)
        with progress(external.name) as update:
            results = evaluate(trial, None, evaluation, None, part, 0, update)
        record["external"]["not_measured"] = results.not_applicable.get(external.direction, {})
        save_imported(part, outputs, opened.target_pixels(external.direction))
        write_json(part.trial, record)
        part.set_status(TrialState.DONE, step=0, seconds=0.0, evaluation=evaluation.digest())
        ensure_held(run_folder)
        folder = TrialFolder.of(run_folder, opened.record["dataset"]["label"], external.name, trial.seed)
        folder.path.parent.mkdir(exist_ok=True)
        part.path.rename(folder.path)
    finally:
        shutil.rmtree(part.path, ignore_errors=True)
    return folder


def _ensure_fit(external: External, outputs: np.ndarray, opened: RecordedTests) -> None:
    """Raise where outputs have another shape or type than the run's outputs, or numbers that are not finite."""
    sources, pixels = opened.sources(external.direction), opened.target_pixels(external.direction)
    expected = (*sources.images.shape[:3], pixels.channels)
    if outputs.shape != expected or outputs.dtype.name != pixels.dtype:
        found = f"{outputs.dtype} {outputs.shape}"
        raise CgbenchError(f"{external.name}: its outputs are {found}, and the run's {pixels.dtype} {expected}")
    if outputs.dtype.kind == "f" and not np.isfinite(outputs).all():
        raise CgbenchError(f"{external.name}: some of its outputs are infinite or not a number")


def _ensure_one_protocol(run_folder: Path, opened: RecordedTests, evaluation: EvaluationContext) -> None:
    """Raise where finished trials of the run were measured, or examined for failures, otherwise than now."""
    protocols, settings = evaluation.protocols(), evaluation.detector_settings()
    for folder in trial_folders(run_folder):
        if read_trial(folder)["dataset"]["label"] == opened.record["dataset"]["label"]:
            ensure_measured_alike(folder, protocols)
            ensure_examined_alike(folder, settings)


def _record(
    trial: Trial, external: External, opened: RecordedTests, content: str, present: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `trial.json`."""
    tests = opened.evaluation.domains
    counts = {**opened.record["dataset"].get("counts", {}), **{f"test {name}": len(tests[name]) for name in "AB"}}
    told = {"direction": external.direction, "seed": external.seed, "training": external.training}
    fingerprint = digest({"external": external.name, **told, "outputs": content})
    record = trial_record(trial, opened.evaluation.dataset, present, fingerprint, counts, 0, {}, {})
    return {**record, "external": {**told, "origin": external.origin, "digest": content}}
