"""The registries of methods, datasets, metrics and failures: built-in modules, then entry points of other packages."""

import importlib
import pkgutil
import threading
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from cgbench.api.dataset import Dataset, guarded
from cgbench.api.declarations import check_dataset, check_failure, check_method, check_metric
from cgbench.api.failure import Failure
from cgbench.api.method import Method
from cgbench.api.metric import Metric, Value
from cgbench.errors import CgbenchError, PluginError, did_you_mean, error_line


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
    factory itself. `check(component, others)` examines the declarations of the others when they are found; `guard(
    component, described)` returns one whose errors are those of its package.
    """

    loading: ClassVar[str] = ""  # the package whose entry point is being loaded, for all registries

    def __init__(
        self, kind: str, package: str, group: str = "", *, check: Callable[[T, Iterable[T]], None] | None = None,
        guard: Callable[[T, str], T] | None = None,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.package = package
        self.group = group or package  # of entry points
        self.broken: dict[str, str] = {}  # entry point or component -> why it cannot be used
        self.tracebacks: dict[str, str] = {}  # the same names -> where that was raised
        self.clashes: dict[str, str] = {}  # name -> which packages give it, and what to do
        self._check, self._guard = check, guard
        self._factories: dict[str, Callable[..., T]] = {}
        self._origins: dict[str, str] = {}
        self._packages: dict[str, str] = {}  # of the names that are not built in
        self._made: dict[str, T] = {}  # components of other packages that were made when they were found
        self._discovered = False
        self._lock = threading.RLock()

    def register(self, factory: Factory) -> Factory:
        """Register `factory` under its `name` attribute, else its `__name__`; a second one of that name raises.

        While a plugin is loaded it is refused instead, and kept in `broken`: what else its module registers is used.
        """
        name = getattr(factory, "name", None) or factory.__name__
        known = self._factories.get(name)
        built_in = self._is_built_in(factory.__module__)
        if known is not None and known.__module__ != factory.__module__:
            loading = self._packages.get(name, self.loading) if built_in else self.loading
            self._note_clash(name, known, factory, loading)
            if not built_in:
                if not loading:
                    raise CgbenchError(self.clashes[name])
                return factory
        self._factories[name] = factory
        self._origins[name] = factory.__module__
        self._packages.pop(name, None)
        if not built_in:
            self._packages[name] = self.loading or f"package {factory.__module__.partition('.')[0]}"
        return factory

    def _note_clash(self, name: str, known: Callable[..., T], factory: Callable[..., T], loading: str) -> None:
        """Record that two modules give one name. `loading` is the package of the one that is not built in, if known."""
        first, second = sorted((known, factory), key=lambda given: not self._is_built_in(given.__module__))
        package = f" ({loading})" if loading else ""
        remedy = f"uninstall {loading} or rename its {self.kind}" if loading else "rename one"
        modules = f"by {first.__module__} and by {second.__module__}{package}"
        self.clashes[name] = f"{self.kind} '{name}' is registered twice: {modules}: {remedy}"
        if loading:
            self.broken[name] = f"{self.clashes[name]}; the {self.kind} of {first.__module__} is meant where it is used"

    def _is_built_in(self, module: str) -> bool:
        return module.startswith(f"{self.package}.")

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
                self._load_plugin(point)
            sound = [name for name in self._factories if name not in self._packages]
            for name in list(self._packages):
                if self._is_sound(name, sound):
                    sound.append(name)

    def _load_plugin(self, point: EntryPoint) -> None:
        """Load an entry point and register what it gives; one that raises, whatever it is, is kept in `broken`."""
        before, outer = set(self._factories), Registry.loading
        package = f"package {point.dist.name} {point.dist.version}" if point.dist else f"package {point.module}"
        Registry.loading = package
        try:
            loaded = point.load()
            if callable(loaded) and not any(loaded is factory for factory in self._factories.values()):
                self.register(loaded)
            elif not callable(loaded) and not isinstance(loaded, ModuleType):
                raise CgbenchError(f"it is a {type(loaded).__name__}, not a function that returns a {self.kind}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # `sys.exit` as well: a broken plugin must not disable the command line
            self._refuse(point.name, f"{package} ({point.value})", error)
            for name in set(self._factories) - before:
                self._forget(name)
        finally:
            Registry.loading = outer

    def _is_sound(self, name: str, others: list[str]) -> bool:
        """Return whether a plugin's component can be made and declares what it must; else it is kept in `broken`."""
        try:
            made = self._factories[name]()
            if self._check is not None:
                self._check(made, (self.get(other) for other in others))
            self._ensure_name(name, made)
            if self._guard is None:  # what was examined is what is used: a factory may raise, or change, the next time
                self._made[name] = made
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            factory = getattr(self._factories[name], "__qualname__", name)
            self._refuse(name, f"{self._packages[name]} ({self._origins[name]}:{factory})", error)
            self._forget(name)
            return False
        return True

    def _refuse(self, name: str, where: str, error: BaseException) -> None:
        key = f"{name}, {where}" if name in self.broken else name
        self.broken[key] = f"{where}: {error_line(error)}"
        self.tracebacks[key] = "".join(traceback.format_exception(error))

    def _forget(self, name: str) -> None:
        for known in (self._factories, self._origins, self._packages, self._made):
            known.pop(name, None)

    def names(self) -> list[str]:
        """Return all names: built-in ones in the order of their files, then those of plugins."""
        self.discover()
        return list(self._factories)

    def factory(self, name: str) -> Callable[..., T]:
        """Return the factory called `name`; an unknown name raises and offers the nearest one."""
        self.discover()
        if name not in self._factories:
            if name in self.broken:
                raise CgbenchError(f"{self.kind} '{name}' cannot be used: {self.broken[name]}")
            broken = "; ".join(f"plugin {key} failed to load ({why})" for key, why in self.broken.items())
            raise CgbenchError(
                f"unknown {self.kind} '{name}': {did_you_mean(name, list(self._factories))}"
                + (f" [{broken}]" if broken else "")
            )
        return partial(self._made_by_plugin, name) if name in self._packages else self._factories[name]

    def chosen(self, name: str) -> Callable[..., T]:
        """Return the factory of a name that the user gave; one that two packages give raises."""
        factory = self.factory(name)
        if name in self.clashes:
            raise CgbenchError(self.clashes[name])
        return factory

    def _made_by_plugin(self, name: str, *arguments: Any) -> T:
        """Return a component of another package; what its factory raises becomes `PluginError`."""
        if not arguments and name in self._made:
            return self._made[name]
        try:
            made = self._factories[name](*arguments)
        except CgbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(f"{self.described(name)}: {error_line(error)}") from error
        return self._guard(made, self.described(name)) if self._guard is not None else made

    def get(self, name: str) -> T:
        """Return a component from its factory, of another package's the one that was examined; one whose name is not
        that of its factory raises."""
        made = self.factory(name)()
        self._ensure_name(name, made)
        return made

    def _ensure_name(self, name: str, made: T) -> None:
        if made.name != name:
            raise CgbenchError(f"{self.kind} '{name}' calls itself '{made.name}': give function and value one name")

    def origin(self, name: str) -> str:
        """Return the module that registered `name`."""
        self.factory(name)
        return self._origins[name]

    def described(self, name: str) -> str:
        """Return "method 'cut'", and for a component of another package "method 'mine' of package theirs 1.0"."""
        package = self._packages.get(name)
        return f"{self.kind} '{name}'" + (f" of {package}" if package else "")

    def package_of(self, name: str) -> str:
        """Return the package that a component is from, "package theirs 1.0"; "" for a built-in one."""
        return self._packages.get(name, "")


METHODS: Registry[Method] = Registry("method", "cgbench.methods", check=check_method)
DATASETS: Registry[Dataset] = Registry("dataset", "cgbench.datasets", check=check_dataset, guard=guarded)
METRICS: Registry[Metric] = Registry(
    "metric", "cgbench.benchmarks.metrics", group="cgbench.metrics", check=check_metric
)
FAILURES: Registry[Failure] = Registry(
    "failure", "cgbench.benchmarks.failures", group="cgbench.failures", check=check_failure
)


def metric_values() -> dict[str, Value]:
    """Return the declarations of all numbers that metrics give, by name, in the order of tables."""
    metrics = sorted(map(METRICS.get, METRICS.names()), key=lambda metric: metric.rank)
    return {value.name: value for metric in metrics for value in metric.values}
