"""The training loop, one for all methods: it knows no method by name and has no callbacks."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cgbench.api.graph_analysis import shared_gradients
from cgbench.api.method import Player
from cgbench.benchmarks.data.batches import BatchSampler
from cgbench.benchmarks.runtime.peak_memory import peak_memory, reset_peak_memory
from cgbench.benchmarks.runtime.signals import Stopped, defer_stop_signals
from cgbench.benchmarks.training.averaged_weights import AveragedWeights
from cgbench.benchmarks.training.checkpoint import (
    Optimizers,
    averages_in,
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
from cgbench.errors import CgbenchError, Diverged
from cgbench.files import append_jsonl, write_jsonl
from cgbench.formatting import listed
from cgbench.methods.blocks.model import Model
from cgbench.progress import ProgressCallback
from cgbench.results.record_files import read_step_rows
from cgbench.results.run_folder import TrialFolder
from cgbench.seeds import derive


@dataclass
class TrainingState:
    """The state of a training: steps done, seconds spent, peak memory in bytes (0: not known), the sums of the losses
    of `count` steps since the last line of the log, and the averaged weights where the configuration asks for them."""

    step: int
    seconds: float
    memory: int
    sums: dict[str, Tensor]
    count: int
    averages: AveragedWeights | None = None


def train(
    model: Model, sampler: BatchSampler, config: TrialConfig, total_steps: int, steps_per_epoch: int,
    folder: TrialFolder, fingerprint: str, progress: ProgressCallback = lambda step, total: None,
    until: int | None = None, metadata: Mapping[str, str] | None = None,
) -> TrainingState:  # fmt: skip
    """Train a model, resuming from the folder's checkpoint if there is one.

    Ctrl-C, SIGTERM and SIGHUP let the current step end and save, and are raised then; a second one is raised at once
    and saves nothing.

    Args:
        model: The model to train.
        sampler: The batch of each step.
        config: The configuration of the trial.
        total_steps: The number of steps of the learning-rate schedule.
        steps_per_epoch: The number of steps after which the learning rate may change.
        folder: Where the checkpoint and the loss log are.
        fingerprint: The fingerprint of the trial; a checkpoint of another one is refused.
        progress: Called after each step.
        until: The step to stop at, with a checkpoint, if before the last; resuming there gives the same bits.
        metadata: Further metadata of the checkpoint.

    Returns:
        The state at the last step taken.

    Raises:
        Diverged: where a loss or a weight is not finite; the last checkpoint before it stays.
        CgbenchError: where the checkpoint is of another trial, or cannot be read.
    """
    identifying = {"digest": fingerprint, "method": model.method.name, **(metadata or {})}
    optimizers = make_optimizers(model, config)
    state = _resume(model, optimizers, folder, identifying)
    model.precompute(sampler.batch, sampler.epoch)
    model.train()
    take_step = make_train_step(model, optimizers, config)
    end = total_steps if until is None else min(until, total_steps)
    reset_peak_memory(model.device)
    started = time.perf_counter() - state.seconds
    with defer_stop_signals() as signals:
        while state.step < end:
            # For layers that draw from the global generator (dropout): a stream of this step alone, as all others.
            torch.manual_seed(derive(model.seed, "layers", state.step))
            factor = learning_rate_factor(state.step, total_steps, steps_per_epoch, config.decay_fraction)
            losses = take_step(sampler.batch(state.step), state.step, config.learning_rate * factor)
            state.sums = {name: state.sums.get(name, 0) + value for name, value in losses.items()}
            state.step, state.count = state.step + 1, state.count + 1
            if state.averages:
                state.averages.update(state.step)
            state.seconds = time.perf_counter() - started
            if state.step % config.log_every == 0 or state.step == total_steps:
                _log(state, folder, config.learning_rate * factor)
            stopping = bool(signals)  # a signal from here on is handled in the next step
            if state.step % config.save_every == 0 or state.step == end or stopping:
                state.memory = max(state.memory, peak_memory(model.device))
                _save(folder, model, optimizers, state, identifying)
            progress(state.step, total_steps)
            if stopping:
                break
    if signals:
        raise Stopped(signals[0])
    return state


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
    """Update every player once and return the unweighted value of each term.

    Args:
        model: The model.
        optimizers: Its optimizers by player.
        batch: `real_a`, `real_b` and where they are read `labels_a`, `labels_b`.
        step: The number of the step, from 0, which seeds random numbers.
        rate: The learning rate.

    Returns:
        Scalars by name of the term, detached.
    """
    set_learning_rate(optimizers, rate)
    return move_players(model, optimizers, batch, step)


def move_players(model: Model, optimizers: Optimizers, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """Move every player once, in their order, and return the unweighted value of each term.

    A tensor computed for one player is used again by the next: discriminators judge the fakes that the generators
    made before they moved, as in the published training.
    """
    values: dict[str, Any] = dict(batch)
    losses: dict[str, Tensor] = {}
    for player in model.live_part.players:
        reads = [tensor for term in player.terms for tensor in term.reads]
        model.evaluate(values, [tensor for tensor in reads if tensor not in batch], step)
        terms = {term.name: term.function(*(values[name] for name in term.reads)) for term in player.terms}
        total = sum(term.weight * terms[term.name] for term in player.terms)
        try:
            backward(total, optimizers[player.name])
        except RuntimeError as error:
            raise _shared_graph_error(model, player, error) from None
        optimizers[player.name].step()
        losses.update({name: value.detach() for name, value in terms.items()})
    return losses


def _shared_graph_error(model: Model, player: Player, error: RuntimeError) -> Exception:
    """Return the error to raise for one of a backward pass: which tensors of the declaration two players share, if it
    came from that, else `error` itself."""
    shared = shared_gradients(model.method, model.live_part.players, player)
    if "backward through the graph a second time" not in str(error) or not shared:
        return error
    return CgbenchError(
        f"method '{model.method.name}': '{player.name}' sends gradients through {listed(shared)}, as an earlier player "
        "did: let it read an ImagePool, a Compute(..., detached=True), or an application of its own"
    )


def _resume(
    model: Model, optimizers: Optimizers, folder: TrialFolder, identifying: Mapping[str, str]
) -> TrainingState:  # fmt: skip
    """Load the folder's checkpoint, if any, and cut the log back to it, so that no step is logged twice."""
    decay = model.config.ema_decay
    averages = AveragedWeights(model, decay) if decay else None
    if not folder.checkpoint.exists():
        folder.steps.unlink(missing_ok=True)
        return TrainingState(0, 0.0, 0, {}, 0, averages)
    tensors, metadata = read_checkpoint(folder.checkpoint)
    ensure_same_checkpoint(folder.checkpoint, metadata, identifying)
    sums = restore(model, optimizers, tensors, folder.checkpoint)
    step, seconds, memory, count = (metadata_number(metadata, key) for key in ("step", "seconds", "memory", "count"))
    if averages:
        averages.load(averages_in(tensors))
    state = TrainingState(int(step), seconds, int(memory), sums, int(count), averages)
    write_jsonl(folder.steps, [row for row in read_step_rows(folder.steps) if row["step"] <= state.step])
    return state


def _log(state: TrainingState, folder: TrialFolder, learning_rate: float) -> None:
    """Append the mean of every term since the last line, and start new sums; raise where one is not finite."""
    sums = torch.stack([total.float() for total in state.sums.values()]).tolist()  # one wait for the device
    means = {name: total / state.count for name, total in zip(state.sums, sums, strict=True)}
    broken = [name for name, value in means.items() if not math.isfinite(value)]
    if broken:
        raise Diverged(f"{', '.join(broken)} became infinite or not a number before step {state.step}", state.step)
    row = {"step": state.step, "learning_rate": learning_rate, "seconds": round(state.seconds, 3), "losses": means}
    append_jsonl(folder.steps, row)
    state.sums, state.count = {}, 0


def _save(
    folder: TrialFolder, model: Model, optimizers: Optimizers, state: TrainingState, identifying: Mapping[str, str]
) -> None:
    """Write a checkpoint, unless a weight or a pending loss is not finite: then raise and keep the previous one."""
    if not all_finite(model, state.sums.values()):
        raise Diverged(f"a weight or a loss became infinite or not a number before step {state.step}", state.step)
    numbers = {"step": state.step, "count": state.count, "seconds": round(state.seconds, 3), "memory": state.memory}
    retain_previous(folder, state.step, model.config.keep_last)
    metadata = {key: str(value) for key, value in numbers.items()} | dict(identifying)
    averages = state.averages.state() if state.averages else None
    save_checkpoint(folder.checkpoint, model, optimizers, state.sums, metadata, averages)


def all_finite(model: Model, more: Iterable[Tensor] = ()) -> bool:
    """Return whether every weight, and every tensor in `more`, is finite; one transfer from the device."""
    weights = [weight for name in model.trained_networks for weight in model.networks[name].parameters()]
    return bool(torch.stack([tensor.detach().isfinite().all() for tensor in [*weights, *more]]).all())
