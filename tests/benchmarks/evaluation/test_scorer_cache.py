"""The cache of scorers: trained once per content and settings, and mended where it is broken."""

from dataclasses import replace

import numpy as np
import pytest

from cgbench.benchmarks.evaluation.scorer import Scorer, ScorerEnsemble
from cgbench.benchmarks.evaluation.scorer_cache import cached_scorers
from cgbench.benchmarks.runtime.cache_dir import cache_folder
from cgbench.digests import content_digest
from helpers.scorer_photos import QUICK, scenes, scorer_data


def test_the_cache_trains_once_per_content_and_settings(tmp_path):
    photos, labels = scenes(6)
    steps = []

    def get(photos=photos, labels=labels, classes=3, config=QUICK):
        steps.clear()
        scorers = cached_scorers(
            tmp_path, scorer_data(photos, labels), classes, config, progress=lambda *step: steps.append(step)
        )
        return scorers, list(steps)

    first, trained_steps = get()
    assert trained_steps == [(1, 2), (2, 2)]
    cached, no_steps = get()
    assert no_steps == [] and cached.digest == first.digest
    changed = labels.copy()
    changed[0, 0, 0] = (changed[0, 0, 0] + 1) % 3
    assert get(labels=changed)[1]
    assert get(photos=photos[::-1], labels=labels[::-1])[1]
    assert get(classes=4)[1]
    for name, value in (("scorer_steps", 3), ("scorer_batch", 4), ("scorer_width", 5)):
        assert get(config=replace(QUICK, **{name: value}))[1], name
    assert not get(config=replace(QUICK, learning_rate=1.0))[1], "the methods' settings do not matter"
    assert len(list(tmp_path.iterdir())) == 7


def test_a_broken_cache_file_is_trained_again_and_mended(tmp_path, capsys):
    photos, labels = scenes(6)
    first = cached_scorers(tmp_path, scorer_data(photos, labels), 3, QUICK)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    retrained = cached_scorers(tmp_path, scorer_data(photos, labels), 3, QUICK)
    assert "not a readable scorer" in capsys.readouterr().out
    assert retrained.first.digest == first.first.digest == Scorer.load(path).digest


def test_a_cache_that_cannot_be_written_costs_a_warning_only(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert cached_scorers(blocked / "cache", scorer_data(*scenes(6)), 3, QUICK).first.info["steps"] == 2
    assert "cannot be written (Not a directory): the scorer will be trained again" in capsys.readouterr().out


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CGBENCH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("CGBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "cgbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "cgbench"


def test_the_content_digest_sees_shape_type_and_values():
    array = np.arange(6, dtype=np.uint8)
    variants = [array, array.reshape(2, 3), array.astype(np.int16), array[::-1], array + 1]
    assert len({content_digest(item) for item in variants}) == 5
    assert content_digest(array[::-1]) == content_digest(array[::-1].copy())


def test_scorers_differ_in_their_streams_alone(tmp_path):
    photos, labels = scenes(12)
    three = cached_scorers(tmp_path, scorer_data(photos, labels), 3, replace(QUICK, scorers=3))
    assert len({member.digest for member in three.members}) == 3
    one = cached_scorers(tmp_path, scorer_data(photos, labels), 3, QUICK)
    assert one.first.digest == three.first.digest and one.digest != three.digest
    record = three.record()
    assert record["scorers"] == 3 and len(record["scorer_recipe"].split()) == 3
    values = [member.info["held_out_accuracy"] for member in three.members]
    assert record["scorer_held_out_accuracy"] == pytest.approx(np.mean(values), abs=1e-4)
    assert ScorerEnsemble(three.members[:1]).digest == one.digest
