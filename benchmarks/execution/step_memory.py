"""A lower bound of the memory that a training step takes, from shapes alone: nothing of that size is allocated."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from cgbench.api.graph_analysis import Live, live, waves
from cgbench.api.graph_nodes import Apply, Compute, ImagePool, Sample
from cgbench.benchmarks.execution.resources import machine
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.formatting import listed, size
from cgbench.methods.blocks.segmentation import SegmentationNet
from cgbench.seeds import generator

META = torch.device("meta")  # tensors with a shape and without numbers
NUMBER_BYTES = 4  # of float32
SETTINGS = ("batch_size", "crop_size", "ngf", "ndf", "scorer_width")  # that memory grows with most
FAR_LESS = 0.7  # of the need is left without a setting that is a cause of it
MOST_COPIES = 1000  # of the widest maps and of the widest weights that a step of any method of ours holds


def ensure_step_fits(trial: Trial, device: str) -> None:
    """Raise `CgbenchError` where a training step surely needs more memory than is free, before any is taken."""
    free, config = machine(device).memory, trial.config
    width = max(config.ngf, config.ndf, config.scorer_width)
    maps, weights = config.batch_size * prod(config.crop_shape) * width, (config.blocks + 10) * width**2
    if MOST_COPIES * NUMBER_BYTES * (maps + weights) > free:  # else far too small to look at it for a second
        _ensure_fits(trial, free, step_memory, "a training step fails: it needs")


def ensure_networks_fit(trial: Trial) -> None:
    """Raise `CgbenchError` where the weights of a method's networks alone need more memory than this machine has free,
    before any is taken."""
    _ensure_fits(trial, machine("cpu").memory, network_memory, "its networks cannot be built: they need")


def _ensure_fits(trial: Trial, free: int, measure: Callable[[Trial], int], fault: str) -> None:
    """Raise `CgbenchError` where a trial needs more than the bytes that are free (0: not known), and name the settings
    that the need comes from."""
    if not free or (needed := measure(trial)) <= free:
        return
    causes = _causes(trial, needed, measure)
    remedy = "make one of them smaller" if len(causes) > 1 else "make it smaller"
    need = f"at least {size(needed)} of memory at {listed(causes)}, and {size(free)} are free"
    raise CgbenchError(f"{trial.method.name}: {fault} {need}; {remedy}")


def network_memory(trial: Trial) -> int:
    """Return a lower bound in bytes of the weights of the live networks and the scorer."""
    return NUMBER_BYTES * sum(_weight_counts(trial)[0].values())


def _causes(trial: Trial, needed: int, measure: Callable[[Trial], int]) -> list[str]:
    """Return the settings without which a trial would need far less, as `ngf=4000`: of these the ones that the user
    chose, where there are any."""
    config, resolved, causes = trial.config, trial.resolved, []
    for name in SETTINGS:
        changes = {name: max(1, getattr(config, name) // 16)}
        changes |= {"crop_width": config.crop_width // 16} if name == "crop_size" else {}
        smaller = replace(config, **changes)
        if measure(replace(trial, resolved=replace(resolved, config=smaller))) < FAR_LESS * needed:
            causes.append(name)
    causes = causes or list(SETTINGS)  # beyond what can be counted, with each of them smaller as well
    chosen = [name for name in causes if resolved.origins.get(name) not in (None, "recipe", "preset")]
    values = {name: getattr(config, name) for name in SETTINGS}
    values["crop_size"] = "x".join(map(str, dict.fromkeys(config.crop_shape)))
    return [f"{name}={values[name]}" for name in chosen or causes]


def step_memory(trial: Trial) -> int:
    """Return a lower bound in bytes of the peak memory of a training step: weights, moments, the batch, and what the
    first player's networks keep for the way back. What cannot be told from shapes counts nothing."""
    alive, config = live(trial.method), trial.config
    batch = config.batch_size * (config.channels_a + config.channels_b) * prod(config.crop_shape)
    weights, networks = _weight_counts(trial)
    trained = {name for player in alive.players for name in player.networks}
    numbers = sum(count * (3 if name in trained else 1) for name, count in weights.items())  # Adam holds two moments
    return NUMBER_BYTES * (numbers + batch) + _kept_bytes(trial, alive, networks)


def _weight_counts(trial: Trial) -> tuple[dict[str, int], dict[str, nn.Module]]:
    """Return the number of weights of every live network that is not frozen, and of the scorer under "", and the
    networks as shapes; nothing where that cannot be told."""
    config = trial.config
    try:
        networks = untrained_networks(trial)
        with META:
            scorer = SegmentationNet(config.classes, config.scorer_width)
        weights = {name: sum(map(Tensor.numel, module.parameters())) for name, module in networks.items()}
        return weights | {"": sum(map(Tensor.numel, scorer.parameters()))}, networks
    except Exception as error:  # a size beyond what torch can even write down, or a network that wants real numbers
        return {"": 2**63} if "overflow" in str(error) else {}, {}


def untrained_networks(trial: Trial) -> dict[str, nn.Module]:
    """Return the live networks that are not frozen, by name, without memory for their weights."""
    with META:
        return {
            name: trial.method.networks[name].build(trial.config)
            for name in live(trial.method).networks
            if not trial.method.networks[name].frozen
        }


def _kept_bytes(trial: Trial, alive: Live, networks: dict[str, nn.Module]) -> int:
    """Return the bytes that one step's first forward pass keeps for its backward pass, as far as it can be followed.

    A batch as small as the method allows is followed; maps grow with the batch.
    """
    method, config = trial.method, trial.config
    if not networks or not alive.players:
        return 0
    count = min(config.batch_size, method.min_batch_size)
    kept: dict[int, torch.UntypedStorage] = {}  # by address of the storage: tensors share them

    def keep(tensor: Tensor) -> Tensor:
        if tensor.device == META:
            kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    reads = dict.fromkeys(name for term in alive.players[0].terms for name in term.reads)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _follow(trial, reads, networks, _images(config, count))
    weights = {weight.untyped_storage()._cdata for module in networks.values() for weight in module.parameters()}
    return sum(storage.nbytes() for key, storage in kept.items() if key not in weights) * config.batch_size // count


def _follow(trial: Trial, requested: Iterable[str], networks: dict[str, nn.Module], values: dict[str, Any]) -> None:
    """Compute the tensors `requested` as shapes, as far as that is possible without their numbers."""
    trained_through = live(trial.method).gradients
    for tensor in (name for wave in waves(trial.method, requested, values) for name in wave):
        node = trial.method.graph[tensor]
        if not set(node.inputs) <= set(values):
            continue  # it needs what could not be computed
        inputs = [values[name] for name in node.inputs]
        try:
            if isinstance(node, ImagePool):
                values[tensor] = inputs[0].detach()
            elif isinstance(node, Sample):
                values[tensor] = node.function(generator(0), *inputs)
            elif isinstance(node, Apply):
                module = networks[node.network]
                module.requires_grad_(node.network in trained_through.get(tensor, ()))
                values[tensor] = (getattr(module, node.part) if node.part else module)(*inputs)
            elif isinstance(node, Compute):
                values[tensor] = node.function(*inputs)
        except Exception:  # it needs the numbers, or the host
            continue


def _images(config: TrialConfig, count: int) -> dict[str, Any]:
    """Return the shapes of a batch of `count` images per domain."""
    shape, batch = config.crop_shape, {}
    for domain in "ab":
        batch[f"real_{domain}"] = torch.empty(count, config.channels(domain), *shape, device=META)
        batch[f"labels_{domain}"] = torch.empty(count, *shape, dtype=torch.int64, device=META)
    return batch
