"""Tensor helpers that graphs and their evaluation share. They import torch when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def unchanged(value: Tensor) -> Tensor:
    """Return the value itself; in a node with `detached=True`, the value without its gradient."""
    return value


def to_device(tensor: Tensor, device: str | torch.device) -> Tensor:
    """Return a host tensor on `device`; the copy to a GPU is asynchronous, from pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if str(device).startswith("cuda") else tensor.to(device)
