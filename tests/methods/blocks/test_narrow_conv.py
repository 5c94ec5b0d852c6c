"""Convolution to few channels against torch's own, in float64."""

import pytest
import torch
from torch import nn

from cgbench.methods.blocks.narrow_conv import NarrowConv2d

LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "kernel", "outs"), [((2, 5, 14, 10), 7, 3), ((1, 4, 9, 13), 7, 3), ((1, 2, 8, 8), 3, 1)]
)
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_torchs(shape, kernel, outs, bias, layout):
    """Outputs of 8×4 and 6×6 pixels are computed in 2×2 blocks, those of 3×7 pixels are not."""
    torch.manual_seed(0)
    ours, theirs = (cls(shape[1], outs, kernel, bias=bias).double() for cls in (NarrowConv2d, nn.Conv2d))
    ours.load_state_dict(theirs.state_dict())
    maps = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    result, expected = ours(maps), theirs(maps)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(expected)
    gradients, expected_gradients = (
        torch.autograd.grad((out * weights).sum(), [maps, *layer.parameters()])
        for out, layer in ((result, ours), (expected, theirs))
    )
    for gradient, reference in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-11, atol=1e-11)


def test_it_computes_pixels_in_fours(monkeypatch):
    strides = []
    real = torch.nn.functional.conv2d
    monkeypatch.setattr(
        torch.nn.functional, "conv2d", lambda *args, **kw: strides.append(kw.get("stride")) or real(*args, **kw)
    )
    NarrowConv2d(2, 3, 7)(torch.zeros(1, 2, 10, 10))
    assert strides == [2]
