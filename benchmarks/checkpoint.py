"""Everything a trial needs to go on, in one safetensors file that is written atomically and never unpickled."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.storage import write_bytes

FORMAT = "cgbench-checkpoint-1"
Optimisers = dict[str, torch.optim.Optimizer]


def save_checkpoint(
    path: Path, model: Model, optimisers: Optimisers, log: dict[str, Tensor], facts: dict[str, str]
) -> None:
    """Write weights, pools, optimiser moments and the running sums of the log; `facts` go into the header as text."""
    tensors = model.state()
    for player, optimiser in optimisers.items():
        for name, weight in model.parameters(player).items():
            for key, value in optimiser.state.get(weight, {}).items():
                tensors[f"optimiser.{player}.{name}|{key}"] = torch.as_tensor(value)
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


def saved_step(path: Path) -> int:
    """Return the step of a checkpoint from its header alone; 0 where there is none or it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return int((file.metadata() or {}).get("step", 0))
    except (OSError, SafetensorError, ValueError):
        return 0


def restore(model: Model, optimisers: Optimisers, tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Put a checkpoint's tensors back where they were and return the running sums of the log."""
    try:
        model.load({name: value.to(model.device) for name, value in tensors.items()})
        for player, optimiser in optimisers.items():
            for name, weight in model.parameters(player).items():
                prefix = f"optimiser.{player}.{name}|"
                state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
                # Adam counts its steps in a tensor that stays on the CPU.
                optimiser.state[weight] = {
                    key: value if key == "step" else value.to(weight.device) for key, value in state.items()
                }
    except (RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CgbenchError(f"{path} does not fit this method: {reason}; delete it to train again") from None
    return {
        name.removeprefix("log."): value.to(model.device) for name, value in tensors.items() if name.startswith("log.")
    }
