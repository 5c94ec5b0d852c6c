"""Everything a trial needs to go on, in one safetensors file that is written atomically and never unpickled."""

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
from cgbench.files import write_bytes
from cgbench.methods.blocks.model import Model

FORMAT = "cgbench-checkpoint-2"
Optimizers = dict[str, torch.optim.Optimizer]


def checkpoint_metadata(config: TrialConfig, dataset: Dataset) -> dict[str, str]:
    """Return what a checkpoint says of itself beside method and digest: every setting that training, preprocessing
    among it, depends on, the two domains, and the classes with their colours."""
    palette = [[entry.name, *entry.colour] for entry in dataset.palette]
    return _metadata(config, dataset.label, [domain.name for domain in dataset.domains], palette)


def recorded_checkpoint_metadata(config: TrialConfig, recorded: Mapping[str, Any]) -> dict[str, str]:
    """Return the same from what `trial.json` says of its dataset, whose files need not be there."""
    return _metadata(config, recorded["label"], [domain["name"] for domain in recorded["domains"]], recorded["palette"])


def _metadata(config: TrialConfig, label: str, domains: list, palette: list) -> dict[str, str]:
    return {
        "dataset": label,
        "domains": json.dumps(domains),
        "palette": json.dumps(palette),
        "config": json.dumps(config.affecting("training"), sort_keys=True),
    }


def ensure_same_checkpoint(path: Path, facts: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raise `CgbenchError` where a checkpoint is not the one `wanted`, and name what differs."""
    differing = []
    for key in ("method", "dataset", "domains", "config", "palette"):
        if key in facts and key in wanted and facts[key] != wanted[key]:
            differing += _differences(key, facts[key], wanted[key])
    if facts.get("digest") != wanted["digest"] and not differing:
        differing = [f"digest {facts.get('digest')} instead of {wanted['digest']}: other data, seed or declaration"]
    if differing:
        raise CgbenchError(
            f"{path} belongs to another trial ({', '.join(differing)}); put the right one there, "
            "or delete it to train again"
        )


def _differences(key: str, theirs: str, ours: str) -> list[str]:
    """Return what differs between two facts, setting by setting where they are settings."""
    if key == "config":
        try:
            their, our = json.loads(theirs), json.loads(ours)
            return [f"{name} {their.get(name)} instead of {our[name]}" for name in our if their.get(name) != our[name]]
        except (ValueError, AttributeError, RecursionError):
            return ["unreadable settings"]
    if key == "palette":
        return ["another class palette"]
    return [f"{key} {theirs[:80]} instead of {ours}"]


def metadata_number(facts: Mapping[str, str], key: str) -> float:
    """Return a number that a checkpoint states, not below 0; one that is missing or is none raises `CgbenchError`."""
    try:
        value = float(facts[key])
    except (KeyError, ValueError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise CgbenchError(f"the checkpoint does not say its '{key}' ({facts.get(key, 'missing')}): it is not whole")
    return value


def save_checkpoint(
    path: Path, model: Model, optimizers: Optimizers, log: dict[str, Tensor], facts: dict[str, str]
) -> None:
    """Write weights, pools, optimizer moments and the running sums of the log; `facts` go into the header as text."""
    tensors = model.state()
    for player, optimizer in optimizers.items():
        for (name, weight), row in _with_flat_views(model, player, optimizer):
            for key, value in optimizer.state.get(row, {}).items():
                tensors[f"optimizer.{player}.{name}|{key}"] = value if key == "step" else view_as(value, weight)
    tensors.update({f"log.{name}": value for name, value in log.items()})
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(path, save(tensors, {"format": FORMAT, **facts}))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the facts of a checkpoint; a broken or foreign file raises `CgbenchError`."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise CgbenchError(f"{path} is not a readable checkpoint ({error}); delete it to train again") from None
    if facts.get("format") != FORMAT:
        raise CgbenchError(f"{path} is not a checkpoint of this version: format '{facts.get('format', 'none')}'")
    return tensors, facts


def rewrite_metadata(path: Path, before: str, facts: Mapping[str, str]) -> None:
    """Give a checkpoint whose digest is `before` other facts; one that has another digest stays as it is."""
    tensors, known = read_checkpoint(path)
    if known.get("digest") == before:
        write_bytes(path, save(tensors, {**known, **facts}))


def restore(model: Model, optimizers: Optimizers, tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Put a checkpoint's tensors back where they were and return the running sums of the log."""
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


def _with_flat_views(
    model: Model, player: str, optimizer: torch.optim.Optimizer
) -> Iterable[tuple[tuple[str, nn.Parameter], Tensor]]:
    """Return names and weights of a player, each with the row of numbers that its optimizer moves."""
    return zip(model.parameters(player).items(), optimizer.param_groups[0]["params"], strict=True)
