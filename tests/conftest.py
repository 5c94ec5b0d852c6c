"""Tests compute tiny things: one thread is faster than two, and caches must not leave the test."""

import signal

import pytest
import torch

from cgbench.benchmarks.runtime.progress import NORMAL, console
from helpers.counting_dataset import eager, load

torch.set_num_threads(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with Ctrl-C ignored


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch, tmp_path_factory):
    """No test reads the user's data or cache."""
    monkeypatch.delenv("CGBENCH_DATA", raising=False)
    monkeypatch.setenv("CGBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _a_console_as_at_the_start(monkeypatch):
    """No test prints at the level of verbosity, or through the forwarder, of one before it."""
    monkeypatch.setattr(console, "verbosity", NORMAL)
    monkeypatch.setattr(console, "forwarder", None)


@pytest.fixture
def root(monkeypatch, tmp_path):
    """A cache of its own that keeps small sets too."""
    return eager(monkeypatch, tmp_path / "cache")


@pytest.fixture
def fresh(monkeypatch):
    """A set as it is without a cache."""

    def decoded(*arguments, **settings):
        with monkeypatch.context() as without:
            without.setenv("CGBENCH_CACHE_LIMIT", "0")
            return load(*arguments, **settings)

    return decoded
