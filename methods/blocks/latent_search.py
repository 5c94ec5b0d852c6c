"""Latent search: the code whose rendering is nearest to an image (Liu and Tuzel 2016; Zhu et al. 2017, §5.1)."""

from collections.abc import Callable

import torch
from torch import Tensor

LEARNING_RATE = 0.1  # of Adam, in units of the code's unit variance; annealed to zero along half a cosine


def nearest_code(render: Callable[[Tensor], Tensor], code: Tensor, target: Tensor, steps: int) -> Tensor:
    """Return the code (N, …) after `steps` steps of Adam from `code` that lower mean((render(code) - target)²).

    Each image has its own mean and Adam is elementwise, so no image's code depends on another's. The paper names
    neither optimizer nor budget; these are our choice.
    """
    code = code.clone().requires_grad_()
    optimizer = torch.optim.Adam([code], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        with torch.enable_grad():
            loss = (render(code) - target).square().flatten(1).mean(dim=1).sum()
        (code.grad,) = torch.autograd.grad(loss, code)
        optimizer.step()
        schedule.step()
    return code.detach()
