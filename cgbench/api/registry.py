"""The registries of methods, datasets, metrics and failures: built-in modules, then entry points of other packages."""

import importlib
import pkgutil
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Generic, Protocol, TypeVar

from cgbench.api.dataset import Dataset
from cgbench.api.failure import Failure
from cgbench.api.method import Method
from cgbench.api.metric import Metric, Value
from cgbench.errors import CgbenchError, did_you_mean


class Named(Protocol):
    """What is registered has a name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)
Factory = TypeVar("Factory", bound=Callable[..., Any])


class Registry(Generic[T]):
    """A mapping of names to factories. `register` is a decorator for a function or class that returns the component.

    Built-in components are one per file in `package`; others come through the entry-point group of the same name
    (`cgbench.methods`, `cgbench.datasets`, `cgbench.metrics`, `cgbench.failures`): a module that registers, or the
    factory itself.
    """

    def __init__(self, kind: str, package: str, group: str = "") -> None:
        self.kind = kind
        self.package = package
        self.group = group or package  # of entry points
        self.broken: dict[str, str] = {}  # entry point -> why it could not be loaded
        self._factories: dict[str, Callable[..., T]] = {}
        self._origins: dict[str, str] = {}
        self._discovered = False
        self._lock = threading.RLock()

    def register(self, factory: Factory) -> Factory:
        """Register `factory` under its `name` attribute, else its `__name__`; a second one of that name raises."""
        name = getattr(factory, "name", None) or factory.__name__
        known = self._factories.get(name)
        if known is not None and known.__module__ != factory.__module__:
            raise CgbenchError(
                f"{self.kind} '{name}' is registered twice: by {known.__module__} and by {factory.__module__}"
            )
        self._factories[name] = factory
        self._origins[name] = factory.__module__
        return factory

    def discover(self) -> None:
        """Import the built-in modules and the entry points, once. A broken plugin is kept in `broken`, not raised."""
        with self._lock:
            if self._discovered:
                return
            self._discovered = True
            members = pkgutil.iter_modules(importlib.import_module(self.package).__path__)
            # sub-packages hold building blocks, which may import torch
            modules = [f"{self.package}.{member.name}" for member in members if not member.ispkg]
            for module in modules:
                importlib.import_module(module)
            # one that was imported earlier would come first, in this process and not in the next
            ranks = {module: rank for rank, module in enumerate(modules)}
            by_file = sorted(self._factories, key=lambda name: ranks.get(self._origins[name], len(ranks)))
            self._factories = {name: self._factories[name] for name in by_file}
            for point in entry_points(group=self.group):
                before = set(self._factories)
                try:
                    loaded = point.load()
                    if callable(loaded) and loaded not in self._factories.values():
                        self.register(loaded)
                    for name in set(self._factories) - before:
                        self.get(name)
                except Exception as error:  # a broken plugin must not disable the command line
                    self.broken[point.name] = f"{point.value}: {type(error).__name__}: {error}"
                    for name in set(self._factories) - before:
                        del self._factories[name]

    def names(self) -> list[str]:
        """Return all names: built-in ones in the order of their files, then those of plugins."""
        self.discover()
        return list(self._factories)

    def factory(self, name: str) -> Callable[..., T]:
        """Return the factory called `name`; an unknown name raises and offers the nearest one."""
        self.discover()
        if name not in self._factories:
            broken = "; ".join(f"plugin {key} failed to load ({why})" for key, why in self.broken.items())
            raise CgbenchError(
                f"unknown {self.kind} '{name}': {did_you_mean(name, list(self._factories))}"
                + (f" [{broken}]" if broken else "")
            )
        return self._factories[name]

    def get(self, name: str) -> T:
        """Return a new component from its factory; one whose name is not that of its factory raises."""
        made = self.factory(name)()
        if made.name != name:
            raise CgbenchError(f"{self.kind} '{name}' calls itself '{made.name}': give function and value one name")
        return made

    def origin(self, name: str) -> str:
        """Return the module that registered `name`."""
        self.factory(name)
        return self._origins[name]


METHODS: Registry[Method] = Registry("method", "cgbench.methods")
DATASETS: Registry[Dataset] = Registry("dataset", "cgbench.datasets")
METRICS: Registry[Metric] = Registry("metric", "cgbench.benchmarks.metrics", group="cgbench.metrics")
FAILURES: Registry[Failure] = Registry("failure", "cgbench.benchmarks.failures", group="cgbench.failures")


def metric_values() -> dict[str, Value]:
    """Return the declarations of all numbers that metrics give, by name, in the order of tables."""
    metrics = sorted(map(METRICS.get, METRICS.names()), key=lambda metric: metric.rank)
    return {value.name: value for metric in metrics for value in metric.values}
