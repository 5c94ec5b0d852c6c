"""Failure detectors: planted failures are detected as themselves and as nothing else, healthy outputs as none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench import FAILURES
from cgbench.api.names import FailureState
from cgbench.benchmarks.evaluation import failure_detection
from cgbench.benchmarks.evaluation.failure_detection import detect_failures
from cgbench.benchmarks.evaluation.memoize import Memoized
from cgbench.benchmarks.failures import ood
from cgbench.benchmarks.failures.hidden import blurred, quantised
from cgbench.benchmarks.metrics.functional.image_distances import (
    correlation,
    distances,
    downsampled,
    nearest_neighbour_distance,
)
from helpers.cli import cgbench
from helpers.toy_scenes import (
    BUILDING,
    CAR,
    COUNT,
    ROAD,
    SKY,
    VEGETATION,
    blended,
    noisy,
    replaced_class,
    swapped_classes,
    toy_translations,
    with_changed_scenes,
    with_hidden_signal,
)

DIRECTIONS = ("AtoB", "BtoA")


@pytest.fixture(autouse=True)
def _allow_small_sets(monkeypatch, request):
    if "chance" not in request.node.name:
        monkeypatch.setattr(ood, "MIN_SCENES", 20)


def states(translations):
    return {name: entry["state"] for name, entry in detect_failures(translations).items()}


def found_failures(translations):
    """Return the names of the failures that are found and not explained by others."""
    return {name for name, state in states(translations).items() if state == FailureState.FOUND}


def outputs(translations, images):
    return replace(translations, outputs=images.astype(np.uint8))


def with_blob(maps):
    """Add a car in the sky of every scene, as large as the real one."""
    maps[:, 1:8, 3:14] = CAR
    return maps


def not_finite(translations):
    flags = np.arange(COUNT) >= COUNT // 4
    return replace(outputs(translations, np.where(flags[:, None, None, None], translations.outputs, 0)), finite=flags)


def worse_ood(translations, share=1.0):
    """Replace the outputs of a share of the out-of-distribution scenes by those of other scenes."""
    ood_split = translations.ood
    count = round(share * len(ood_split.keys))
    changed = ood_split.outputs.copy()
    changed[:count] = np.roll(ood_split.outputs, 1, axis=0)[:count]
    return replace(translations, ood=replace(ood_split, outputs=changed))


PLANTED = {
    "copy": lambda t: outputs(t, t.sources),
    "copy, nearly": lambda t: blended(t, t.sources, t.targets, 0.2),
    "collapse": lambda t: outputs(t, t.targets[np.zeros(COUNT, int)]),
    "collapse, with noise": lambda t: outputs(t, noisy(t.targets[np.zeros(COUNT, int)], 8)),
    "collapse onto four": lambda t: outputs(t, t.targets[np.arange(COUNT) % 4]),
    "inversion": lambda t: outputs(t, 255 - t.targets),
    "inversion, with noise": lambda t: outputs(t, noisy(255 - t.targets, 40)),
    "permutation": lambda t: with_changed_scenes(t, swapped_classes(VEGETATION, BUILDING)),
    "permutation of others": lambda t: with_changed_scenes(t, swapped_classes(SKY, BUILDING)),
    "lost": lambda t: with_changed_scenes(t, replaced_class(VEGETATION, SKY)),
    "lost car": lambda t: with_changed_scenes(t, replaced_class(CAR, ROAD)),
    "invented": lambda t: with_changed_scenes(t, with_blob),
    "hidden": lambda t: with_hidden_signal(t, 2),
    "broken": lambda t: outputs(t, np.full_like(t.targets, 90)),
    "broken, not finite": not_finite,
    "ood": worse_ood,
}
HEALTHY = {
    "the truth": lambda t: t,
    "brighter": lambda t: outputs(t, np.clip(t.targets * 1.15 + 8, 0, 255)),
    "darker": lambda t: outputs(t, t.targets * 0.9),
    "with noise": lambda t: outputs(t, noisy(t.targets, 6)),
    "halfway": lambda t: blended(t, t.sources, t.targets, 0.9),
    "less contrast": lambda t: blended(t, np.full_like(t.targets, 110), t.targets, 0.85),
}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_failure_is_labelled_as_itself_and_as_nothing_else(case, direction):
    assert found_failures(PLANTED[case](toy_translations(direction))) == {case.partition(",")[0].split()[0]}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", HEALTHY)
def test_healthy_outputs_are_not_labelled(case, direction):
    translations = HEALTHY[case](toy_translations(direction))
    back = replace(translations, way_back=lambda numbers, images: translations.sources[numbers])
    assert set(states(back).values()) == {FailureState.NOT_FOUND}


@pytest.mark.parametrize("case", ["copy", "collapse", "inversion"])
def test_unpaired_images_are_judged_too(case):
    assert found_failures(PLANTED[case](toy_translations(paired=False, ood=False))) == {case}
    assert not found_failures(toy_translations(paired=False, ood=False))


# Position of the thresholds: planted cases of several strengths, and whether they are detected.
STRENGTHS = [
    ("copy", [(0.0, True), (0.1, True), (0.2, True), (0.3, False), (0.5, False), (1.0, False)],
     lambda t, share: blended(t, t.sources, t.targets, share)),
    ("collapse", [(1, True), (4, True), (12, True), (COUNT, False)],
     lambda t, modes: outputs(t, t.targets[np.arange(COUNT) % modes])),
    ("collapse", [(0.0, True), (0.15, True), (0.4, False), (0.7, False)],
     lambda t, share: blended(t, np.broadcast_to(t.targets.mean(0), t.targets.shape), t.targets, share)),
    ("inversion", [(0.0, True), (0.3, True), (0.7, False), (1.0, False)],
     lambda t, share: blended(t, 255 - t.targets, t.targets, share)),
    ("permutation", [(0.0, False), (0.2, False), (0.6, True), (1.0, True)],
     lambda t, share: with_changed_scenes(t, swapped_classes(VEGETATION, BUILDING), share)),
    ("lost", [(0.0, False), (0.15, False), (0.4, True), (1.0, True)],
     lambda t, share: with_changed_scenes(t, replaced_class(CAR, ROAD), share)),
    ("invented", [(0.0, False), (0.15, False), (0.4, True), (1.0, True)],
     lambda t, share: with_changed_scenes(t, with_blob, share)),
    ("hidden", [(0, False), (1, True), (2, True), (3, True)], with_hidden_signal),
    ("ood", [(0.0, False), (0.1, False), (0.3, True), (1.0, True)], worse_ood),
]  # fmt: skip


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("name", "steps", "plant"), STRENGTHS, ids=lambda value: value if type(value) is str else "")
def test_weak_cases_are_not_labelled_and_strong_ones_are(name, steps, plant, direction):
    assert [
        (strength, name in found_failures(plant(toy_translations(direction), strength))) for strength, _ in steps
    ] == steps


def test_the_pair_that_changed_places_is_named():
    detail = detect_failures(PLANTED["permutation"](toy_translations()))["permutation"]["detail"]
    assert detail == "building → vegetation in 100 % of its pixels, vegetation → building in 100 % of its pixels"


def test_a_class_that_swallows_others_has_not_changed_places():
    swallowed = with_changed_scenes(
        toy_translations(),
        lambda maps: replaced_class(CAR, ROAD)(replaced_class(BUILDING, ROAD)(replaced_class(VEGETATION, ROAD)(maps))),
    )
    assert states(swallowed)["permutation"] == FailureState.NOT_FOUND and "lost" in found_failures(swallowed)


def test_what_one_failure_brings_with_it_is_not_counted_again():
    entry = detect_failures(PLANTED["permutation"](toy_translations("BtoA")))["lost"]
    assert entry["state"] == FailureState.EXPLAINED and entry["explained_by"] == ["permutation"]


def test_the_scorers_own_mistakes_are_not_the_methods():
    translations = toy_translations(ood=False)
    # a scorer that recognises no cars
    blind = replace(translations, scorer=lambda photos: replaced_class(CAR, ROAD)(translations.scorer(photos)))
    assert not found_failures(blind)


def test_near_duplicates_among_the_inputs_may_have_outputs_as_alike():
    translations = toy_translations(ood=False)
    twice = np.repeat(np.arange(COUNT // 2), 2)
    film = replace(
        translations, sources=noisy(translations.sources[twice], 1), targets=noisy(translations.targets[twice], 1)
    )
    assert "collapse" not in found_failures(
        replace(film, outputs=film.targets, labels=translations.labels[twice], target_labels=None)
    )


def test_images_are_flagged_by_their_key():
    translations = toy_translations()
    half = np.where((np.arange(COUNT) < 15)[:, None, None, None], translations.sources, translations.targets)
    entry = detect_failures(outputs(translations, half))["copy"]
    assert entry["flagged"] == list(translations.keys[:15]) and entry["rate"] == 0.625 and entry["images"] == COUNT


def test_what_is_no_image_is_judged_by_nothing_else():
    entries = detect_failures(PLANTED["broken"](replace(toy_translations(), way_back=lambda numbers, images: images)))
    assert entries["broken"]["flagged"] == list(toy_translations().keys)
    assert {entries[name]["state"] for name in ("copy", "collapse", "lost", "hidden")} == {FailureState.NOT_APPLICABLE}


def test_a_detector_that_breaks_is_said_and_costs_nothing_else(monkeypatch, capsys):
    def broken(translations):
        raise ZeroDivisionError("no")

    changed = [
        replace(item, detect=broken) if item.name == "collapse" else item
        for item in failure_detection.declared_failures()
    ]
    monkeypatch.setattr(failure_detection, "declared_failures", lambda: changed)
    entries = detect_failures(PLANTED["copy"](toy_translations()))
    assert entries["collapse"]["state"] == FailureState.FAILED and entries["copy"]["state"] == FailureState.FOUND
    assert "detector 'collapse' failed: ZeroDivisionError" in capsys.readouterr().out


def test_the_failures_are_listed():
    text = cgbench("failures")
    assert "copy       " in text and "[≤ 0.25, or stricter, in 50%]" in text and "[≤ 1, fixed, in 1%]" in text
    assert "at most 5% of its real images" in text and "less than 80% of these" in text
    controls = [line for line in text.splitlines() if line.startswith("  ")]
    assert len(controls) == 6 and "  lost         real images of other scenes" in controls


def test_every_failure_says_how_it_is_told():
    for failure in failure_detection.declared_failures():
        assert failure.name == FAILURES.get(failure.name).name
        assert len(failure.justified) > 40 and failure.summary and failure.evidence_definition
        assert 0 < failure.share <= 1


def test_without_labels_or_ood_scenes_nothing_is_claimed():
    bare = replace(toy_translations(ood=False), labels=None, target_labels=None, scorer=None)
    entries = detect_failures(bare)
    assert [name for name, entry in entries.items() if entry["state"] == FailureState.NOT_APPLICABLE] == [
        "permutation", "lost", "invented", "hidden", "ood",
    ]  # fmt: skip
    assert entries["ood"]["reason"] == "needs translations of a split 'ood'"


@settings(max_examples=12, deadline=None)
@given(st.permutations(range(COUNT)), st.sampled_from(["copy", "lost", "permutation", "collapse onto four"]))
def test_the_order_of_the_images_does_not_matter(order, case):
    order = list(order)
    translations = PLANTED[case](toy_translations(ood=False))
    fields = ("sources", "outputs", "targets", "labels", "target_labels")
    reordered = replace(
        translations,
        keys=tuple(translations.keys[index] for index in order),
        **{name: getattr(translations, name)[order] for name in fields},
    )
    for name, entry in detect_failures(reordered).items():
        plain = detect_failures(translations)[name]
        assert entry["state"] == plain["state"] and sorted(entry.get("flagged", ())) == plain.get("flagged", [])


@given(st.lists(st.floats(-5, 5) | st.just(float("nan")), min_size=1), st.floats(-5, 5), st.booleans())
def test_an_image_shows_a_failure_exactly_beyond_the_threshold(evidence, threshold, above):
    failure = replace(FAILURES.get("copy"), threshold=threshold, above=above)
    expected = [value >= threshold if above else value <= threshold for value in evidence]  # False for NaN
    assert failure.shows(np.array(evidence)).tolist() == expected


def test_few_ood_scenes_say_nothing(monkeypatch):
    monkeypatch.setattr(ood, "MIN_SCENES", COUNT + 1)
    assert states(worse_ood(toy_translations()))["ood"] == FailureState.NOT_APPLICABLE


def test_a_fifth_of_ood_scenes_is_not_chance():
    # If both kinds of scenes are alike, all orders are equally likely. Evidence of 0.05 or less means a rank below the
    # 6th test scene of 100; 12 or more of 60 there: at most 5 test scenes among the lowest 17.
    from scipy.stats import hypergeom

    assert FAILURES.get("ood").share * 60 == 12 and ood.MIN_SCENES == 50
    assert 1 / hypergeom.cdf(5, 160, 100, 17) == pytest.approx(267, abs=1)
    assert 1 / hypergeom.cdf(2, 100, 50, 12) == pytest.approx(72, abs=1)


def test_disturbances_are_slight():
    images = toy_translations().targets
    assert np.abs(quantised(images).astype(int) - images).max() <= 4 and len(np.unique(quantised(images))) <= 32
    flat = np.full((1, 8, 8, 3), 77, np.uint8)
    assert (blurred(flat) == flat).all()
    point = np.zeros((1, 9, 9, 3), np.uint8)
    point[0, 4, 4] = 250
    weight = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 0.7**2))
    assert blurred(point)[0, 4, 4, 0] == round(250 * (1 / weight.sum()) ** 2)


def test_distances_and_correlation_by_hand():
    images = np.stack([np.full((16, 16, 3), level, np.uint8) for level in (0, 51, 255)])
    assert downsampled(images).shape == (3, 192)
    assert np.allclose(distances(downsampled(images), downsampled(images))[0], [0, 0.2, 1])
    assert np.allclose(nearest_neighbour_distance(images), [0.2, 0.2, 0.8])
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 256, (2, 4, 8, 8, 3))
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    assert np.allclose(correlation(first, second), expected)
    assert np.isnan(correlation(images, images)).all()


def test_the_same_images_are_recognised_once():
    calls = []
    memoized = Memoized(lambda images: calls.append(len(images)) or images[..., 0], count=2)
    first, second, third = (np.zeros((size, 2, 2, 3), np.uint8) for size in (1, 2, 3))
    for images in (first, first, second, first, third, first, second):
        memoized(images)
    assert calls == [1, 2, 3, 2]
