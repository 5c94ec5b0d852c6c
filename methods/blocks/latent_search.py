"""The search for a latent code (CoGAN, Liu and Tuzel 2016, as Zhu et al. 2017, §5.1, translate with it)."""

from collections.abc import Callable

import torch
from torch import Tensor

RATE = 0.1  # Adam's step size, in units of the code's unit variance; falls to zero along half a cosine


def nearest_code(render: Callable[[Tensor], Tensor], code: Tensor, target: Tensor, steps: int) -> Tensor:
    """Return the code (N, …) after `steps` steps of Adam from `code` that lower mean((render(code) - target)²).

    Each image has its own mean and Adam works on each number by itself, so no image's code depends on another's.
    The published text names neither optimizer nor budget; these are ours.
    """
    code = code.clone().requires_grad_()
    optimizer = torch.optim.Adam([code], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        with torch.enable_grad():
            loss = (render(code) - target).square().flatten(1).mean(dim=1).sum()
        (code.grad,) = torch.autograd.grad(loss, code)
        optimizer.step()
        schedule.step()
    return code.detach()
