"""The one training loop. It knows no method by name and has no callbacks."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.runtime.peak_memory import peak_memory, reset_peak_memory
from cgbench.benchmarks.runtime.signals import Stopped, defer_stop_signals
from cgbench.benchmarks.training.checkpoint import (
    Optimizers,
    ensure_same_checkpoint,
    metadata_number,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from cgbench.benchmarks.training.checkpoint_retention import retain_previous
from cgbench.benchmarks.training.cuda_graphs import CapturedStep, CudaGraphs, ensure_capturable
from cgbench.benchmarks.training.optimizers import backward, learning_rate_factor, make_optimizers, set_learning_rate
from cgbench.config import TrialConfig
from cgbench.errors import Diverged
from cgbench.files import append_jsonl, read_jsonl, write_jsonl
from cgbench.methods.blocks.model import Model
from cgbench.results.run_folder import TrialFolder
from cgbench.seeds import derive


@dataclass
class TrainingState:
    """Where a training stands: steps done, seconds spent, the largest memory in bytes (0: not known), and the losses of
    `count` steps since the last log."""

    step: int
    seconds: float
    memory: int
    sums: dict[str, Tensor]
    count: int


def train(
    model: Model, feed: BatchSampler, config: TrialConfig, total: int, epoch: int, folder: TrialFolder, digest: str,
    progress: Callable[[int, int], None] = lambda step, total: None, until: int | None = None,
    about: Mapping[str, str] | None = None,
) -> TrainingState:  # fmt: skip
    """Train `model` for `total` steps, going on from the folder's checkpoint if there is one.

    It stops at step `until`, with a checkpoint, where that comes first: going on from there gives the same bits.
    `epoch` is the number of steps after which the learning rate may change, `digest` identifies the trial, `about` is
    what the checkpoint says of itself beyond that. Raises `Diverged` where a loss is not finite; the last checkpoint
    before it stays. Ctrl-C, SIGTERM and SIGHUP let the step in hand end, save, and are raised then; a second one is
    raised at once and saves nothing.
    """
    identity = {"digest": digest, "method": model.method.name, **(about or {})}
    optimizers = make_optimizers(model, config)
    at = _resume(model, optimizers, folder, identity)
    model.precompute(feed.batch, feed.epoch)
    model.train()
    take_step = make_train_step(model, optimizers, config)
    end = total if until is None else min(until, total)
    reset_peak_memory(model.device)
    started = time.perf_counter() - at.seconds
    with defer_stop_signals() as stop:
        while at.step < end:
            # For layers that draw from the global generator (dropout): a stream of this step alone, as all others.
            torch.manual_seed(derive(model.seed, "layers", at.step))
            factor = learning_rate_factor(at.step, total, epoch, config.decay_fraction)
            losses = take_step(feed.batch(at.step), at.step, config.learning_rate * factor)
            at.sums = {name: at.sums.get(name, 0) + value for name, value in losses.items()}
            at.step, at.count = at.step + 1, at.count + 1
            at.seconds = time.perf_counter() - started
            if at.step % config.log_every == 0 or at.step == total:
                _log(at, folder, config.learning_rate * factor)
            stopping = bool(stop)  # a signal from here on is heard in the next step
            if at.step % config.save_every == 0 or at.step == end or stopping:
                at.memory = max(at.memory, peak_memory(model.device))
                _save(folder, model, optimizers, at, identity)
            progress(at.step, total)
            if stopping:
                break
    if stop:
        raise Stopped(stop[0])
    return at


def make_train_step(
    model: Model, optimizers: Optimizers, config: TrialConfig
) -> Callable[[dict[str, Tensor], int, float], dict[str, Tensor]]:
    """Return what takes a step, of batch, number and rate: `train_step`, or the same recorded on a GPU and replayed."""
    if not config.cuda_graphs:
        return partial(train_step, model, optimizers)
    ensure_capturable(config.cuda_graphs, str(model.device))
    replayed = CapturedStep(model, partial(move_players, model, optimizers), CudaGraphs(model.device))

    def step(batch: dict[str, Tensor], metadata_number: int, rate: float) -> dict[str, Tensor]:
        set_learning_rate(optimizers, rate)
        return replayed(batch, metadata_number)

    return step


def train_step(
    model: Model, optimizers: Optimizers, batch: dict[str, Tensor], step: int, rate: float
) -> dict[str, Tensor]:
    """Move every player once with the learning rate `rate`, and return the unweighted value of each term."""
    set_learning_rate(optimizers, rate)
    return move_players(model, optimizers, batch, step)


def move_players(model: Model, optimizers: Optimizers, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """Move every player once, in their order, and return the unweighted value of each term.

    A tensor computed for one player is used again by the next: discriminators judge the fakes that the generators
    made before they moved, as in the published training.
    """
    values = dict(batch)
    losses: dict[str, Tensor] = {}
    for player in model.live.players:
        reads = [tensor for term in player.terms for tensor in term.reads]
        model.evaluate(values, [tensor for tensor in reads if tensor not in batch], step)
        terms = {term.name: term.function(*(values[name] for name in term.reads)) for term in player.terms}
        total = sum(term.weight * terms[term.name] for term in player.terms)
        backward(total, optimizers[player.name])
        optimizers[player.name].step()
        losses.update({name: value.detach() for name, value in terms.items()})
    return losses


def _resume(model: Model, optimizers: Optimizers, folder: TrialFolder, identity: Mapping[str, str]) -> TrainingState:
    """Load the folder's checkpoint, if any, and cut the log back to it, so that no step is logged twice."""
    if not folder.checkpoint.exists():
        folder.steps.unlink(missing_ok=True)
        return TrainingState(0, 0.0, 0, {}, 0)
    tensors, facts = read_checkpoint(folder.checkpoint)
    ensure_same_checkpoint(folder.checkpoint, facts, identity)
    sums = restore(model, optimizers, tensors, folder.checkpoint)
    step, seconds, memory, count = (metadata_number(facts, key) for key in ("step", "seconds", "memory", "count"))
    at = TrainingState(int(step), seconds, int(memory), sums, int(count))
    write_jsonl(folder.steps, [row for row in read_jsonl(folder.steps) if row["step"] <= at.step])
    return at


def _log(at: TrainingState, folder: TrialFolder, rate: float) -> None:
    """Append the mean of every term since the last line, and start new sums; raise where one is not finite."""
    sums = torch.stack([total.double() for total in at.sums.values()]).tolist()  # one wait for the device
    means = {name: total / at.count for name, total in zip(at.sums, sums, strict=True)}
    bad = [name for name, value in means.items() if not math.isfinite(value)]
    if bad:
        raise Diverged(f"{', '.join(bad)} became infinite or not a number before step {at.step}", at.step)
    append_jsonl(
        folder.steps, {"step": at.step, "learning_rate": rate, "seconds": round(at.seconds, 3), "losses": means}
    )
    at.sums, at.count = {}, 0


def _save(
    folder: TrialFolder, model: Model, optimizers: Optimizers, at: TrainingState, identity: Mapping[str, str]
) -> None:
    """Write a checkpoint, unless a weight or a pending loss is not finite: then raise and keep the one before."""
    if not all_finite(model, at.sums.values()):
        raise Diverged(f"a weight or a loss became infinite or not a number before step {at.step}", at.step)
    facts = {"step": at.step, "count": at.count, "seconds": round(at.seconds, 3), "memory": at.memory}
    retain_previous(folder, at.step, model.config.keep_last)
    save_checkpoint(
        folder.checkpoint, model, optimizers, at.sums, {key: str(value) for key, value in facts.items()} | identity
    )


def all_finite(model: Model, more: Iterable[Tensor] = ()) -> bool:
    """Say whether every weight, and every tensor in `more`, is finite; one transfer from the device."""
    weights = [weight for name in model.owned for weight in model.networks[name].parameters()]
    return bool(torch.stack([tensor.detach().isfinite().all() for tensor in [*weights, *more]]).all())
