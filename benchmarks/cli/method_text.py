"""`cgbench show`: a method in words and numbers, on one screen."""

from cgbench.api.method_description import describe
from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.benchmarks.trials.trial import Trial
from cgbench.errors import DataMissing
from cgbench.methods.blocks.model import Model


def method_text(trial: Trial) -> str:
    """Return networks with their weights counted, tensors, players, live terms, and the difference from the parent."""
    method, facts = trial.method, describe(trial.method)
    config = trial.config
    problem = ""
    try:
        counts = Model(method, config, 0, scorer=build_network(config.classes, config.scorer_width)).counts()
    except DataMissing as error:
        counts, problem = {}, str(error)
    lines = [f"{method.name}: {method.summary}", f"source: {method.source or 'none given'}"]
    if method.parent:
        lines.append(f"difference from {method.parent}: {'; '.join(method.changes)}")
    lines.append(
        f"\nnetworks (preset {trial.preset}: {config.crop_size} pixels, {config.blocks} blocks, ngf {config.ngf})"
    )
    lines += [f"  {name:12} {count:>12,} weights  {facts['networks'][name]}" for name, count in counts.items()]
    lines.append(f"  not counted: {problem}" if problem else f"  {'total':12} {sum(counts.values()):>12,}")
    lines.append("\ntensors that training computes")
    lines += [f"  {name} = {text}" for name, text in facts["tensors"].items()]
    for player, networks in facts["players"].items():
        lines.append(f"\nplayer {player} trains {', '.join(networks)} to lower")
        terms = [term for term in facts["terms"] if term["player"] == player]
        lines += [
            f"  {term['weight']:>5g} × {term['name']:22} {term['function']}({', '.join(term['reads'])})"
            for term in terms
        ]
    frozen = [name for name in counts if method.networks[name].frozen]
    if frozen:
        lines.append(f"\nfrozen, trained by nothing here: {', '.join(frozen)}")
    dead = [term.name for term in method.terms if term.name not in {entry["name"] for entry in facts["terms"]}]
    if dead:
        lines.append(f"\nnot trained, because nothing depends on it: {', '.join(dead)}")
    translations = [f"{direction}: {tensor}" for direction, tensor in facts["translates"].items()]
    lines.append(f"\ntranslates {'; '.join(translations)}")
    return "\n".join(lines)
