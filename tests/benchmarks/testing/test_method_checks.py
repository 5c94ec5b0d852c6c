"""Conformance of methods: a method that breaks one promise is refused with a line that names it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from cgbench import CgbenchError, Compute, Method, Reference
from cgbench.benchmarks.testing import method_checks
from cgbench.benchmarks.testing.conformance import check_method
from cgbench.methods.cyclegan import cyclegan

CALLS = itertools.count()


def refusal(check, *arguments, **settings):
    """Return the message that a check fails with, which must be one line."""
    with pytest.raises(AssertionError) as failure:
        check(*arguments, **settings)
    assert str(failure.value) and "\n" not in str(failure.value)
    return str(failure.value)


def broken(**changes):
    return cyclegan().but("broken", "breaks a promise", **changes)


def test_a_sound_method_passes_by_name_by_factory_and_as_a_value():
    def soft_cycle():
        return cyclegan().but("soft_cycle", "half the weight", weights={"cycle_a": 5})

    check_method(soft_cycle)
    check_method(soft_cycle(), ngf=6)
    check_method("copy")
    with pytest.raises(CgbenchError, match="did you mean 'copy'"):
        check_method("copi")


def test_what_is_no_method_is_refused():
    assert "is neither a Method" in refusal(check_method, 3)
    assert "returns int, not a Method" in refusal(check_method, lambda: 3)

    def one_name():
        return broken()

    assert "'one_name' calls itself 'broken'" in refusal(check_method, one_name)
    assert "needs a name and a summary" in refusal(check_method, replace(broken(), summary=""))


def test_a_loss_that_is_not_finite():
    method = broken(functions={"cycle_a": lambda *images: images[0].mean() / 0})
    assert "the term 'cycle_a' is" in refusal(method_checks.check_two_steps, method)


def test_a_network_that_does_not_move():
    method = broken(functions={name: lambda x, *_: 0 * x.mean() for name in ("adversarial_b", "cycle_a", "cycle_b")})
    assert "'G_ab' does not move" in refusal(method_checks.check_two_steps, method)


def test_a_term_without_a_gradient_where_it_is_declared():
    method = broken(functions={"cycle_a": lambda back, image: (back.detach() - image).abs().mean() + 0 * back.mean()})
    assert "the term 'cycle_a' trains [], and by its declaration ['G_ab', 'G_ba']" in refusal(
        method_checks.check_gradients, method
    )


def through(function):
    """CycleGAN whose output in the direction AtoB goes through `function`."""
    graph = {"output_b": Compute(function, "fake_b")}
    return broken(graph=graph, translates={"AtoB": "output_b", "BtoA": "fake_a"})


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda images: images * 3, "AtoB: the output leaves [-1, 1]"),
        (lambda images: images[:, :1], "AtoB: the output has the shape (2, 1, 16, 16), not (2, 3, 16, 16)"),
        (lambda images: images - images.mean(dim=0, keepdim=True), "depends on the other images of its batch"),
        (lambda images: images * torch.rand(()), "two translations of the same images differ"),
    ],
)
def test_an_output_that_is_no_function_of_one_image_in_range(function, message):
    assert message in refusal(method_checks.check_translation, through(function))


def test_a_method_that_translates_nowhere():
    assert "translates in no direction" in refusal(method_checks.check_translation, broken(translates={}))


class Forgetful(torch.nn.Module):
    """A generator with a random tensor that its state does not hold."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 3, 1)
        self.secret = torch.rand(1)

    def forward(self, images):
        return torch.tanh(self.layer(images) * self.secret)


def with_generator(build):
    generator = cyclegan().networks["G_ab"]
    return broken(networks={"G_ab": replace(generator, build=build)})


def test_state_that_is_not_saved():
    method = with_generator(lambda config: Forgetful())
    assert "after saving and loading" in refusal(method_checks.check_save_and_load, method)


def test_an_objective_with_the_wrong_sign():
    method = broken(functions={"cycle_a": lambda back, image: -(back - image).abs().mean() + 5 * image.abs().mean()})
    method = method.weighted({"cycle_a": 100})
    method_checks.check_descent(method)  # lower is lower, whatever it means
    climbing = broken(functions={name: Climb.apply_mean for name in ("cycle_a", "cycle_b")})
    message = refusal(method_checks.check_descent, climbing.weighted({"cycle_a": 100, "cycle_b": 100}))
    assert "does not lower its objective" in message


class Climb(torch.autograd.Function):
    """A distance whose gradient has the wrong sign."""

    @staticmethod
    def forward(context, back, image):
        context.save_for_backward(back - image)
        return (back - image).abs().mean()

    @staticmethod
    def backward(context, gradient):
        (difference,) = context.saved_tensors
        return -gradient * difference.sign() / difference.numel(), None

    @staticmethod
    def apply_mean(back, image):
        return Climb.apply(back, image)


def test_a_training_with_a_state_that_no_checkpoint_holds():
    method = broken(functions={"cycle_a": lambda back, image: (back - image).abs().mean() * (1 + next(CALLS))})
    assert "stopped and resumed" in refusal(method_checks.check_resumption, method)


def test_a_setting_that_is_not_read_and_not_declared():
    fixed = with_generator(lambda config: torch.nn.Conv2d(3, 3, 1))
    discriminator = replace(cyclegan().networks["D_b"], build=lambda config: torch.nn.Conv2d(3, 1, 1))
    others = {"G_ba": fixed.networks["G_ab"], "D_a": discriminator, "D_b": discriminator}
    method = fixed.but("broken", "fixed networks", networks=others)
    message = refusal(method_checks.check_ignored_settings, method)
    assert "do not read ['discriminator', 'generator', 'norm'], and `ignores` is []" in message
    method_checks.check_ignored_settings(replace(method, ignores=("generator", "discriminator", "norm")))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda sources, targets, rng: sources.astype(float), "must return uint8 (5, 16, 16, 3)"),
        (lambda sources, targets, rng: sources[:2], "must return uint8 (5, 16, 16, 3)"),
        (lambda sources, targets, rng: np.full_like(sources, next(CALLS)), "one seed gives two different outputs"),
        (lambda sources, targets, rng: sources.__iadd__(1) * 0, "changes its inputs"),
    ],
)
def test_an_untrained_row_that_is_not_a_pure_function(function, message):
    method = Method("broken", "breaks a promise", reference=Reference(function, "floor"))
    assert message in refusal(check_method, method)
