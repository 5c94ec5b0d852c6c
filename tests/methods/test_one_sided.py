"""DistanceGAN, GcGAN and the feature loss: steps against hand-written losses, and their parts."""

import hashlib
from dataclasses import replace

import pytest
import torch

from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train_step
from cgbench.errors import CgbenchError, DataBroken
from cgbench.methods.blocks import features
from cgbench.methods.blocks.features import VggFeatures, feature_network
from cgbench.methods.blocks.model import Model
from cgbench.methods.distancegan import distancegan, distancegan_self, half_distances, pair_distances
from cgbench.methods.feature_loss import feature_loss_gan
from cgbench.methods.gcgan import gcgan, gcgan_vflip, quarter_back, quarter_turn
from helpers.step_equivalence import assert_step, square_to
from helpers.tiny_models import double_model, noise_batch, tiny_config, tiny_sampler


def gan_by_hand(nets, a, b, fake_a, fake_b):
    """Return the adversarial losses of the generators and of the discriminators (with their factor ½)."""
    generators = square_to(1, nets["D_b"](fake_b)) + square_to(1, nets["D_a"](fake_a))
    discriminators = square_to(1, nets["D_b"](b)) + square_to(0, nets["D_b"](fake_b.detach()))
    discriminators = discriminators + square_to(1, nets["D_a"](a)) + square_to(0, nets["D_a"](fake_a.detach()))
    return generators, 0.5 * discriminators


def distance_by_hand(nets, batch, distances):
    a, b = batch["real_a"], batch["real_b"]
    fake_b, fake_a = nets["G_ab"](a), nets["G_ba"](b)
    generators, discriminators = gan_by_hand(nets, a, b, fake_a, fake_b)
    config = tiny_config(batch_size=len(a))
    training = [noise_batch(config, step=step) for step in range(2)]  # the batches of double_model's precomputation
    mean, deviation = {}, {}
    for side in "ab":
        values = torch.tensor([d for images in training for d in distances(images[f"real_{side}"])])
        mean[side], deviation[side] = values.mean(), values.std(correction=0)

    def distance_loss(x, source, y, target):
        differences = [
            (u - mean[source]) / deviation[source] - (v - mean[target]) / deviation[target]
            for u, v in zip(distances(x), distances(y), strict=True)
        ]
        return sum(difference.abs() for difference in differences) / len(differences)

    generators = generators + distance_loss(a, "a", fake_b, "b") + distance_loss(b, "b", fake_a, "a")
    return {"generators": (generators, ("G_ab", "G_ba")), "discriminators": (discriminators, ("D_a", "D_b"))}


def pairs(images):
    return [(images[i] - images[j]).abs().mean() for i in range(len(images)) for j in range(i + 1, len(images))]


def halves(images):
    middle = images.shape[2] // 2
    return [(image[:, :middle] - image[:, middle:]).abs().mean() for image in images]


def gcgan_by_hand(nets, batch, transform, inverse):
    a, b = batch["real_a"], batch["real_b"]
    total, discriminators = 0, 0
    for x, y, network, side in ((a, b, nets["G_ab"], "b"), (b, a, nets["G_ba"], "a")):
        plain, transformed = network(x), network(transform(x))
        total = total + square_to(1, nets[f"D_{side}"](plain)) + square_to(1, nets[f"D_turned_{side}"](transformed))
        total = total + 20 * (plain - inverse(transformed).detach()).abs().mean()
        total = total + 20 * (transformed - transform(plain).detach()).abs().mean()
        total = total + 5 * (network(y) - y).abs().mean() + 5 * (network(transform(y)) - transform(y)).abs().mean()
        for name, real, fake in ((f"D_{side}", y, plain), (f"D_turned_{side}", transform(y), transformed)):
            discriminators = discriminators + square_to(1, nets[name](real)) + square_to(0, nets[name](fake.detach()))
    names = ("D_a", "D_b", "D_turned_a", "D_turned_b")
    return {"generators": (total, ("G_ab", "G_ba")), "discriminators": (0.5 * discriminators, names)}


def features_by_hand(nets, batch):
    a, b = batch["real_a"], batch["real_b"]
    fake_b, fake_a = nets["G_ab"](a), nets["G_ba"](b)
    generators, discriminators = gan_by_hand(nets, a, b, fake_a, fake_b)
    features_of = nets["features"].scorer.features
    for fake, source in ((fake_b, a), (fake_a, b)):
        generators = generators + 10 * (features_of(fake) - features_of(source)).abs().mean()
    return {"generators": (generators, ("G_ab", "G_ba")), "discriminators": (discriminators, ("D_a", "D_b"))}


BY_HAND = {
    distancegan: lambda nets, batch: distance_by_hand(nets, batch, pairs),
    distancegan_self: lambda nets, batch: distance_by_hand(nets, batch, halves),
    gcgan: lambda nets, batch: gcgan_by_hand(
        nets, batch, lambda x: x.transpose(2, 3).flip(3), lambda x: x.flip(3).transpose(2, 3)
    ),
    gcgan_vflip: lambda nets, batch: gcgan_by_hand(nets, batch, lambda x: x.flip(2), lambda x: x.flip(2)),
    feature_loss_gan: features_by_hand,
}


@pytest.mark.parametrize(("method", "by_hand"), BY_HAND.items(), ids=[method.__name__ for method in BY_HAND])
def test_a_step_has_the_gradients_of_the_formula(method, by_hand):
    assert_step(method(), by_hand, batch_size=3 if method is distancegan else 2)


def test_distances_of_a_batch():
    images = torch.zeros(3, 3, 4, 4)
    images[1], images[2, :, :2] = 0.5, 1.0  # the third is 1 in its upper half
    torch.testing.assert_close(pair_distances(images), torch.tensor([0.5, 0.5, 0.5]))
    torch.testing.assert_close(half_distances(images), torch.tensor([0.0, 0.0, 1.0]))


def test_statistics_come_from_one_epoch_of_training_batches_at_most(tmp_path):
    """6 images in batches of 2 are 3 batches with one pair each; they are the first three batches of the training."""
    config = tiny_config()
    sampler = tiny_sampler(config)
    model = Model(distancegan(), config, seed=0)
    model.precompute(sampler.batch, sampler.epoch)
    expected = torch.cat([pair_distances(sampler.batch(step)["real_a"]) for step in range(3)])
    assert torch.equal(model.precomputed["training_distances_a"], expected)


def test_training_without_statistics_is_refused():
    config = tiny_config()
    model = Model(distancegan(), config, seed=0)
    with pytest.raises(CgbenchError, match="measured on training images"):
        train_step(model, make_optimizers(model, config), noise_batch(config, torch.float32), 0, 1e-3)


def test_a_quarter_turn_is_clockwise_and_undone():
    image = torch.arange(4.0).view(1, 1, 2, 2)
    assert quarter_turn(image).flatten().tolist() == [2, 0, 3, 1]
    assert torch.equal(quarter_back(quarter_turn(image)), image)


def test_geometry_terms_hold_each_output_to_the_other_as_it_stands():
    """`geometry_b` trains G through the plain output alone: its target is a constant."""
    model = double_model(gcgan(), tiny_config())
    values = noise_batch(tiny_config())
    model.evaluate(values, ["fake_b", "back_fake_b", "fake_turned_b"])
    assert values["fake_b"].requires_grad
    assert not values["back_fake_b"].requires_grad and not values["fake_turned_b"].requires_grad


def test_vgg_has_the_published_size_and_reaches_relu4_2():
    with torch.device("meta"):
        network = VggFeatures()
        assert sum(weight.numel() for weight in network.parameters()) == 5_275_456
        assert network(torch.empty(2, 3, 64, 64)).shape == (2, 512, 28, 28)


def test_vgg_is_torchvisions():
    """Same keys, same layers: relu4_2 of torchvision's VGG-16 on images normalised as it expects."""
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    torch.manual_seed(0)
    theirs = models.vgg16(weights=None).features[:21].eval()
    ours = VggFeatures()
    ours.features.load_state_dict(theirs.state_dict())
    levels = torch.rand(1, 3, 224, 224)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = theirs((levels - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        torch.testing.assert_close(ours(levels * 2 - 1), expected, rtol=1e-4, atol=1e-5)


def test_feature_weights_must_be_here_and_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    config = tiny_config(features="vgg16")
    with pytest.raises(CgbenchError, match=r"vgg16-397923af\.pth .* CGBENCH_WEIGHTS"):
        feature_network(config, None)
    (tmp_path / "vgg16-397923af.pth").write_bytes(b"half a file")
    with pytest.raises(DataBroken, match="damaged"):
        feature_network(config, None)
    with pytest.raises(CgbenchError, match="no scorer"):
        feature_network(tiny_config(features="scorer"), None)


def test_weights_in_torchvisions_form_are_loaded(tmp_path, monkeypatch):
    """A file with torchvision's keys, including those of the classifier, from the folder of CGBENCH_WEIGHTS."""
    torch.manual_seed(1)
    trained = VggFeatures().state_dict()
    path = tmp_path / "vgg16-397923af.pth"
    torch.save({**trained, "classifier.0.weight": torch.zeros(2, 2)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(features, "VGG16", replace(features.VGG16, digest=digest))
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    config = tiny_config(features="vgg16")
    loaded = feature_network(config, None)
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in trained.items())
    model = Model(feature_loss_gan(), config, seed=0)
    losses = train_step(model, make_optimizers(model, config), noise_batch(config, torch.float32), 0, 1e-3)
    assert losses["features_a"] > 0 and not any(w.requires_grad for w in model.networks["features"].parameters())


def test_the_scorers_features_are_its_deepest_maps():
    scorer = build_network(classes=3, width=2).eval()
    network = feature_network(tiny_config(features="scorer"), scorer)
    deepest = []
    scorer.down[-1].register_forward_hook(lambda layer, inputs, output: deepest.append(output))
    images = torch.rand(2, 3, 16, 16)
    scorer(images)
    assert torch.equal(network(images), deepest[0])


def test_the_feature_network_stays_as_it_is_and_out_of_checkpoints():
    config = tiny_config()
    model = double_model(feature_loss_gan(), config)
    before = {name: value.clone() for name, value in model.networks["features"].state_dict().items()}
    train_step(model, make_optimizers(model, config), noise_batch(config), 0, 1e-3)
    after = model.networks["features"].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # including batch norm's statistics
    assert not any("features" in name for name in model.state())
