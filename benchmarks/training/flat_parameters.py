"""Flat views of weights, gradients and optimizer moments, in the memory order of the weights."""

import torch
from torch import Tensor


def flat_view(tensor: Tensor) -> Tensor:
    """Return the memory of a dense tensor as a flat view, (number of elements,)."""
    return tensor.detach().as_strided((tensor.numel(),), (1,))


def view_as(row: Tensor, weight: Tensor) -> Tensor:
    """Return a flat view as a tensor with the shape and strides of `weight`."""
    return row.as_strided(weight.shape, weight.stride())


def match_layout(weight: Tensor, values: Tensor) -> Tensor:
    """Return `values`, of the shape of `weight`, in the memory order of `weight`."""
    if values.stride() == weight.stride():
        return values
    return torch.empty_like(weight, dtype=values.dtype).copy_(values)
