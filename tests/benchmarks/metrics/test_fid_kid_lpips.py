"""FID, KID and LPIPS of translations; LPIPS and Inception with random weights."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from cgbench import METRICS, Translations
from cgbench.api.registry import metric_values
from cgbench.benchmarks.evaluation import feature_extractors
from cgbench.benchmarks.evaluation.feature_extractors import INCEPTION, open_feature_extractors
from cgbench.benchmarks.evaluation.memoize import Memoized
from cgbench.benchmarks.metrics.functional.feature_distances import (
    kernel_error,
)
from cgbench.errors import DataBroken
from cgbench.pretrained_weights import Weights, checked_digest
from cgbench.reports.sections.caveats import caveats
from cgbench.results.records import COLUMNS, not_measured
from helpers.plain_distances import plain_frechet


def test_features_are_computed_once_for_the_same_content():
    calls = []
    memoized = Memoized(lambda images: calls.append(1) or images.mean(axis=(1, 2)))
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    assert (memoized(images) == memoized(images.copy())).all()
    assert len(calls) == 1
    memoized(images + 1)
    assert len(calls) == 2
    for value in range(2, 2 + memoized.count):
        memoized(images + np.uint8(value))
    memoized(images)
    assert len(calls) == 3 + memoized.count
    assert len(memoized.results) == memoized.count


class Inner(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))] * 341 + [x[:, :2, 0, 0]], dim=1)


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = Inner()

    def forward(self, x):
        return self.layers(x)


def test_inception_gets_what_clean_fid_gives_it(tmp_path, monkeypatch):
    features_of = pytest.importorskip("cleanfid.features", exc_type=ImportError)
    resize = pytest.importorskip("cleanfid.resize", exc_type=ImportError)
    torch.jit.script(Outer()).save(str(tmp_path / INCEPTION.name))
    ours = replace(INCEPTION, digest=hashlib.sha256((tmp_path / INCEPTION.name).read_bytes()).hexdigest())
    monkeypatch.setattr(feature_extractors, "INCEPTION", ours)
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    extractors = open_feature_extractors("cpu")
    assert extractors.digests["inception"] == ours.digest[:12]
    photos = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    network = features_of.InceptionV3W(str(tmp_path), download=False)
    inputs = np.stack([resize.make_resizer("PIL", False, "bicubic", (299, 299))(photo) for photo in photos])
    theirs = network(torch.from_numpy(inputs.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(extractors.inception(photos), theirs.numpy(), atol=1e-5)
    assert extractors.inception(photos).shape == (3, 2048)


def test_lpips_takes_its_trunk_from_the_file(tmp_path, monkeypatch):
    lpips = pytest.importorskip("lpips", exc_type=ImportError)
    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    trunk = {f"features.{name.partition('.')[2]}": value for name, value in network.net.state_dict().items()}
    path = tmp_path / "alexnet.pth"
    torch.save(trunk, path)
    weights = Weights(path.name, hashlib.sha256(path.read_bytes()).hexdigest()[:8], "nowhere")
    monkeypatch.setattr(feature_extractors, "ALEXNET", weights)
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    distance = open_feature_extractors("cpu").lpips
    first, second = np.random.default_rng(0).integers(0, 256, (2, 2, 64, 64, 3), dtype=np.uint8)
    pair = [torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255 for x in (first, second)]
    theirs = network(*pair, normalize=True).flatten().detach()
    np.testing.assert_allclose(distance(first, second), theirs, rtol=1e-4)
    assert (distance(first, first) == 0).all()


def test_a_damaged_file_is_named_and_not_used(tmp_path, monkeypatch):
    (tmp_path / feature_extractors.ALEXNET.name).write_bytes(b"no weights")
    (tmp_path / INCEPTION.name).write_bytes(b"no weights")
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    extractors = open_feature_extractors("cpu")
    assert extractors.inception is None and extractors.lpips is None and not extractors.digests
    assert "damaged" in extractors.absent["lpips"]
    assert "damaged: its SHA-256 does not begin with f58cb9b6" in extractors.absent["inception"]
    with pytest.raises(DataBroken, match="7be5be79"):
        checked_digest(tmp_path / feature_extractors.ALEXNET.name, feature_extractors.ALEXNET)


def test_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection"))
    extractors = open_feature_extractors("cpu")
    assert set(extractors.absent) == {"inception", "lpips"}
    assert "inception-2015-12-05.pt" in extractors.absent["inception"]
    assert "7be5be79" in extractors.absent["lpips"]


def some_translations(**more):
    outputs, targets = np.random.default_rng(0).integers(0, 256, (2, 5, 16, 16, 3), dtype=np.uint8)
    common = {"direction": "AtoB", "keys": tuple("abcde"), "sources": targets, "outputs": outputs}
    return Translations(**common, target_kind="photo", targets=targets, **more)


def test_both_distances_look_through_their_own_network():
    def means(images):
        return images.reshape(len(images), -1, 3).mean(axis=1)

    def spreads(images):
        return images.reshape(len(images), -1, 3).std(axis=1)

    t = some_translations(scorer_features=means, inception=spreads)
    scorer, inception = (METRICS.get(f"{name}_distance").compute(t) for name in ("scorer", "inception"))
    assert scorer.values["scorer_fid"] == pytest.approx(plain_frechet(means(t.outputs), means(t.targets)))
    assert inception.values["fid"] == pytest.approx(plain_frechet(spreads(t.outputs), spreads(t.targets)))
    assert inception.details["fid/real_images"] == 5 and inception.details["fid/features"] == 3
    assert "fid/training_photos" not in inception.details
    expected = kernel_error(means(t.outputs), means(t.targets), np.random.default_rng(0))
    assert scorer.errors == {"scorer_kid": pytest.approx(expected)} and expected > 0
    assert METRICS.get("scorer_distance").not_applicable(replace(t, scorer_features=None))
    assert METRICS.get("scorer_distance").not_applicable(replace(t, target_kind="labels"))


def test_rows_of_real_images_compare_training_photos_and_never_a_set_with_itself():
    def means(images):
        return images.reshape(len(images), -1, 3).mean(axis=1)

    photos = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    t = some_translations(scorer_features=means, real_outputs=True)
    real = replace(t, outputs=t.targets, training_photos=photos)
    scores = METRICS.get("scorer_distance").compute(real)
    assert scores.values["scorer_fid"] == pytest.approx(plain_frechet(means(photos), means(t.targets)))
    assert scores.values["scorer_fid"] > 1
    assert scores.details["scorer_kid/training_photos"] == 4 and not scores.reasons
    for absent in (None, photos[:1]):
        scores = METRICS.get("scorer_distance").compute(replace(real, training_photos=absent))
        assert all(np.isnan(value) for value in scores.values.values())
        assert "two training photos" in scores.reasons["scorer_fid"] and not scores.details


def test_scenes_have_contributions_where_outputs_and_targets_show_the_same_ones():
    t = some_translations(scorer_features=lambda images: images.reshape(len(images), -1, 3).mean(axis=1), paired=True)
    metric = METRICS.get("scorer_distance")
    scores = metric.compute(t)
    assert list(scores.per_image) == ["scorer_kid"] and scores.per_image["scorer_kid"].shape == (5,)
    assert scores.per_image["scorer_kid"].mean() == pytest.approx(scores.values["scorer_kid"])
    unpaired, few = replace(t, paired=False), {"outputs": t.outputs[:2], "targets": t.targets[:2], "keys": ("a", "b")}
    for other in (unpaired, replace(t, **few), replace(t, real_outputs=True, training_photos=t.outputs)):
        assert not metric.compute(other).per_image


def test_diversity_and_identity_by_hand():
    t = some_translations()
    outputs = t.outputs.astype(float)
    shifted = [np.abs(outputs - np.roll(outputs, k, axis=0)).mean() / 255 for k in range(1, 5)]
    assert METRICS.get("output_diversity").compute(t).values["output_diversity"] == pytest.approx(np.mean(shifted))
    collapsed = replace(t, outputs=np.repeat(t.outputs[:1], 5, axis=0))
    assert METRICS.get("output_diversity").compute(collapsed).values["output_diversity"] == 0
    identity = METRICS.get("identity")
    assert identity.not_applicable(t)
    value = identity.compute(replace(t, identities=t.outputs)).values["identity_l1"]
    assert value == pytest.approx(np.abs(outputs - t.targets).mean() / 255)


def records(*rows):
    empty = dict.fromkeys(COLUMNS, "") | {"split": "test", "direction": "AtoB", "n": 6}
    empty |= {"value": np.nan, "error_images": np.nan}
    return pd.DataFrame([{**empty, **row} for row in rows], columns=COLUMNS)


def test_what_nobody_measured_is_said_once_with_its_reason():
    why = "weights absent: needs x.pt"
    table = records(
        {"metric": "fid", "reason": why}, {"metric": "kid", "reason": why},
        {"metric": "ssim", "value": 0.4}, {"metric": "psnr", "reason": "failed: ValueError"},
        {"metric": "psnr", "value": 3.0},
    )  # fmt: skip
    assert not_measured(table) == {("AtoB", "fid"): why, ("AtoB", "kid"): why}
    assert caveats(table, metric_values()) == ["Not measured: FID, KID: weights absent: needs x.pt."]


def test_the_size_of_the_sets_and_the_error_are_said():
    rows = [
        {"metric": "kid", "value": 0.1, "error_images": 0.0123},
        {"metric": "kid", "value": 0.1, "error_images": 0.0045},
        *sizes("kid", 9, 2048),
        *sizes("fid", 9, 2048),
    ]
    (text,) = caveats(records(*rows), metric_values())
    assert text.startswith("FID, KID (AtoB): 6 translated and 9 real images. Fewer than the 2,048 features")
    assert "Standard error of KID over images: 0.0123 at most" in text and "training photos" not in text


def sizes(name, real, width, **more):
    return [
        {"metric": f"{name}/real_images", "value": real} | more,
        {"metric": f"{name}/features", "value": width} | more,
    ]


@pytest.mark.parametrize(("images", "few"), [(127, True), (128, False), (2047, False)])
def test_the_warning_of_few_images_belongs_to_the_number_of_features(images, few):
    rows = records(*sizes("fid", images, 2048, n=images), *sizes("scorer_fid", images, 128, n=images))
    inception, scorer = caveats(rows, metric_values())
    assert "Fewer than the 2,048 features" in inception
    assert ("Fewer than the 128 features" in scorer) == few


def test_what_rows_of_real_images_compare_is_said():
    floor = [{"metric": "fid/training_photos", "value": 5, "method": name} for name in ("shuffled", "real")]
    (text,) = caveats(records(*sizes("fid", 6, 4), *floor), metric_values())
    assert "For shuffled and real, which show the real images: 5 training photos against these (the fewer" in text
    enough = [row | {"value": 6} for row in floor[1:]]
    (text,) = caveats(records(*sizes("fid", 6, 4), *enough), metric_values())
    assert "For real, which show the real images: 6 training photos against these." in text
