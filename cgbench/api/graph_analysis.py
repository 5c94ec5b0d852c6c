"""The analysis of a method's graph: live terms, networks and tensors, and the order of their evaluation."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from cgbench.api.graph_nodes import Apply, Compute, ImagePool
from cgbench.api.method import Method, Player, Term
from cgbench.api.names import SOURCES
from cgbench.formatting import plural


@dataclass(frozen=True)
class Live:
    """The live part of a method, which training uses: everything else is neither built nor computed.

    `gradients` maps each needed tensor to the names of the networks whose weights some term trains through it.
    """

    networks: tuple[str, ...]
    players: tuple[Player, ...]
    gradients: dict[str, frozenset[str]]


def upstream(
    method: Method, tensors: Iterable[str], through_detached: bool = True, known: Collection[str] = SOURCES
) -> tuple[str, ...]:
    """Return the computed tensors that `tensors` depend on, themselves included, in the order of the declaration.

    The search stops at `known` tensors, and at detached ones unless `through_detached`.
    """
    found: set[str] = set()
    pending = [name for name in tensors if name not in known]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        node = method.graph[name]
        if through_detached or not getattr(node, "detached", False):
            pending.extend(tensor for tensor in node.inputs if tensor not in known)
    return tuple(name for name in method.graph if name in found)


def networks_of(method: Method, tensors: Iterable[str]) -> tuple[str, ...]:
    """Return the networks whose applications the given tensors are, in the order of declaration."""
    used = {node.network for name in tensors if isinstance(node := method.graph.get(name), Apply)}
    return tuple(name for name in method.networks if name in used)


def trained_by(method: Method, player: Player, term: Term) -> frozenset[str]:
    """Return the player's networks that a gradient of `term` reaches."""
    reached = networks_of(method, upstream(method, term.reads, through_detached=False))
    return frozenset(reached).intersection(player.networks)


def shared_gradients(method: Method, players: tuple[Player, ...], player: Player) -> tuple[str, ...]:
    """Return the tensors through which both this player and an earlier one of `players` send gradients to their
    networks: the earlier one's have freed what the later ones need."""
    earlier = players[: [other.name for other in players].index(player.name)]
    before = {name for other in earlier for name in _differentiated(method, other)}
    return tuple(name for name in _differentiated(method, player) if name in before)


def _differentiated(method: Method, player: Player) -> tuple[str, ...]:
    """Return the computed tensors between a player's terms and its networks, in the order of declaration."""
    read = upstream(method, [name for term in player.terms for name in term.reads], through_detached=False)
    return tuple(
        name
        for name in read
        if not getattr(method.graph[name], "detached", False)
        and set(networks_of(method, upstream(method, [name], through_detached=False))).intersection(player.networks)
    )


def live(method: Method) -> Live:
    """Return the live part: a term lives if its weight is not zero and it trains a live network.

    Live networks are those that translate, and those that a live term depends on. A discriminator that no generator's
    term reads is therefore dead, and so are its terms: cycle-only trains none.
    """
    networks = set(networks_of(method, upstream(method, method.translates.values())))
    alive: set[str] = set()
    grew = True
    while grew:
        grew = False
        for player in method.players:
            for term in player.terms:
                if term.name in alive or term.weight == 0 or not trained_by(method, player, term) & networks:
                    continue
                alive.add(term.name)
                networks.update(networks_of(method, upstream(method, term.reads)))
                grew = True
    players = tuple(
        Player(
            player.name,
            tuple(name for name in player.networks if name in networks),
            tuple(term for term in player.terms if term.name in alive),
        )
        for player in method.players
    )
    players = tuple(player for player in players if player.terms and player.networks)
    return Live(tuple(name for name in method.networks if name in networks), players, _gradients(method, players))


def untrained(method: Method) -> dict[str, str]:
    """Return the directions whose translation uses a network that no live term trains, with that network's name."""
    alive = live(method)
    trained = frozenset().union(*alive.gradients.values())
    found = {}
    for direction, tensor in method.translates.items():
        idle = [name for name in networks_of(method, upstream(method, [tensor])) if name not in trained]
        if idle:
            found[direction] = idle[0]
    return found


def one_way(method: Method, direction: str) -> Method:
    """Return the method reduced to the translation in one direction: without players, only the networks of that
    translation are live. Networks that only losses use need not exist."""
    return replace(method, players=(), translates={direction: method.translates[direction]}, reconstructs={})


def _gradients(method: Method, players: tuple[Player, ...]) -> dict[str, frozenset[str]]:
    """Return for each tensor of a live term the networks whose weights any player trains through it."""
    gradients: dict[str, set[str]] = {}
    for player in players:
        for term in player.terms:
            for tensor in upstream(method, term.reads):
                gradients.setdefault(tensor, set())
            for tensor in upstream(method, term.reads, through_detached=False):
                node = method.graph[tensor]
                if isinstance(node, Apply) and node.network in player.networks:
                    gradients[tensor].add(node.network)
    return {tensor: frozenset(names) for tensor, names in gradients.items()}


def unequal_channels(method: Method, channels: Mapping[str, int]) -> str | None:
    """Return why a method needs as many channels in A as in B, where `channels` of "a" and "b" differ; None where it
    does not need it: no live network is given images of other channels than it reads, no live term compares any.

    What a `Compute` node makes of images is taken for images of the same channels, or for their stack, where a network
    reads it, and for no image where a term reads it.
    """
    if channels["a"] == channels["b"]:
        return None
    alive = live(method)
    terms = [term for player in alive.players for term in player.terms]
    read = [name for term in terms for name in term.reads]
    needed = upstream(method, [*read, *method.translates.values(), *method.reconstructs.values()])
    domains = {"real_a": "a", "real_b": "b"}  # of the images in a tensor, one letter each
    for name in _sorted(method, needed):
        node = method.graph[name]
        given = "".join(domains.get(tensor, "") for tensor in node.inputs)
        if isinstance(node, Apply) and node.network in alive.networks:
            network = method.networks[node.network]
            expected, counts = sum(channels[letter] for letter in network.source), [channels[x] for x in given]
            if network.source and counts and expected != sum(counts) and {expected} != set(counts):
                use = f"applies {node.network}, made for {plural(expected, 'channel')}, to {node.inputs[0]}"
                return f"needs as many channels in A as in B: it {use}"
            domains[name] = "" if node.part else network.target
        elif isinstance(node, Compute | ImagePool):
            domains[name] = given
    for term in terms:
        images = [name for name in term.reads if not isinstance(method.graph.get(name), Compute)]
        compared = {name: channels[domains[name]] for name in images if len(domains.get(name, "")) == 1}
        if len(set(compared.values())) > 1:
            return f"needs as many channels in A as in B: its term {term.name} compares {' with '.join(compared)}"
    return None


def waves(method: Method, requested: Iterable[str], known: Collection[str]) -> list[list[str]]:
    """Return the order of evaluation: lists of tensors that can be computed at the same time.

    Every tensor is computed as late as its readers allow, so that applications of one network fall into one wave and
    can go through it as one batch: `D(real)` waits for `D(pool)`.
    """
    pending = upstream(method, requested, known=known)
    height = dict.fromkeys(pending, 0)  # longest path from a tensor to a requested one
    for name in reversed(_sorted(method, pending)):
        for tensor in method.graph[name].inputs:
            if tensor in height:
                height[tensor] = max(height[tensor], height[name] + 1)
    deepest = max(height.values(), default=-1)
    return [[name for name in pending if height[name] == level] for level in range(deepest, -1, -1)]


def _sorted(method: Method, names: Iterable[str]) -> list[str]:
    """Return `names` with every tensor after those it is computed from."""
    order: list[str] = []
    pending = list(names)
    while pending:
        ready = [name for name in pending if not set(method.graph[name].inputs).intersection(pending)]
        order.extend(ready)
        pending = [name for name in pending if name not in ready]
    return order
