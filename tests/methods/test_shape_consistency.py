"""CycleGAN with shape consistency: a step against hand-written losses, labels in batches, role in tables."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from cgbench.benchmarks.data.batches import BatchSampler, ImageSet, crops
from cgbench.benchmarks.execution.run_context import open_run_context
from cgbench.benchmarks.trials.trial import resolve_trials
from cgbench.datasets.folder import Folder
from cgbench.datasets.streets import Streets
from cgbench.errors import CgbenchError
from cgbench.methods.cyclegan import cyclegan
from cgbench.methods.shape import cross_entropy, cyclegan_shape
from helpers.step_equivalence import assert_step, square_to
from helpers.tiny_models import tiny_config


def entropy(logits, labels):
    """Return the mean of -log softmax at the true class over the labelled pixels, pixel by pixel."""
    losses = []
    for image, ids in zip(logits, labels, strict=True):
        for row, column in (ids != 255).nonzero():
            scores = image[:, row, column]
            losses.append(scores.logsumexp(0) - scores[ids[row, column]])
    return sum(losses) / len(losses)


def by_hand(nets, batch):
    a, b = batch["real_a"], batch["real_b"]
    fake_b, fake_a = nets["G_ab"](a), nets["G_ba"](b)
    generators = square_to(1, nets["D_b"](fake_b)) + square_to(1, nets["D_a"](fake_a))
    generators = (
        generators + 10 * (nets["G_ba"](fake_b) - a).abs().mean() + 10 * (nets["G_ab"](fake_a) - b).abs().mean()
    )
    generators = generators + entropy(nets["S_b"](fake_b), batch["labels_a"])
    generators = generators + entropy(nets["S_a"](fake_a), batch["labels_b"])
    discriminators = square_to(1, nets["D_b"](b)) + square_to(0, nets["D_b"](fake_b.detach()))
    discriminators = discriminators + square_to(1, nets["D_a"](a)) + square_to(0, nets["D_a"](fake_a.detach()))
    segmentors = entropy(nets["S_a"](a), batch["labels_a"]) + entropy(nets["S_b"](b), batch["labels_b"])
    segmentors = segmentors + entropy(nets["S_a"](fake_a.detach()), batch["labels_b"])
    segmentors = segmentors + entropy(nets["S_b"](fake_b.detach()), batch["labels_a"])
    return {
        "generators": (generators, ("G_ab", "G_ba")),
        "discriminators": (0.5 * discriminators, ("D_a", "D_b")),
        "segmentors": (segmentors, ("S_a", "S_b")),
    }


def test_a_step_has_the_gradients_of_the_formula():
    assert_step(cyclegan_shape(), by_hand)


def test_equal_logits_cost_the_logarithm_of_the_classes():
    labels = torch.tensor([[[0, 2], [255, 1]]])
    assert cross_entropy(torch.zeros(1, 3, 2, 2), labels).item() == pytest.approx(math.log(3))
    assert cross_entropy(torch.zeros(1, 3, 2, 2), torch.full((1, 2, 2), 255)).item() == 0


def test_labels_are_cropped_and_mirrored_with_their_image():
    config = tiny_config(batch_size=4)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 256, (6, 20, 20), dtype=np.uint8)
    images = np.repeat(ids[..., None], 3, axis=3)
    labelled = ImageSet(tuple("abcdef"), images, ids)
    batch = BatchSampler(labelled, labelled, config, seed=0).batch(3)
    assert crops(0, "a", 3, config)[1].any()  # some are mirrored
    for side in "ab":
        levels = ((batch[f"real_{side}"][:, 0] + 1) * 127.5).round().long()
        assert torch.equal(levels, batch[f"labels_{side}"])


def test_batches_have_labels_only_where_both_sets_have_them():
    images = np.zeros((6, 20, 20, 3), np.uint8)
    plain = ImageSet(tuple("abcdef"), images)
    assert set(BatchSampler(plain, plain, tiny_config(), seed=0).batch(0)) == {"real_a", "real_b"}


def test_only_methods_that_read_labels_are_given_them(tmp_path):
    dataset = Streets()
    trials = resolve_trials(["cyclegan", "cyclegan_shape"], dataset, [0], "smoke")
    context = open_run_context(tmp_path, dataset, trials, "cpu")
    for trial in trials[-2:]:
        batch = BatchSampler(*context.prepare(trial).images, trial.config, seed=0).batch(0)
        assert ("labels_a" in batch) == (trial.method.name == "cyclegan_shape")
    alone = open_run_context(tmp_path, dataset, trials[-2:-1], "cpu")
    # the other trials of a run do not change a trial's fingerprint
    assert alone.prepare(trials[-2]).fingerprint == context.prepare(trials[-2]).fingerprint


def test_a_dataset_without_labels_is_refused(tmp_path):
    for side in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / side).mkdir()
        Image.new("RGB", (16, 16)).save(tmp_path / side / "one.png")
    with pytest.raises(CgbenchError, match="cyclegan_shape: needs class labels"):
        resolve_trials(["cyclegan_shape"], Folder(tmp_path), [0], "smoke")
    left_out = {}
    trials = resolve_trials(["cyclegan", "cyclegan_shape"], Folder(tmp_path), [0], "smoke", left_out=left_out)
    assert "cyclegan" in [trial.method.name for trial in trials] and list(left_out) == ["cyclegan_shape"]


def test_a_method_that_reads_labels_is_supervised_in_tables():
    assert cyclegan_shape().role == "supervised" and cyclegan().role == ""
