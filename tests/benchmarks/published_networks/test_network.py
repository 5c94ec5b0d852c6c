"""Published networks: their predictions against torchvision's own model called by hand, and their features."""

import numpy as np
import pytest
import torch
import torchvision
from torch.nn import functional
from torchvision.transforms import functional as transforms

from cgbench import DATASETS
from cgbench.benchmarks.evaluation.feature_extractors import scorer_features
from cgbench.benchmarks.evaluation.scorer import published_scorer
from cgbench.benchmarks.published_networks import network as published_networks
from cgbench.benchmarks.published_networks.description import ARCHITECTURES, Description
from cgbench.benchmarks.published_networks.network import PublishedNetwork, untrained_network
from helpers.published_network import CLASSES, DESCRIPTION, OUTPUTS, network, put


@pytest.fixture
def streets():
    return DATASETS.factory("streets")(None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def photos():
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (5, 6, 6, 3)).repeat(8, 1).repeat(8, 2)
    return (blocks + random.integers(-20, 20, blocks.shape)).clip(0, 255).astype(np.uint8)


def by_hand(photos, size=(32, 64)):
    """The outputs of torchvision's network for photos (N, S, S, 3), and its deepest features, averaged."""
    tensors = torch.stack([transforms.to_tensor(photo) for photo in photos])
    inputs = transforms.normalize(
        transforms.resize(tensors, list(size), antialias=True), DESCRIPTION["mean"], DESCRIPTION["std"]
    )
    with torch.inference_mode():
        outputs = functional.interpolate(network()(inputs)["out"], photos.shape[1:3], mode="bilinear")
        return outputs, network().backbone(inputs)["high"].mean((2, 3)).numpy()


def ids(names):
    return np.array([len(CLASSES) if name is None else CLASSES.index(name) for name in names])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_predictions_are_those_of_torchvisions_network_called_by_hand(suffix, folder, streets, photos):
    put(folder, suffix=suffix)
    scorer, (outputs, _) = published_scorer("tiny", streets), by_hand(photos)
    expected = ids(OUTPUTS)[outputs.argmax(1)]
    assert len(np.unique(expected)) > 4 and (expected == len(CLASSES)).any()
    assert (scorer.predict_or_reject(photos) == expected).all()
    named = [name is not None for name in OUTPUTS]
    assert (scorer.predict(photos) == ids(np.array(OUTPUTS)[named])[outputs[:, named].argmax(1)]).all()


def test_features_are_the_deepest_ones_of_the_backbone(folder, streets, photos):
    put(folder)
    features = scorer_features(published_scorer("tiny", streets))(photos)
    assert features.shape == (5, 960)
    np.testing.assert_allclose(features, by_hand(photos)[1], rtol=1e-4, atol=1e-5)


def test_a_photo_is_judged_alike_alone_and_in_company(folder, streets, photos, monkeypatch):
    put(folder)
    together = published_scorer("tiny", streets).predict(photos)
    monkeypatch.setattr(published_networks, "PIXELS_AT_ONCE", 1)
    assert (published_scorer("tiny", streets).predict(photos) == together).all()
    assert published_scorer("tiny", streets).predict(photos[:0]).shape == (0, 48, 48)


def test_a_network_whose_outputs_all_have_a_class_rejects_nothing(folder, streets, photos):
    put(folder, classes=[*CLASSES, *["car"] * 4])
    scorer = published_scorer("tiny", streets)
    assert (scorer.predict_or_reject(photos) == scorer.predict(photos)).all()
    probabilities = scorer.probabilities(photos)
    assert (probabilities[:, -1] == 0).all() and np.isfinite(probabilities).all()


def test_an_auxiliary_head_and_counters_change_nothing(folder, streets, photos):
    put(folder)
    expected = published_scorer("tiny", streets)
    weights = {name: it for name, it in network().state_dict().items() if not name.endswith("num_batches_tracked")}
    put(folder, "other", weights=weights | {"aux_classifier.4.weight": torch.full((3,), torch.nan)})
    assert (published_scorer("other", streets).predict(photos) == expected.predict(photos)).all()


def test_opening_a_network_uses_no_global_random_stream(folder, streets):
    put(folder)
    state = torch.get_rng_state()
    published_scorer("tiny", streets)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_has_classes_and_features(architecture):
    assert hasattr(torchvision.models.segmentation, architecture)
    fields = {**DESCRIPTION, "architecture": architecture, "input_size": (64, 64)}
    found = PublishedNetwork(untrained_network(architecture, 12), Description(**fields), ids(OUTPUTS), len(CLASSES))
    found, photos = found.to("meta").eval(), torch.empty(2, 3, 48, 48, device="meta")
    assert found(photos).shape == (2, len(CLASSES) + 1, 48, 48)
    channels = 960 if "mobilenet" in architecture else 2048
    assert found.features(photos).shape[:2] == (2, channels)


@pytest.mark.parametrize(
    "change", [{"classes": [*OUTPUTS[:-1], "pole"]}, {"mean": [0.4851, 0.456, 0.406]}, {"input_size": [64, 32]}]
)
def test_the_digest_is_of_the_weights_and_of_how_they_are_read_not_of_names(change, folder, streets):
    put(folder)
    digest = published_scorer("tiny", streets).digest
    put(folder, "same", ".safetensors", source="somewhere")
    put(folder, "other", **change)
    put(folder, "retrained", weights={**network().state_dict(), "classifier.low_classifier.bias": torch.zeros(12)})
    assert published_scorer("same", streets).digest == digest and len(digest) == 12
    assert len({digest, *(published_scorer(name, streets).digest for name in ("other", "retrained"))}) == 3
