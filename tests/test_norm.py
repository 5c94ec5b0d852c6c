"""Instance norm against torch's own in float64, in both layouts, and its gradients of first and second order."""

import pytest
import torch
from torch.nn import functional

from cgbench.methods.blocks.norm import InstanceNorm2d, instance_norm

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def maps(*shape, dtype=torch.float64, layout=torch.contiguous_format):
    stream = torch.Generator().manual_seed(5)
    values = 3 * torch.randn(shape, generator=stream, dtype=torch.float64) + 2
    return values.to(dtype).contiguous(memory_format=layout).requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 3])
def test_it_is_torchs_in_any_layout(batch, layout):
    ours, theirs = maps(batch, 5, 7, 6, layout=layout), maps(batch, 5, 7, 6)
    weights = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    result, expected = instance_norm(ours), functional.instance_norm(theirs)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    assert result.is_contiguous(memory_format=layout)
    slope, right = (torch.autograd.grad((y * weights).sum(), x)[0] for y, x in ((result, ours), (expected, theirs)))
    torch.testing.assert_close(slope, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_both_orders_are_those_of_differences(layout):
    given = (maps(1, 3, 4, 3, layout=layout),)
    assert torch.autograd.gradcheck(instance_norm, given)
    assert torch.autograd.gradgradcheck(instance_norm, given)


def test_a_layer_after_it_may_work_in_place():
    ours, theirs = maps(2, 3, 4, 4), maps(2, 3, 4, 4)
    torch.relu_(instance_norm(ours)).square().sum().backward()
    torch.relu(functional.instance_norm(theirs)).square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-10)


def test_bfloat16_is_summed_in_float32():
    """Means of many numbers far from zero: summed in bfloat16 they would be off by far more than its last digit."""
    exact = maps(1, 4, 64, 64)
    short = (exact.detach() + 100).bfloat16().requires_grad_()
    expected = functional.instance_norm(short.detach().double())
    result = instance_norm(short)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.double(), expected, rtol=2**-8, atol=2**-8)
    (slope,) = torch.autograd.grad(result.float().square().sum(), short)
    assert slope.dtype == torch.bfloat16
    assert slope.isfinite().all()


def test_one_pixel_has_no_spread():
    with pytest.raises(ValueError, match="more than one pixel"):
        InstanceNorm2d(3)(torch.zeros(2, 3, 1, 1))
