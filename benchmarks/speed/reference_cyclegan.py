"""CycleGAN's training step written by hand, without a graph, as `cycle_gan_model.py` of the public code is.

It validates the general reference step: both must give the same numbers and take the same time.
"""

import random

from torch import Tensor, nn

from cgbench.benchmarks.speed.reference_step import ReferencePool, reference_adam, set_requires_grad
from cgbench.config import TrialConfig
from cgbench.methods.blocks.model import Model

CYCLE, IDENTITY = 10.0, 0.5  # λ of both cycles; the identity's share of it
HAND_WRITTEN = {"cyclegan": False, "cyclegan_identity": True}  # method → whether it has the identity terms


class HandWrittenCycleGan:
    """CycleGAN with two generators and two discriminators, least squares and a pool, with or without identity.

    The networks are those of `model`, under our names: `G_ab` is the public code's G_A, and `D_b` its D_A.
    """

    def __init__(self, model: Model, config: TrialConfig, identity: bool) -> None:
        self.g_ab, self.g_ba, self.d_a, self.d_b = (model.networks[name] for name in ("G_ab", "G_ba", "D_a", "D_b"))
        self.identity = identity
        self.pool_a, self.pool_b = (ReferencePool(config.pool_size, random.Random(0)) for _ in "ab")
        self.mse, self.l1 = nn.MSELoss(), nn.L1Loss()
        parameter = next(self.g_ab.parameters())
        self.real, self.fake = parameter.new_tensor(1.0), parameter.new_tensor(0.0)
        self.optimizer_g = reference_adam([self.g_ab, self.g_ba], config)
        self.optimizer_d = reference_adam([self.d_a, self.d_b], config)

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Update generators, then discriminators; return the losses under cgbench's names, on the device."""
        real_a, real_b = batch["real_a"], batch["real_b"]
        fake_b = self.g_ab(real_a)
        cycle_a = self.g_ba(fake_b)
        fake_a = self.g_ba(real_b)
        cycle_b = self.g_ab(fake_a)

        set_requires_grad([self.d_a, self.d_b], False)
        self.optimizer_g.zero_grad()
        losses = {
            "adversarial_b": self._gan_loss(self.d_b(fake_b), self.real),
            "adversarial_a": self._gan_loss(self.d_a(fake_a), self.real),
            "cycle_a": self.l1(cycle_a, real_a),
            "cycle_b": self.l1(cycle_b, real_b),
        }
        total = losses["adversarial_a"] + losses["adversarial_b"] + CYCLE * (losses["cycle_a"] + losses["cycle_b"])
        if self.identity:
            losses["identity_b"] = self.l1(self.g_ab(real_b), real_b)
            losses["identity_a"] = self.l1(self.g_ba(real_a), real_a)
            total = total + CYCLE * IDENTITY * (losses["identity_a"] + losses["identity_b"])
        total.backward()
        self.optimizer_g.step()

        set_requires_grad([self.d_a, self.d_b], True)
        self.optimizer_d.zero_grad()
        losses["discriminate_b"] = self._discriminator_loss(self.d_b, real_b, self.pool_b.query(fake_b))
        losses["discriminate_a"] = self._discriminator_loss(self.d_a, real_a, self.pool_a.query(fake_a))
        self.optimizer_d.step()
        return {name: value.detach() for name, value in losses.items()}

    def _discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Accumulate the gradients of half the sum of both losses, and return the sum."""
        loss = self._gan_loss(discriminator(real), self.real) + self._gan_loss(discriminator(fake.detach()), self.fake)
        (loss * 0.5).backward()
        return loss

    def _gan_loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the mean square error against a target that is expanded to the prediction's shape."""
        return self.mse(prediction, target.expand_as(prediction))
