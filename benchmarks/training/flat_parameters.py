"""Weights, gradients and moments as rows of numbers in the order in which weights lie in memory."""

import torch
from torch import Tensor


def flat_view(tensor: Tensor) -> Tensor:
    """Return a dense tensor as one row of the numbers in its memory, (number of elements,), sharing them."""
    return tensor.detach().as_strided((tensor.numel(),), (1,))


def view_as(row: Tensor, weight: Tensor) -> Tensor:
    """Return a row as the tensor of the shape of `weight` whose memory it is."""
    return row.as_strided(weight.shape, weight.stride())


def match_layout(weight: Tensor, values: Tensor) -> Tensor:
    """Return `values`, of the shape of `weight`, in the order in memory that it has."""
    if values.stride() == weight.stride():
        return values
    return torch.empty_like(weight, dtype=values.dtype).copy_(values)
