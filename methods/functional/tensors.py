"""Small functions of tensors that graphs and their evaluation share. Torch is imported only where it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def unchanged(value: Tensor) -> Tensor:
    """Return the value itself: with `detached=True`, the same numbers without their gradient."""
    return value


def sent(tensor: Tensor, device: str | torch.device) -> Tensor:
    """Return a tensor of the host on `device`; a GPU fetches it while the host goes on."""
    return tensor.pin_memory().to(device, non_blocking=True) if str(device).startswith("cuda") else tensor.to(device)
