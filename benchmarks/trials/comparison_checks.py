"""Checks that a command fits the run it is pointed at: the same trials, one comparison, one way of measuring.

They read the run and raise before anything is written into it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cgbench.api.method_description import terms_of
from cgbench.api.names import TrialState
from cgbench.benchmarks.trials.external_method import is_external
from cgbench.benchmarks.trials.fingerprint import extension_steps
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import FIELDS
from cgbench.errors import CgbenchError
from cgbench.results.detections import ensure_one_setting, setting_of
from cgbench.results.record_files import read_failures_file, read_protocols_file, read_run_file
from cgbench.results.records import TEST, read_trial
from cgbench.results.run_folder import TrialFolder

Protocol = Mapping[str, Any]


def ensure_same_dataset(run: Path, label: str) -> None:
    """Raise if the run folder `run` holds a comparison on another dataset than `label`."""
    path = run / "run.json"
    if path.exists() and (stored := read_run_file(path)["dataset"]) != label:
        raise CgbenchError(
            f"{run} holds a comparison on '{stored}', not on '{label}', whose training images are others or read with "
            "other settings: choose another --name"
        )


def ensure_same_trial(trial: Trial, folder: TrialFolder, fingerprint: str) -> None:
    """Raise if the folder holds a trial with another fingerprint, and name what differs."""
    if not folder.trial.exists():
        return
    stored = read_trial(folder)
    if stored.get("digest") == fingerprint:
        return
    if is_external(stored):
        raise CgbenchError(f"{folder.path} holds outputs of another program under this name: choose another --name")
    if lengths := extension_steps(stored):
        raise CgbenchError(
            f"{folder.path} was extended ({lengths} steps): 'cgbench extend' goes on with it, 'cgbench evaluate' "
            "measures it; to train anew, choose another --name"
        )
    differing = _changed_settings(stored, trial, list(trial.config.affecting("training")))
    weights = {term["name"]: term["weight"] for term in stored["method"].get("terms", [])}
    differing += [
        f"weight of {term['name']} {weights[term['name']]:g} → {term['weight']:g}"
        for term in terms_of(trial.method)
        if weights.get(term["name"], term["weight"]) != term["weight"]
    ]
    reason = ", ".join(differing) or "its method, its data or this program's version changed"
    raise CgbenchError(
        f"{folder.path} holds another trial ({reason}); choose another --name, or delete that folder to train it again"
    )


def ensure_comparable(trial: Trial, folder: TrialFolder, data: Mapping[str, str]) -> None:
    """Raise if a folder of the same run holds a trial of another budget, resolution or data: no table may mix them.
    What another program made has no budget here, and is marked in tables."""
    stored = read_trial(folder)
    if is_external(stored):
        return
    shared = [name for name, item in FIELDS.items() if not item.metadata["method"]]
    shared = [name for name in shared if FIELDS[name].metadata["affects"] != "bookkeeping"]
    differing = _changed_settings(stored, trial, shared)
    if lengths := extension_steps(stored):
        differing = [f"extended {lengths} steps"]
    if (
        not differing
        and not (stored["method"].get("role") or trial.method.supervised)
        and stored.get("data") != dict(data)
    ):
        differing = ["its training images"]
    if differing:
        raise CgbenchError(
            f"{folder.path} belongs to another comparison ({', '.join(differing)}); "
            "choose another --name, or ask for all its methods and seeds again"
        )


def _changed_settings(stored: Mapping[str, Any], trial: Trial, names: Sequence[str]) -> list[str]:
    """Return the settings of `names` that a stored trial.json has otherwise than a trial, as "steps 6 → 9". One that an
    earlier version did not record had its default."""
    settings, recorded = asdict(trial.config), stored.get("config", {})
    before = {name: recorded.get(name, FIELDS[name].default) for name in names}
    return [f"{name} {before[name]} → {settings[name]}" for name in names if before[name] != settings[name]]


def ensure_same_test_images(folder: TrialFolder, images: Mapping[str, Protocol]) -> None:
    """Raise if a trial was measured on other test images than `images` describes, as in `changed_test_images`."""
    if changed := changed_test_images(folder, images):
        raise CgbenchError(
            f"{folder.path} was measured on other test images ({changed}): choose another --name, or restore them; "
            f"'cgbench evaluate {folder.path.parents[2]}' measures the whole run anew"
        )


def changed_test_images(folder: TrialFolder, images: Mapping[str, Protocol]) -> str:
    """Return how the test images differ from those that a trial was measured on, "AtoB: 6 → 4"; "" if they do not.

    `images` is, by direction, the part of a protocol that says what is measured on. Damaged records differ in nothing:
    whoever asks for their trial measures it again.
    """
    try:
        protocols = _test_protocols(folder)
    except CgbenchError:
        return ""
    for details in protocols.values():
        present = images.get(str(details.get("direction")), {})
        changed = [name for name in present if name in details and details[name] != present[name]]
        if "images" in changed:
            return f"{details['direction']}: {details['images']} → {present['images']}"
        if changed:
            return f"{details['direction']}: {' and '.join(changed)} changed"
    return ""


def ensure_measured_alike(folder: TrialFolder, protocols: Mapping[tuple[str, str], tuple[str, Protocol]]) -> None:
    """Raise if the numbers of a finished trial could not stand beside new ones, which `protocols` are measured by:
    digest and details by metric and direction."""
    if folder.status()["state"] != TrialState.DONE:
        return
    for digest, details in _test_protocols(folder).items():
        present_digest, present = protocols.get((str(details.get("metric")), str(details.get("direction"))), ("", {}))
        if present_digest in ("", digest):
            continue
        changed = ", ".join(f"{name} {details.get(name)} → {present[name]}" for name in present
                            if details.get(name) != present[name])  # fmt: skip
        raise CgbenchError(
            f"{folder.path} was measured otherwise ({details['metric']} {details['direction']}: {changed}), and "
            f"no table may mix them: choose another --name; 'cgbench evaluate {folder.path.parents[2]}' measures the "
            "whole run anew"
        )


def ensure_examined_alike(folder: TrialFolder, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise if the failures of a finished trial were looked for otherwise than `settings`, by the failure's name, say:
    they could not stand beside new ones."""
    if folder.status()["state"] != TrialState.DONE:
        return
    for direction, entries in read_failures_file(folder.failures).items():
        for name in entries.keys() & settings.keys():
            ensure_one_setting(folder.path, f"{name} {direction}", setting_of(entries[name]), settings[name])


def _test_protocols(folder: TrialFolder) -> dict[str, dict[str, Any]]:
    protocols = read_protocols_file(folder.protocols)
    return {digest: details for digest, details in protocols.items() if details.get("split", TEST) == TEST}
