"""Where methods, datasets, metrics and failures are found: our own folders, then entry points of other packages."""

import importlib
import pkgutil
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from cgbench.errors import CgbenchError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to factories. `register` is a decorator for a function or class that makes the thing when called.

    Built-in things live one per file in `package`; others come through the entry-point group of the same name
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

    def register(self, factory: Callable[..., T]) -> Callable[..., T]:
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
            found = pkgutil.iter_modules(importlib.import_module(self.package).__path__)
            # sub-packages hold building blocks, which may import torch
            modules = [f"{self.package}.{module.name}" for module in found if not module.ispkg]
            for module in modules:
                importlib.import_module(module)
            # one that was imported before by somebody else would come first, in this process and not in the next
            ranks = {module: rank for rank, module in enumerate(modules)}
            by_file = sorted(self._factories, key=lambda name: ranks.get(self._origins[name], len(ranks)))
            self._factories = {name: self._factories[name] for name in by_file}
            for point in entry_points(group=self.group):
                before = set(self._factories)
                try:
                    found = point.load()
                    if callable(found) and found not in self._factories.values():
                        self.register(found)
                    for name in set(self._factories) - before:
                        self.get(name)
                except Exception as error:  # a stranger's package must not take the whole command line down
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
        """Return a fresh one, made by calling the factory; one that goes by another name than its factory raises."""
        made = self.factory(name)()
        if made.name != name:
            raise CgbenchError(f"{self.kind} '{name}' calls itself '{made.name}': give function and value one name")
        return made

    def origin(self, name: str) -> str:
        """Return the module that registered `name`."""
        self.factory(name)
        return self._origins[name]


METHODS: Registry = Registry("method", "cgbench.methods")
DATASETS: Registry = Registry("dataset", "cgbench.datasets")
METRICS: Registry = Registry("metric", "cgbench.benchmarks.metrics", group="cgbench.metrics")
FAILURES: Registry = Registry("failure", "cgbench.benchmarks.failures", group="cgbench.failures")
