"""Declarations: deriving variants, what is live, and the waves of evaluation."""

import importlib
import subprocess
import sys
from functools import partial

import pytest

from cgbench.api.graph_analysis import live, untrained, waves
from cgbench.api.graph_nodes import Apply, Compute, Network
from cgbench.api.method import Method, Player, Term
from cgbench.api.method_description import describe, trained_part
from cgbench.api.registry import METHODS, Registry
from cgbench.errors import CgbenchError
from cgbench.methods.cyclegan import cycle_only, cyclegan, cyclegan_bce, cyclegan_identity, gan_forward_cycle, gan_only
from cgbench.methods.functional.losses import bce_generator, l1

TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]


def live_terms(method):
    return {term.name: term.weight for player in live(method).players for term in player.terms}


def test_the_full_objective_has_the_published_weights():
    assert live_terms(cyclegan()) == {
        "adversarial_a": 1, "adversarial_b": 1, "cycle_a": 10, "cycle_b": 10,
        "discriminate_a": 0.5, "discriminate_b": 0.5,
    }  # fmt: skip
    assert live_terms(cyclegan_identity()) == live_terms(cyclegan()) | {"identity_a": 5, "identity_b": 5}


def test_forward_cycle_keeps_the_cycle_that_begins_at_a():
    assert set(live_terms(gan_forward_cycle())) == set(live_terms(cyclegan())) - {"cycle_b"}


def test_cycle_only_trains_no_discriminator():
    alive = live(cycle_only())
    assert alive.networks == ("G_ab", "G_ba")
    assert [player.name for player in alive.players] == ["generators"]


def test_tensors_that_no_term_needs_are_not_computed():
    assert "same_a" not in live(cyclegan()).gradients
    assert "cycle_a" not in live(gan_only()).gradients


def test_a_weight_of_zero_is_a_dropped_term():
    assert live(cyclegan().but("x", weights={"cycle_a": 0, "cycle_b": 0})).gradients == live(gan_only()).gradients


def test_a_variant_records_its_parent_and_what_changed():
    variant = cyclegan_bce()
    assert variant.parent == "cyclegan"
    assert "adversarial_a: lsgan_generator → bce_generator" in variant.changes
    assert {term.function for term in variant.terms if term.name.startswith("adversarial")} == {bce_generator}


@pytest.mark.parametrize(
    "change",
    [
        {"drop": ["cycle_c"]},
        {"weights": {"cycle": 1.0}},
        {"functions": {"identity_a": l1}},
        {"add": {"generator": (Term("x", l1, ("real_a", "real_b")),)}},
        {"add": {"generators": (Term("x", l1, ("real_a", "fake_c")),)}},
        {"add": {"generators": (Term("cycle_a", l1, ("real_a", "real_b")),)}},
    ],
)
def test_an_unknown_name_raises(change):
    with pytest.raises(CgbenchError, match=r"cyclegan|'x'"):
        cyclegan().but("x", **change)


def test_the_error_offers_the_nearest_name():
    with pytest.raises(CgbenchError, match="did you mean 'cycle_a'"):
        cyclegan().but("x", drop=["cycle_A"])


def test_a_graph_with_a_circle_raises():
    with pytest.raises(CgbenchError, match="depend on each other"):
        Method("round", "x", networks={"G": Network(object)}, graph={"p": Apply("G", "q"), "q": Apply("G", "p")})


def test_two_players_cannot_own_one_network():
    players = (Player("p", ("G",), ()), Player("q", ("G",), ()))
    with pytest.raises(CgbenchError, match="two players own"):
        Method("shared", "x", networks={"G": Network(object)}, players=players)


def test_applications_of_one_network_meet_in_one_wave():
    method = cyclegan_identity()
    generators = waves(method, ["cycle_a", "cycle_b", "same_a", "same_b", "verdict_fake_b"], {"real_a", "real_b"})
    assert generators[0] == ["fake_b", "fake_a"]
    assert set(generators[1]) == {"cycle_a", "cycle_b", "same_a", "same_b", "verdict_fake_b"}
    judges = waves(method, ["verdict_real_b", "verdict_pool_b"], {"real_b", "fake_b"})
    assert judges == [["pool_b"], ["verdict_real_b", "verdict_pool_b"]]


def test_nothing_behind_a_known_tensor_is_computed_again():
    assert waves(cyclegan(), ["cycle_a"], {"real_a", "fake_b"}) == [["cycle_a"]]


def test_no_gradient_is_recorded_behind_a_detached_tensor():
    still = cyclegan().but(
        "still",
        graph={"still_b": Compute(lambda x: x, "fake_b", detached=True), "back": Apply("G_ba", "still_b")},
        drop=["cycle_a", "cycle_b", "adversarial_a", "adversarial_b"],
        add={"generators": (Term("back", l1, ("back", "real_a")),)},
    )
    assert live(still).gradients["back"] == {"G_ba"}
    assert live(still).gradients["fake_b"] == frozenset()


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_says_what_it_is(name):
    method = METHODS.get(name)
    assert method.name == name and method.summary and method.source and method.directions


def test_a_partial_function_has_a_name_that_lasts():
    variant = cyclegan().but("x", functions={"cycle_a": partial(l1, y=bce_generator)})
    assert variant.changes == ("cycle_a: l1 → l1(y=bce_generator)",)


def test_an_edited_function_of_a_plugin_makes_another_method(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    identities = []
    for factor in (1, 2):
        (tmp_path / f"mine{factor}.py").write_text(f"def soft(x, y):\n    return (x - y).abs().mean() * {factor}\n")
        soft = importlib.import_module(f"mine{factor}").soft
        identities.append(trained_part(describe(cyclegan().but("x", functions={"cycle_a": soft}))))
    assert identities[0]["terms"] == identities[1]["terms"] and identities[0] != identities[1]
    assert describe(cyclegan())["code"] == {}


def test_weights_that_leave_a_translating_network_untrained_are_found():
    assert untrained(cyclegan()) == {}
    assert untrained(gan_only().weighted({"adversarial_a": 0})) == {"BtoA": "G_ba"}


def test_a_registered_thing_goes_by_its_own_name():
    registry = Registry("method", "cgbench.methods")
    registry.discover()
    registry.register(_third)
    with pytest.raises(CgbenchError, match="'third' calls itself 'half'"):
        registry.get("third")


def test_the_order_of_names_does_not_depend_on_what_was_imported_first():
    """Digests of what trials are measured with go by this order, and must be the same in the next process."""
    code = "import cgbench.datasets.streets; from cgbench.api.registry import DATASETS; print(*DATASETS.names())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.split() == ["camvid", "cityscapes", "folder", "phantoms", "streets", "volumes"], result.stderr


def _third():
    return cyclegan().but("half")


_third.name = "third"
