"""Reflection padding by concatenation: torch's values bit for bit, and its gradients."""

import pytest
import torch

from cgbench.methods.blocks.reflection_pad import ReflectionPad2d, reflection_pad


@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (3, 3, 3, 3), (0, 2, 1, 0)])
def test_the_parts_are_what_torch_pads(pads):
    image = torch.randn(2, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = (image.clone().requires_grad_() for _ in range(2))
    expected, padded = torch.nn.ReflectionPad2d(pads)(first), reflection_pad(second, *pads)
    assert torch.equal(expected, padded) and torch.equal(expected, ReflectionPad2d(pads)(image))
    weight = torch.randn_like(expected)
    (expected * weight).sum().backward()
    (padded * weight).sum().backward()
    torch.testing.assert_close(first.grad, second.grad)
