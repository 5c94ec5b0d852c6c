"""The alternatives to the last weights of a finished training: averaged weights, and checkpoints before the last."""

from collections.abc import Iterator

from cgbench.api.names import Weights
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.training.averaged_weights import AveragedWeights
from cgbench.benchmarks.training.checkpoint import averages_in, metadata_number, read_checkpoint, restore
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.results.run_folder import TrialFolder


def alternative_weights(model: Model, folder: TrialFolder, fingerprint: str) -> Iterator[tuple[Weights, int]]:
    """Put each alternative into the model, which must hold the last weights, and yield what it is and its step.

    The last weights are back when the iterator ends. Checkpoints without the trial's `fingerprint` are of the
    training before an extension and are left out; so are those that cannot be read, which is printed.
    """
    earlier = folder.earlier_checkpoints()
    if not earlier and not model.config.ema_decay:
        return
    last, stored = read_checkpoint(folder.checkpoint)
    if averages := averages_in(last):
        averaged = AveragedWeights(model, model.config.ema_decay)
        averaged.load(averages)
        with averaged.applied():
            yield Weights.AVERAGED, int(metadata_number(stored, "step"))
    changed = False
    for step, path in sorted(earlier.items()):
        try:
            tensors, stored = read_checkpoint(path)
            if stored.get("digest") != fingerprint:
                continue
            restore(model, {}, tensors, path)
        except CgbenchError as error:
            console.print(f"left out of the mean over checkpoints: {error}", style="yellow")
            continue
        changed = True
        yield Weights.EARLIER, step
    if changed:
        restore(model, {}, last, folder.checkpoint)
