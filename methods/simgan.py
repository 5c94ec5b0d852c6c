"""SimGAN (Shrivastava et al. 2017, arXiv 1612.07828) in the form of the CycleGAN paper's comparison.

One-sided: each direction is a separate model with a self-regularisation term instead of a cycle. Both directions are
trained in one trial and share nothing.

In the public code the generator's step reuses the discriminator's verdict on the fake out of the pool. That is taken
for a slip: here the generator is judged on its own fake.
"""

from cgbench.api.method import Method, Term
from cgbench.api.registry import METHODS
from cgbench.methods.cyclegan import cyclegan
from cgbench.methods.functional.losses import l1


@METHODS.register
def simgan() -> Method:
    """Return the adversarial term + λ‖x − G(x)‖₁ with λ = 10, CycleGAN's networks, LSGAN and a pool of 50 images."""
    near_input = [
        Term("self_a", l1, ("fake_a", "real_b"), weight=10.0),
        Term("self_b", l1, ("fake_b", "real_a"), weight=10.0),
    ]
    return cyclegan().but(
        "simgan",
        "adversarial term and L1 to the input, one model per direction",
        source="Shrivastava et al. 2017, arXiv 1612.07828, equation 4; as in Zhu et al. 2017, §5.1",
        drop=["cycle_a", "cycle_b"],
        add={"generators": near_input},
        reconstructs={},
    )
