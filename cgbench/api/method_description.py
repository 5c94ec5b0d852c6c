"""The description of a method as plain data: for `cgbench show`, `trial.json` and the fingerprint of a trial."""

import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from cgbench.api.graph_analysis import live
from cgbench.api.graph_nodes import Apply, Compute, ImagePool, Network, Node, Precomputed, Sample
from cgbench.api.method import Method, function_name

FORMER_NETWORKS = {"discriminator(channels=6)": "discriminator"}  # texts in records before version 0.1


def node_text(node: Node) -> str:
    """Return the definition of a tensor as text, such as `G_ab(real_a)` or `image_pool(fake_b)`."""
    inputs = ", ".join(node.inputs)
    if isinstance(node, Apply):
        return f"{node.network}{node.part and '.' + node.part}({inputs})"
    if isinstance(node, Compute):
        return f"{function_name(node.function)}({inputs}){node.detached * ', no gradient'}"
    if isinstance(node, Sample):
        return f"random {function_name(node.function)}({inputs})"
    if isinstance(node, Precomputed):
        return f"{function_name(node.function)}({inputs}) over {node.batches} training batches"
    if isinstance(node, ImagePool):
        return f"image_pool({inputs})"
    return f"the {node.start} whose {node.result} is nearest to {node.target}"


def network_text(network: Network) -> str:
    """Return the builder of a network as text, with its initialisation where that is not the default. The domains that
    it reads and writes are left out: the graph says to what it is applied."""
    start = "frozen" if network.frozen else network.init
    bias = "" if network.bias == 0 else f", biases {'of torch' if network.bias is None else network.bias}"
    return function_name(_without_domains(network)) + ("" if start == "normal" else f", {start}") + bias


def _without_domains(network: Network) -> Callable[..., Any]:
    build = network.build
    if not isinstance(build, partial):
        return build
    domains = {"source": network.source, "target": network.target}
    fixed = {key: value for key, value in build.keywords.items() if not value or value != domains.get(key)}
    return partial(build.func, *build.args, **fixed) if build.args or fixed else build.func


def terms_of(method: Method) -> list[dict[str, Any]]:
    """Return the live terms: name, player, weight, function, and the tensors they read."""
    return [
        {
            "name": term.name,
            "player": player.name,
            "weight": term.weight,
            "function": function_name(term.function),
            "reads": list(term.reads),
        }
        for player in live(method).players
        for term in player.terms
    ]


def describe(method: Method) -> dict[str, Any]:
    """Return everything that identifies a method, as JSON-able data."""
    alive = live(method)
    return {
        "name": method.name,
        "summary": method.summary,
        "source": method.source,
        "parent": method.parent,
        "changes": list(method.changes),
        "role": method.role,
        "networks": {name: network_text(method.networks[name]) for name in alive.networks},
        "tensors": {name: node_text(method.graph[name]) for name in method.graph if name in alive.gradients},
        "players": {player.name: list(player.networks) for player in alive.players},
        "terms": terms_of(method),
        "translates": dict(method.translates),
        "reconstructs": dict(method.reconstructs),
        "code": foreign_code(method),
    }


def foreign_code(method: Method) -> dict[str, str]:
    """Return a digest of the source of every live function outside cgbench: an edited plugin is another method."""
    alive = live(method)
    functions = [term.function for player in alive.players for term in player.terms]
    functions += [method.networks[name].build for name in alive.networks]
    functions += [node.function for name in alive.gradients if hasattr(node := method.graph[name], "function")]
    digests = {}
    for function in functions:
        while isinstance(function, partial):
            function = function.func
        if not getattr(function, "__module__", "").startswith("cgbench."):
            try:
                source = inspect.getsource(function)
            except (OSError, TypeError):
                continue  # made at run time: there is no source to compare
            digests[function_name(function)] = hashlib.sha256(source.encode()).hexdigest()[:12]
    return digests


def trained_part(description: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a description that decides what is trained: not its words.

    Before images had other channels than RGB, the discriminator of a pair was described by its six channels.
    """
    words = ("summary", "source", "changes", "parent")
    networks = {name: FORMER_NETWORKS.get(str(text), text) for name, text in description.get("networks", {}).items()}
    return {key: value for key, value in description.items() if key not in words} | {"networks": networks}
