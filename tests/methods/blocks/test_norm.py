"""Instance norm against torch's own in float64, in both memory formats, with gradients of first and second order."""

import pytest
import torch
from torch.nn import functional

from cgbench.methods.blocks.norm import LARGE_IMAGE, InstanceNorm2d, _PerImageInstanceNorm, instance_norm

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
    gradient, expected_gradient = (
        torch.autograd.grad((y * weights).sum(), x)[0] for y, x in ((result, ours), (expected, theirs))
    )
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_both_orders_are_those_of_differences(layout):
    inputs = (maps(1, 3, 4, 3, layout=layout),)
    assert torch.autograd.gradcheck(instance_norm, inputs)
    assert torch.autograd.gradgradcheck(instance_norm, inputs)


def test_a_layer_after_it_may_work_in_place():
    ours, theirs = maps(2, 3, 4, 4), maps(2, 3, 4, 4)
    torch.relu_(instance_norm(ours)).square().sum().backward()
    torch.relu(functional.instance_norm(theirs)).square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("side", [64, 192])
def test_bfloat16_is_summed_in_float32(batch, layout, side):
    """Means of many numbers far from zero: summed or kept in bfloat16 they would be off by far more than its digits.
    Maps of 64 pixels are normalised as one batch, those of 192 image by image."""
    assert 4 * 64**2 < LARGE_IMAGE < 4 * 192**2
    exact = maps(batch, 4, side, side, layout=layout)
    short = (exact.detach() + 100).bfloat16().requires_grad_()
    double = short.detach().double().contiguous().requires_grad_()
    weights = torch.randn(double.shape, generator=torch.Generator().manual_seed(6)).bfloat16()
    result, expected = instance_norm(short), functional.instance_norm(double)
    (gradient,) = torch.autograd.grad(result, short, weights.contiguous(memory_format=layout))
    (expected_gradient,) = torch.autograd.grad(expected, double, weights)
    pairs = ((result, expected, 2**-10), (gradient, expected_gradient, 2**-7))
    for actual, reference, atol in pairs:
        assert actual.dtype == torch.bfloat16 and actual.is_contiguous(memory_format=layout)
        torch.testing.assert_close(actual.double(), reference, rtol=2**-8, atol=atol)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 3])
def test_the_norm_of_a_gpu_is_the_same(batch, layout):
    """A GPU uses the per-image implementation; here it runs on a CPU."""
    ours, theirs = maps(batch, 5, 7, 6, layout=layout), maps(batch, 5, 7, 6)
    weights = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    result, expected = _PerImageInstanceNorm.apply(ours), functional.instance_norm(theirs)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    gradient, expected_gradient = (
        torch.autograd.grad((y * weights).sum(), x)[0] for y, x in ((result, ours), (expected, theirs))
    )
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-11, atol=1e-11)
    assert torch.autograd.gradgradcheck(_PerImageInstanceNorm.apply, (maps(2, 3, 4, 3, layout=layout),))


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2**-7)])
def test_on_a_gpu_it_is_torchs_in_float64(dtype, tolerance, layout):
    ours = maps(2, 64, 32, 32, layout=layout).detach().to("cuda", dtype).requires_grad_()
    theirs = ours.detach().double().cpu().contiguous().requires_grad_()
    weights = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(6)).to(dtype)
    result, expected = instance_norm(ours), functional.instance_norm(theirs)
    gradient = torch.autograd.grad(result, ours, weights.cuda())[0]
    expected_gradient = torch.autograd.grad(expected, theirs, weights.double())[0]
    torch.testing.assert_close(result.double().cpu(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(gradient.double().cpu(), expected_gradient, rtol=tolerance, atol=tolerance)


def test_one_pixel_has_no_spread():
    with pytest.raises(ValueError, match="more than one pixel"):
        InstanceNorm2d(3)(torch.zeros(2, 3, 1, 1))
