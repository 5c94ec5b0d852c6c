"""A method to start from: CycleGAN with a penalty on the total variation of its translations."""

from torch import Tensor

from cgbench import Method, Term
from cgbench.methods.cyclegan import cyclegan

# `cgbench show METHOD` prints what there is to change: the networks, the graph of named tensors
# (fake_b = G_ab(real_a)), and the terms of each player.


def total_variation(images: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbouring pixels of images (N, C, H, W) in [-1, 1], a scalar."""
    # A function of a term: tensors in, a scalar out. It must not wait for a number of the GPU (no `.item()`).
    horizontal = (images[..., 1:] - images[..., :-1]).abs().mean()
    vertical = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    return horizontal + vertical


def my_method() -> Method:  # function, first argument of `but` and entry point: one name
    """CycleGAN with smoother translations."""
    return cyclegan().but(
        "my_method",
        "CycleGAN with a total-variation penalty on both translations",  # one line, for `cgbench methods`
        source="where it was published",
        # A term: its name, its function, the tensors that it reads, its weight (`--set my_method.smooth_a=0.5`).
        # Added to a player by its name; `drop`, `weights` and `functions` change the terms that the parent has.
        add={
            "generators": [
                Term("smooth_a", total_variation, ("fake_a",), weight=0.1),
                Term("smooth_b", total_variation, ("fake_b",), weight=0.1),
            ]
        },
        # graph={"name": Compute(function, "fake_b")} declares a tensor, networks={"E": Network(build)} a network,
        # players=[Player(...)] one that has an optimizer of its own, defaults={"learning_rate": 1e-4} what differs.
    )
