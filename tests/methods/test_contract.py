"""Conformance of every built-in method: the checks that plug-ins call too, one test for each."""

import pytest

from cgbench.api.registry import METHODS
from cgbench.benchmarks.testing import method_checks

TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]
UNTRAINED = [name for name in METHODS.names() if name not in TRAINED]


@pytest.mark.parametrize("name", TRAINED)
def test_two_steps_are_finite_and_move_every_live_network(name):
    method_checks.check_two_steps(METHODS.get(name))


@pytest.mark.parametrize("name", TRAINED)
def test_each_term_reaches_exactly_the_networks_it_should(name):
    method_checks.check_gradients(METHODS.get(name))


@pytest.mark.parametrize("name", TRAINED)
def test_translations_keep_shape_and_range(name):
    method_checks.check_translation(METHODS.get(name))


@pytest.mark.parametrize("name", TRAINED)
def test_saving_and_loading_is_the_identity(name):
    method_checks.check_save_and_load(METHODS.get(name))


@pytest.mark.parametrize("name", TRAINED)
def test_each_player_lowers_its_own_objective_on_a_handful_of_images(name):
    method_checks.check_descent(METHODS.get(name))


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_that_was_stopped_ends_with_the_same_bits(name):
    method_checks.check_resumption(METHODS.get(name))


@pytest.mark.parametrize("name", TRAINED)
def test_a_method_says_which_settings_of_networks_it_has_no_use_for(name):
    method_checks.check_ignored_settings(METHODS.get(name))


@pytest.mark.parametrize("name", UNTRAINED)
def test_an_untrained_row_is_a_pure_function_of_images_and_a_random_stream(name):
    method_checks.check_method(name)
