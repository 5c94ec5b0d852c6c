"""The declaration of a method: networks, a graph of named tensors, named terms and players. A value without loops::

    real_a, real_b                 the images of a step; labels_a, labels_b: their class ids
    fake_b = G_ab(real_a)          Apply("G_ab", "real_a")
    cycle_a = G_ba(fake_b)         Apply("G_ba", "fake_b")
    pool_b = image pool of fake_b  ImagePool("fake_b")

A term names the tensors it reads, its function and its weight; a tensor that no live term needs is never computed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from cgbench.api.graph_nodes import Apply, Network, Node
from cgbench.api.names import DIRECTIONS, SOURCES, Role
from cgbench.errors import CgbenchError, did_you_mean


@dataclass(frozen=True)
class Term:
    """One named part of a player's loss: `weight * function(*reads)`, a scalar."""

    name: str
    function: Callable[..., Any]
    reads: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Player:
    """Networks that share one optimizer, and the terms it minimises. Players move in the order they are declared."""

    name: str
    networks: tuple[str, ...]
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Reference:
    """An untrained row: `function(sources, targets, rng) -> outputs` on uint8 arrays of shape (N, S, S, 3).

    `needs_pairs` says that the row is only meaningful where test images are paired. `role` is "floor" or "ceiling", or
    "external" for outputs of another program, which are of one of the `directions` only.
    """

    function: Callable[..., Any]
    role: str
    needs_pairs: bool = False
    directions: tuple[str, ...] = DIRECTIONS


@dataclass(frozen=True)
class Method:
    """A complete way to learn a translation.

    `translates` maps a direction to the tensor that is its output (`{"AtoB": "fake_b"}`), `reconstructs` to the tensor
    that should give the source back; both are evaluated on the same graph from that direction's source alone.
    `defaults` may set the method-owned fields of the configuration, `settings` names the private ones that it reads,
    `ignores` the method-owned ones that its networks have no use for.
    `source` cites where it was published. A
    `supervised` method is trained on pairs: `real_a` and `real_b` of a step show the same scenes, cropped alike.
    `min_batch_size` is the smallest batch it can be trained with.
    """

    name: str
    summary: str
    source: str = ""
    networks: Mapping[str, Network] = field(default_factory=dict)
    graph: Mapping[str, Node] = field(default_factory=dict)
    players: tuple[Player, ...] = ()
    translates: Mapping[str, str] = field(default_factory=dict)
    reconstructs: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    reference: Reference | None = None
    supervised: bool = False
    min_batch_size: int = 1
    parent: str = ""
    changes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.reference is None:
            _validate(self)

    @property
    def terms(self) -> tuple[Term, ...]:
        """All declared terms, of all players in order."""
        return tuple(term for player in self.players for term in player.terms)

    @property
    def role(self) -> str:
        """Its place in tables is "floor", "ceiling", "supervised" (sees pairs or labels), or "" for what is
        compared."""
        if self.reference:
            return self.reference.role
        return Role.SUPERVISED if self.supervised or self.reads_labels else Role.COMPARED

    @property
    def reads_labels(self) -> bool:
        """Whether a term or a tensor of the graph reads the class ids of training images."""
        read = {name for term in self.terms for name in term.reads}.union(
            *(node.inputs for node in self.graph.values())
        )
        return not read.isdisjoint(("labels_a", "labels_b"))

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions it can translate, or that an untrained reference row serves."""
        return self.reference.directions if self.reference else tuple(d for d in DIRECTIONS if d in self.translates)

    def but(
        self,
        name: str,
        summary: str = "",
        *,
        source: str = "",
        drop: Sequence[str] = (),
        weights: Mapping[str, float] | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        add: Mapping[str, Sequence[Term]] | None = None,
        players: Sequence[Player] = (),
        graph: Mapping[str, Node] | None = None,
        networks: Mapping[str, Network] | None = None,
        translates: Mapping[str, str] | None = None,
        reconstructs: Mapping[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
        settings: Sequence[str] = (),
        ignores: Sequence[str] = (),
        min_batch_size: int = 1,
    ) -> "Method":
        """Return the variant called `name`: drop terms, change weights or functions, add terms, nodes or networks.

        Of `players`, one that the parent has gains the networks and terms given, another one joins after the rest.
        `translates` and `reconstructs` replace the parent's; an empty way back says that there is none.
        An unknown term, player or tensor raises `CgbenchError`. The parent and what changed are recorded.
        """
        weights, functions, add = dict(weights or {}), dict(functions or {}), dict(add or {})
        graph, networks, defaults = dict(graph or {}), dict(networks or {}), dict(defaults or {})
        _known(self, "term", [*drop, *weights, *functions], [term.name for term in self.terms])
        _known(self, "player", add, [player.name for player in self.players])
        term_changes: dict[str, dict[str, Any]] = {name: {"weight": weight} for name, weight in weights.items()}
        for term, function in functions.items():
            term_changes[term] = {**term_changes.get(term, {}), "function": function}

        return replace(
            self,
            name=name,
            summary=summary or f"{self.name}, changed",
            source=source or self.source,
            networks={**self.networks, **networks},
            graph={**self.graph, **graph},
            players=_joined(self.players, players, drop, term_changes, add),
            translates=self.translates if translates is None else translates,
            reconstructs=self.reconstructs if reconstructs is None else reconstructs,
            defaults={**self.defaults, **defaults},
            settings=(*self.settings, *settings),
            ignores=(*self.ignores, *ignores),
            min_batch_size=max(self.min_batch_size, min_batch_size),
            parent=self.name,
            changes=_changes(self, drop, weights, functions, add, players, graph, networks, defaults),
        )

    def weighted(self, weights: Mapping[str, float]) -> "Method":
        """Return the same method, under its own name, with other term weights (`--set cyclegan.cycle_a=5`)."""
        if not weights:
            return self
        variant = self.but(self.name, self.summary, weights=weights)
        return replace(variant, parent=self.parent, changes=self.changes)


def _joined(
    old: Sequence[Player], new: Sequence[Player], drop: Sequence[str], changes: Mapping[str, Mapping[str, Any]],
    add: Mapping[str, Sequence[Term]],
) -> tuple[Player, ...]:  # fmt: skip
    """Return the old players with their terms changed, dropped and added, then the new ones that are not among them."""
    more = {player.name: player for player in new}
    found = []
    for player in old:
        kept = [replace(term, **changes.get(term.name, {})) for term in player.terms if term.name not in drop]
        joining = more.pop(player.name, Player(player.name, (), ()))
        terms = (*kept, *add.get(player.name, ()), *joining.terms)
        found.append(Player(player.name, player.networks + joining.networks, terms))
    return (*found, *more.values())


def function_name(function: Any) -> str:
    """Return a function's name without its module, `lsgan_generator`; of a partial one with what it fixes."""
    if isinstance(function, partial):
        fixed = [*map(_shown, function.args), *(f"{key}={_shown(value)}" for key, value in function.keywords.items())]
        return f"{function_name(function.func)}({', '.join(fixed)})"
    return getattr(function, "__name__", None) or type(function).__name__


def _shown(value: Any) -> str:
    return function_name(value) if callable(value) else str(value)


def _changes(
    parent: Method, drop: Sequence[str], weights: Mapping[str, float], functions: Mapping[str, Callable[..., Any]],
    add: Mapping[str, Sequence[Term]], players: Sequence[Player], graph: Mapping[str, Node],
    networks: Mapping[str, Network], defaults: Mapping[str, Any],
) -> tuple[str, ...]:  # fmt: skip
    """What `but` did, one line each, for `cgbench show`."""
    was = {term.name: term for term in parent.terms}
    return (
        *(f"without {name}" for name in drop),
        *(f"{name}: weight {was[name].weight:g} → {weight:g}" for name, weight in weights.items()),
        *(f"{name}: {function_name(was[name].function)} → {function_name(fn)}" for name, fn in functions.items()),
        *(f"with {term.name} (weight {term.weight:g})" for terms in add.values() for term in terms),
        *(f"with {term.name} (weight {term.weight:g})" for player in players for term in player.terms),
        *(f"tensor {name}" for name in graph),
        *(f"network {name}" for name in networks),
        *(f"{key} = {value}" for key, value in defaults.items()),
    )


def _known(method: Method, kind: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise CgbenchError(f"method '{method.name}' has no {kind} '{name}': {did_you_mean(name, known)}")


def _validate(method: Method) -> None:
    """Raise where a name is used that nothing declares, twice declared, or where the graph has a circle."""
    tensors = [*SOURCES, *method.graph]
    done = set(SOURCES)
    for out, node in method.graph.items():
        _known(method, "tensor", node.inputs, tensors)
        if isinstance(node, Apply):
            _known(method, "network", [node.network], list(method.networks))
        if out in SOURCES:
            raise CgbenchError(f"method '{method.name}': '{out}' is given by the data and cannot be computed")
    pending = dict(method.graph)
    while pending:
        ready = [out for out, node in pending.items() if done.issuperset(node.inputs)]
        if not ready:
            raise CgbenchError(f"method '{method.name}': these tensors depend on each other: {', '.join(pending)}")
        done.update(ready)
        for out in ready:
            del pending[out]
    names = [term.name for term in method.terms]
    for name in names:
        if names.count(name) > 1:
            raise CgbenchError(f"method '{method.name}' declares the term '{name}' twice")
    owned = [network for player in method.players for network in player.networks]
    for player in method.players:
        _known(method, "network", player.networks, [name for name, net in method.networks.items() if not net.frozen])
        for term in player.terms:
            _known(method, "tensor", term.reads, tensors)
    for network in owned:
        if owned.count(network) > 1:
            raise CgbenchError(f"method '{method.name}': two players own the network '{network}'")
    _known(method, "tensor", [*method.translates.values(), *method.reconstructs.values()], tensors)
    _known(method, "direction", [*method.translates, *method.reconstructs], list(DIRECTIONS))
