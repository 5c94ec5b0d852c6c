"""Checkpoints: weights, optimizer moments, image pools and log sums in one safetensors file; nothing is unpickled."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.training.flat_parameters import flat_view, match_layout, view_as
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.files import ensure_regular_file, write_bytes
from cgbench.methods.blocks.model import Model
from cgbench.pixel_format import PixelFormat, recorded_format

FORMAT = "cgbench-checkpoint-2"
AVERAGE = "average."  # begins the names of averaged weights
Optimizers = dict[str, torch.optim.Optimizer]


def checkpoint_metadata(config: TrialConfig, dataset: Dataset) -> dict[str, str]:
    """Return the metadata of a checkpoint beside method and fingerprint: every setting that training, preprocessing
    among it, depends on, the two domains, and the classes with their colours."""
    palette = [[entry.name, *entry.colour] for entry in dataset.palette]
    domains = [_domain_metadata(domain.name, domain.pixels) for domain in dataset.domains]
    return _metadata(config, dataset.label, domains, palette)


def recorded_checkpoint_metadata(config: TrialConfig, dataset: Mapping[str, Any]) -> dict[str, str]:
    """Return the same metadata from the dataset's record in `trial.json`; its files need not be present."""
    domains = [_domain_metadata(it["name"], recorded_format(it.get("pixels"))) for it in dataset["domains"]]
    return _metadata(config, dataset["label"], domains, dataset["palette"])


def _domain_metadata(name: str, pixels: PixelFormat) -> str | list[str]:
    """Return what identifies a domain: its name, and its format where that is not 8-bit RGB."""
    return name if pixels.is_rgb8 else [name, pixels.described()]


def _metadata(config: TrialConfig, label: str, domains: list, palette: list) -> dict[str, str]:
    return {
        "dataset": label,
        "domains": json.dumps(domains),
        "palette": json.dumps(palette),
        "config": json.dumps(config.affecting("training"), sort_keys=True),
    }


def ensure_same_checkpoint(path: Path, metadata: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Raise `CgbenchError` where the metadata of a checkpoint are not the `expected` ones, and name what differs."""
    differing = []
    for key in ("method", "dataset", "domains", "config", "palette"):
        if key in metadata and key in expected and metadata[key] != expected[key]:
            differing += _differences(key, metadata[key], expected[key])
    if metadata.get("digest") != expected["digest"] and not differing:
        digests = f"{metadata.get('digest')} instead of {expected['digest']}"
        differing = [f"digest {digests}: other data, seed or declaration"]
    if differing:
        raise CgbenchError(
            f"{path} belongs to another trial ({', '.join(differing)}); put the right one there, "
            "or delete it to train again"
        )


def _differences(key: str, theirs: str, ours: str) -> list[str]:
    """Return the differences between two metadata values as text, setting by setting for the configuration."""
    if key == "config":
        try:
            their, our = json.loads(theirs), json.loads(ours)
            return [f"{name} {their.get(name)} instead of {our[name]}" for name in our if their.get(name) != our[name]]
        except (ValueError, AttributeError, RecursionError):
            return ["unreadable settings"]
    if key == "palette":
        return ["another class palette"]
    return [f"{key} {theirs[:80]} instead of {ours}"]


def metadata_number(metadata: Mapping[str, str], key: str) -> float:
    """Return a number of a checkpoint's metadata, at least 0; a missing or malformed one raises `CgbenchError`."""
    try:
        value = float(metadata[key])
    except (KeyError, ValueError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise CgbenchError(f"the checkpoint does not say its '{key}' ({metadata.get(key, 'missing')}): it is not whole")
    return value


def save_checkpoint(
    path: Path, model: Model, optimizers: Optimizers, log: dict[str, Tensor], metadata: dict[str, str],
    averages: Mapping[str, Tensor] | None = None,
) -> None:  # fmt: skip
    """Write a checkpoint, atomically.

    Args:
        path: The file.
        model: The model, for weights and image pools.
        optimizers: Its optimizers by player, for moments.
        log: The running sums of the loss log, by term.
        metadata: Texts for the header.
        averages: Averaged weights by `network.weight`, where there are any.
    """
    tensors = model.state()
    for player, optimizer in optimizers.items():
        for (name, weight), row in _with_flat_views(model, player, optimizer):
            for key, value in optimizer.state.get(row, {}).items():
                tensors[f"optimizer.{player}.{name}|{key}"] = value if key == "step" else view_as(value, weight)
    tensors.update({f"log.{name}": value for name, value in log.items()})
    tensors.update({f"{AVERAGE}{name}": value for name, value in (averages or {}).items()})
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(path, save(tensors, {"format": FORMAT, **metadata}))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a checkpoint; a broken or foreign file raises `CgbenchError`."""
    try:
        ensure_regular_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise CgbenchError(f"{path} is not there: put it back, or train the trial again") from None
    except (OSError, SafetensorError) as error:
        raise CgbenchError(f"{path} is not a readable checkpoint ({error}); delete it to train again") from None
    if metadata.get("format") != FORMAT:
        raise CgbenchError(f"{path} is not a checkpoint of this version: format '{metadata.get('format', 'none')}'")
    return tensors, metadata


def rewrite_metadata(path: Path, before: str, metadata: Mapping[str, str]) -> None:
    """Update the metadata of a checkpoint whose digest is `before`; one with another digest stays as it is."""
    tensors, stored = read_checkpoint(path)
    if stored.get("digest") == before:
        write_bytes(path, save(tensors, {**stored, **metadata}))


def restore(model: Model, optimizers: Optimizers, tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Load a checkpoint's tensors into model and optimizers, and return the running sums of the log. Tensors that
    do not fit the model in name, shape or type, or are not finite, raise `CgbenchError`."""
    _ensure_usable(model, tensors, path)
    try:
        model.load({name: value.to(model.device) for name, value in tensors.items()})
        for player, optimizer in optimizers.items():
            for (name, weight), row in _with_flat_views(model, player, optimizer):
                prefix = f"optimizer.{player}.{name}|"
                state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
                optimizer.state[row] = {
                    key: value.to(row.device)
                    if key == "step"
                    else flat_view(match_layout(weight, value.to(row.device)))
                    for key, value in state.items()
                }
    except (RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CgbenchError(f"{path} does not fit this method: {reason}; delete it to train again") from None
    return {
        name.removeprefix("log."): value.to(model.device) for name, value in tensors.items() if name.startswith("log.")
    }


def averages_in(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the averaged weights of a checkpoint's tensors by `network.weight`; none where it was trained without."""
    return {key.removeprefix(AVERAGE): value for key, value in tensors.items() if key.startswith(AVERAGE)}


def _ensure_usable(model: Model, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise `CgbenchError` for a tensor of another type than the model's, which would be converted in silence, and for
    weights, moments or stored images that are not finite. Sums of losses may be: the next log line says so."""
    own = model.state()
    types = {torch.float32, *(value.dtype for value in own.values() if value.is_floating_point())}
    for name, value in tensors.items():
        expected = {own[name].dtype} if name in own else types
        if value.dtype not in expected:
            words = [str(kind).removeprefix("torch.") for kind in (value.dtype, min(expected, key=str))]
            raise CgbenchError(
                f"{path} does not fit this method: '{name}' is {words[0]} instead of {words[1]}; "
                "delete it to train again"
            )
        if name.startswith("log.") or bool(value.isfinite().all()):
            continue
        if name not in own or bool(own[name].isfinite().all()):
            raise CgbenchError(
                f"{path} cannot be used: '{name}' holds numbers that are infinite or not a number; "
                "delete it to train again"
            )


def _with_flat_views(
    model: Model, player: str, optimizer: torch.optim.Optimizer
) -> Iterable[tuple[tuple[str, nn.Parameter], Tensor]]:
    """Return names and weights of a player, each with the row of numbers that its optimizer moves."""
    return zip(model.parameters(player).items(), optimizer.param_groups[0]["params"], strict=True)
