"""The memory that a step needs at least: of rectangles, of other channels, and the line that refuses it."""

from types import SimpleNamespace

import pytest

from cgbench.benchmarks.execution import step_memory
from cgbench.benchmarks.trials.trial import resolve_one
from cgbench.errors import CgbenchError


def needed(size, *settings):
    sizes = [f"crop_size={size}", f"load_size={size}"]
    return step_memory.step_memory(resolve_one("cyclegan", "smoke", [*sizes, *settings]))


def test_a_rectangle_needs_what_lies_between_the_squares_of_its_sides():
    assert needed("32x64") == needed("64x32")
    assert needed("32") < needed("32x64") < needed("64")


def test_more_channels_need_more():
    assert needed("32", "channels_a=1") < needed("32") < needed("32", "channels_b=8")


def test_a_rectangle_that_does_not_fit_is_named_by_both_sides(monkeypatch):
    monkeypatch.setattr(step_memory, "machine", lambda device: SimpleNamespace(memory=100_000_000))
    sizes = ["crop_size=1024x2048", "load_size=1024x2048"]
    with pytest.raises(CgbenchError, match=r"crop_size=1024x2048\b.*make it smaller"):
        step_memory.ensure_step_fits(resolve_one("cyclegan", "smoke", sizes), "cpu")
