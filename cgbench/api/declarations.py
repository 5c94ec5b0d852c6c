"""The check of a component's declaration when it is found, before anything is trained or measured with it.

Each function raises `CgbenchError`, one line, where a declaration would break a run; `cgbench.benchmarks.testing` asks
for more.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, get_args

from cgbench.api.dataset import Dataset, Domain, SemanticClass
from cgbench.api.failure import Control, Failure
from cgbench.api.graph_nodes import Network, Node
from cgbench.api.method import Method, Player, Reference, Term
from cgbench.api.metric import GROUP, SOURCE, TARGET, Metric, Value
from cgbench.api.names import IGNORE, Role, Split
from cgbench.config_layers import preset_values, resolve
from cgbench.errors import CgbenchError
from cgbench.formatting import printable

EXTRACTORS = ("", "inception", "lpips")  # that a metric may need
BETTER = ("higher", "lower", "")


def is_line(text: object) -> bool:
    """Return whether `text` is a string of exactly one line that is not empty and can be printed: no control characters
    and no lone surrogates."""
    return isinstance(text, str) and bool(text.strip()) and printable(text) == text


def check_metric(metric: Metric, others: Iterable[Metric] = ()) -> None:
    """Check a metric's name, values, functions, extractor and version, and that no other metric has one of its values.

    The `others` are the metrics found before.
    """
    where = _named(metric, Metric)
    _require(_all(metric.values, Value), f"{where}: its values must be a tuple of Value, not {metric.values!r}")
    names = [value.name for value in metric.values]
    for value in metric.values:
        _check_value(value, where)
    _require(names and len(set(names)) == len(names), f"{where} needs values of different names: {names}")
    _require_functions(metric, ("compute", "not_applicable"), where)
    _require(metric.needs in EXTRACTORS, f"{where} needs '{metric.needs}', which nothing provides")
    _check_rank_and_version(metric, where)
    for other in others:
        for name in {value.name for value in other.values} & set(names):
            raise CgbenchError(f"{where}: its value '{name}' is one of metric '{other.name}' too: choose another name")


def _check_value(value: Value, metric: str) -> None:
    _require(is_line(value.name), f"{metric}: the name of a value is one line of text, not {value.name!r}")
    where = f"{metric}, value '{value.name}':"
    _require("/" not in value.name, f"{where} a name is not empty and has no '/', which details have")
    _require(is_line(value.label), f"{where} it needs a label")
    _require(value.better in BETTER, f"{where} better is 'higher', 'lower' or '', not {value.better!r}")
    known = (SOURCE, TARGET, GROUP)
    _require(value.of in known, f"{where} of is '{SOURCE}', '{TARGET}' or '{GROUP}', not {value.of!r}")
    digits = value.digits
    _require(isinstance(digits, Integral) and digits >= 0, f"{where} digits is a whole number, not {digits!r}")
    bounds = value.minimum, value.maximum
    _require(all(isinstance(bound, Real) for bound in bounds), f"{where} its minimum and maximum must be numbers")
    _require(value.minimum < value.maximum, f"{where} its minimum is not below its maximum")


def check_failure(failure: Failure, others: Iterable[Failure] = ()) -> None:
    """Check the name, words, functions, threshold, share, control, causes and version of a failure mode."""
    where = _named(failure, Failure)
    for field in ("label", "evidence_definition", "justified"):
        _require(_is_text(getattr(failure, field)), f"{where} needs `{field}`, one line of text")
    _require_functions(failure, ("detect", "not_applicable"), where)
    threshold, share, causes = failure.threshold, failure.share, failure.explained_by
    known = isinstance(threshold, Real) and math.isfinite(threshold)
    _require(known, f"{where}: the threshold is {threshold}, not a finite number")
    _require(isinstance(failure.above, bool), f"{where}: above is True or False, not {failure.above!r}")
    valid = isinstance(share, Real) and 0 < share <= 1
    _require(valid, f"{where}: the share of images is above 0 and at most 1, not {share}")
    control = failure.control
    if control is not None:
        _require(isinstance(control, Control), f"{where}: its control is no Control, but {control!r}")
        _require(is_line(control.description), f"{where}: its control needs a description, one line of text")
        _require(callable(control.outputs), f"{where}: the outputs of its control are no function")
    _require(_all(causes, str), f"{where}: explained_by must be a tuple of names, not {causes!r}")
    _check_rank_and_version(failure, where)


def check_dataset(dataset: Dataset, others: Iterable[Dataset] = ()) -> None:
    """Check a dataset's name, domains, splits, palette and settings; its images are not asked for."""
    where = _named(dataset, Dataset)
    domains, splits = getattr(dataset, "domains", ()), dataset.splits
    _require(_all(domains, Domain), f"{where}: domains must be a tuple of two Domain, not {domains!r}")
    _require(len(domains) == 2, f"{where} has {len(domains)} domains, not two")
    _require(all(is_line(domain.name) for domain in domains), f"{where}: a domain needs a name")
    kinds = [domain.kind for domain in domains]
    _require(set(kinds) <= {"photo", "labels"}, f"{where}: a domain's kind is photo or labels, not {kinds}")
    _require(_all(splits, str), f"{where}: splits must be a tuple of texts, not {splits!r}")
    _require({Split.TRAIN, Split.TEST} <= set(splits), f"{where} needs the splits train and test")
    unknown = set(splits) - set(Split)
    _require(not unknown, f"{where}: nothing reads the splits {sorted(unknown)}")
    _require(_all(dataset.palette, SemanticClass), f"{where}: its palette must be a tuple of SemanticClass")
    _require(len(dataset.palette) <= IGNORE, f"{where}: a palette has at most {IGNORE} classes")
    settings = dataset.settings
    layers = isinstance(settings, Mapping) and all(isinstance(layer, Mapping) for layer in settings.values())
    _require(layers, f"{where}: settings must be a mapping of presets to mappings, not {settings!r}")


def check_method(method: Method, others: Iterable[Method] = ()) -> None:
    """Check the kinds of a method's parts, that its functions can be called, and its default settings.

    `Method` itself has checked that its names are declared.
    """
    where = _named(method, Method)
    if method.reference is not None:
        _check_reference(method.reference, where)
        return
    for name, network in method.networks.items():
        _require(isinstance(network, Network), f"{where}: the network '{name}' is no Network, but {network!r}")
        _require(callable(network.build), f"{where}: the network '{name}' has a `build` that is no function")
        missing = network.missing
        _require(missing is None or callable(missing), f"{where}: the network '{name}': `missing` is no function")
    for name, node in method.graph.items():
        _require(isinstance(node, get_args(Node)), f"{where}: the tensor '{name}' is no node of a graph, but {node!r}")
        called = callable(getattr(node, "function", print))
        _require(called, f"{where}: the tensor '{name}' has a function that is none")
    _require(_all(method.players, Player), f"{where}: its players must be a tuple of Player")
    for term in method.terms:
        _check_term(term, where)
    _require(method.translates, f"{where} translates in no direction")
    smallest = method.min_batch_size
    _require(
        isinstance(smallest, Integral) and smallest >= 1, f"{where}: min_batch_size is {smallest!r}, not 1 or more"
    )
    try:
        resolve([("preset", preset_values("smoke")), ("method", method.defaults)], [term.name for term in method.terms])
    except CgbenchError as error:
        raise CgbenchError(f"{where}: its defaults: {error}") from None


def _check_reference(reference: Reference, where: str) -> None:
    _require(isinstance(reference, Reference), f"{where}: its reference is no Reference, but {reference!r}")
    _require(callable(reference.function), f"{where}: the function of its reference is none")
    roles = (Role.FLOOR, Role.CEILING)
    _require(
        reference.role in roles, f"{where}: the role of a reference is 'floor' or 'ceiling', not {reference.role!r}"
    )


def _check_term(term: Term, method: str) -> None:
    _require(isinstance(term, Term), f"{method}: a term is no Term, but {term!r}")
    where = f"{method}, term '{term.name}':"
    _require(is_line(term.name), f"{method}: the name of a term is one line of text, not {term.name!r}")
    _require(callable(term.function), f"{where} its function is none, but {term.function!r}")
    _require(_all(term.reads, str), f"{where} it must read a tuple of tensors, not {term.reads!r}")
    finite = isinstance(term.weight, Real) and math.isfinite(term.weight)
    _require(finite, f"{where} its weight is a finite number, not {term.weight!r}")


def _named(component: Any, kind: type) -> str:
    """Return how a message begins that is about a component; another type and what has no name raise."""
    _require(isinstance(component, kind), f"its factory returns {type(component).__name__}, not a {kind.__name__}")
    word, name = kind.__name__.lower(), getattr(component, "name", None)
    _require(is_line(name), f"a {word} needs a name, one line of text, not {name!r}")
    summary = getattr(component, "summary", None)
    _require(_is_text(summary), f"{word} '{name}' needs a name and a summary of one line")
    return f"{word} '{name}'"


def _check_rank_and_version(component: Metric | Failure, where: str) -> None:
    rank, version = component.rank, component.version
    _require(isinstance(rank, Real), f"{where}: its rank is a number, not {rank!r}")
    valid = isinstance(version, Integral) and version >= 1
    _require(valid, f"{where} has the version {version}; the first one is 1")


def _is_text(text: object) -> bool:
    """Return whether `text` is a string that can be printed, of any number of lines."""
    return isinstance(text, str) and printable(text, keep="\t\n") == text


def _require_functions(component: Any, names: Sequence[str], where: str) -> None:
    for name in names:
        function = getattr(component, name)
        _require(callable(function), f"{where}: `{name}` must be a function, not {function!r}")


def _all(values: object, kind: type) -> bool:
    """Return whether `values` is a sequence, and no text, of values of this type."""
    return isinstance(values, Sequence) and not isinstance(values, str) and all(isinstance(v, kind) for v in values)


def _require(condition: object, message: str) -> None:
    if not condition:
        raise CgbenchError(message)
