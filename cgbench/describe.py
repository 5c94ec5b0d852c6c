"""A method in plain data: for `cgbench show`, for `trial.json`, and for the digest that identifies a trial."""

from functools import partial
from typing import Any

from cgbench.graph import live
from cgbench.method import Apply, Compute, Method, Node, Noise


def node_text(node: Node) -> str:
    """Return how a tensor comes to be, such as `G_ab(real_a)` or `history(fake_b)`."""
    if isinstance(node, Apply):
        return f"{node.network}({', '.join(node.inputs)})"
    if isinstance(node, Compute):
        return f"{function_name(node.function)}({', '.join(node.inputs)})"
    if isinstance(node, Noise):
        return f"{node.kind} noise of size {node.size}, one per image of {node.inputs[0]}"
    return f"history({node.inputs[0]})"


def function_name(function: Any) -> str:
    """Return a function's name without its module, `lsgan_generator`; of a partial one with what it fixes."""
    if isinstance(function, partial):
        fixed = [*map(str, function.args), *(f"{key}={value}" for key, value in function.keywords.items())]
        return f"{function_name(function.func)}({', '.join(fixed)})"
    return getattr(function, "__name__", None) or type(function).__name__


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
        "networks": {name: function_name(method.networks[name].build) for name in alive.networks},
        "tensors": {name: node_text(method.graph[name]) for name in method.graph if name in alive.gradients},
        "players": {player.name: list(player.networks) for player in alive.players},
        "terms": terms_of(method),
        "translates": dict(method.translates),
        "reconstructs": dict(method.reconstructs),
    }


def identity(description: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a description that decides what is trained: not its words."""
    return {key: value for key, value in description.items() if key not in ("summary", "source", "changes", "parent")}
