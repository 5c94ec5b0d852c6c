"""The records of a finished trial: whether those that its status promises are there and agree with each other."""

from collections.abc import Mapping, Sequence

from cgbench.api.names import TrialState
from cgbench.api.registry import METRICS
from cgbench.errors import CgbenchError
from cgbench.formatting import plural
from cgbench.results.record_files import read_metric_rows, read_protocols_file
from cgbench.results.records import TEST
from cgbench.results.run_folder import TrialFolder


def is_complete(folder: TrialFolder, step: int, test_keys: Mapping[str, Sequence[str]], evaluation: str = "") -> bool:
    """Return whether a trial needs no more work: it diverged, or it is done and its records are there; with a digest
    of the present `evaluation`, whether it was evaluated by that one. Other arguments as `missing_records`."""
    status = folder.status()
    if status["state"] == TrialState.DONE and (not evaluation or status.get("evaluation") == evaluation):
        return not missing_records(folder, step, test_keys)
    return bool(status["state"] == TrialState.DIVERGED)


def missing_records(folder: TrialFolder, step: int, test_keys: Mapping[str, Sequence[str]]) -> str:
    """Return what the evaluation of a finished trial left and is not there any more, in words; "" if all is there.

    `step` is the last of the training, `test_keys` the keys of the translated test images by direction.
    """
    for path in (folder.trial, folder.metrics, folder.protocols, folder.image_scores, folder.failures):
        if not path.is_file():
            return f"its {path.name} is missing"
    if (recorded := folder.status().get("step", step)) != step:
        return f"its status.json is of step {recorded}, not {step}"
    images = [folder.output(direction, key) for direction, keys in test_keys.items() for key in keys]
    if absent := sum(not path.is_file() for path in images):
        return f"{absent} of its {plural(len(images), 'translated image')} {'is' if absent == 1 else 'are'} missing"
    try:
        return _missing_rows(folder, step, test_keys)
    except CgbenchError as error:
        return f"{error}"


def _missing_rows(folder: TrialFolder, step: int, directions: Mapping[str, object]) -> str:
    """Return which number is missing that the trial's protocols promise, in words; "" if none is."""
    rows, protocols = read_metric_rows(folder.metrics), read_protocols_file(folder.protocols)
    found = {(row["protocol"], row["metric"], row["direction"], row["step"]) for row in rows}
    if unknown := [row["metric"] for row in rows if row["protocol"] not in protocols]:
        return f"its {folder.protocols.name} does not say how {unknown[0]} was measured"
    for protocol, details in protocols.items():
        name, direction = details.get("metric"), details.get("direction")
        if name not in METRICS.names():
            return f"its {folder.protocols.name} names a metric that is not there: {name}"
        for value in METRICS.get(name).values:
            if (protocol, value.name, direction, step) not in found:
                return f"its {folder.metrics.name} has no row of {value.name} {direction} at step {step}"
    measured = {row["direction"] for row in rows if row.get("split", TEST) == TEST}
    unmeasured = [direction for direction in directions if direction not in measured]
    return f"its {folder.metrics.name} has no row of {' and '.join(unmeasured)}" if unmeasured else ""
