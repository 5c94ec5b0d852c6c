"""`cgbench extend`: train the finished trials of a run for more steps, and say what that does to the learning rate."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cgbench.api.dataset import Dataset
from cgbench.benchmarks.execution.reevaluation import load_trial
from cgbench.benchmarks.execution.run_context import RunContext, open_run_context, with_evaluators
from cgbench.benchmarks.execution.runner import run_trials
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.training.checkpoint import checkpoint_metadata, rewrite_metadata
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.training.optimizers import learning_rate_factor
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.datasets.validation_split import hold_out
from cgbench.errors import CgbenchError
from cgbench.files import PART, link_or_copy, read_jsonl, write_json, write_jsonl
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder

RECORDS = ("trial.json", "status.json", "metrics.jsonl", "history.jsonl", "image_scores.jsonl", "steps.jsonl",
           "protocols.json", "cost.json", "checkpoint.safetensors")  # fmt: skip


@dataclass(frozen=True)
class Extension:
    """A trial that goes on from step `old`, as it will be: `trial` has the new number of steps. `plan` says in words
    what happens to the learning rate; `old` is 0 for an untrained row."""

    folder: TrialFolder
    trial: Trial
    old: int
    plan: str


def plan_extensions(folders: Sequence[TrialFolder], steps: int) -> list[Extension]:
    """Return what there is to extend to `steps`. A run that is not finished, or that has as many, raises."""
    found = []
    for folder in folders:
        facts, state = read_trial(folder), folder.status()["state"]
        if state in ("diverged", "failed"):
            console.print(f"left out: {facts['method']['name']}, seed {facts['seed']}: {state}", style="yellow")
            continue
        trial = load_trial(folder, facts)
        begun = facts["config"]["steps"] == steps and facts["origins"]["steps"] == "extend"
        if not begun and state != "done" and saved_step(folder.checkpoint) != facts["steps"]:
            raise CgbenchError(f"{folder.path} is not finished ({state}): finish the run first, by its own command")
        if not begun and trial.method.reference is None and facts["steps"] >= steps:
            raise CgbenchError(f"{folder.path} has {facts['steps']} steps already: --steps must be more")
        found.append(_extension(folder, trial, facts, steps, begun))
    if not any(entry.old for entry in found):
        raise CgbenchError("there is nothing to extend: no trained trial of this run is finished")
    return found


def _extension(folder: TrialFolder, trial: Trial, facts: dict, steps: int, begun: bool) -> Extension:
    if begun or trial.method.reference is not None:
        last = facts["extended"][-1] if facts.get("extended") else {"from": 0, "plan": ""}
        return Extension(folder, _longer(trial, steps, trial.extended), last["from"], last["plan"])
    counts, old = facts["dataset"]["counts"], facts["steps"]
    epoch = 1 if trial.config.steps else trial.config.steps_per_epoch(counts["train A"], counts["train B"])
    plan = rate_plan(trial.config, old, epoch, steps)
    return Extension(folder, _longer(trial, steps, (*trial.extended, old)), old, plan)


def _longer(trial: Trial, steps: int, extended: tuple[int, ...]) -> Trial:
    resolved = trial.resolved
    config, origins = replace(resolved.config, steps=steps), {**resolved.origins, "steps": "extend"}
    return replace(trial, resolved=replace(resolved, config=config, origins=origins), extended=extended)


def rate_plan(config: TrialConfig, old: int, epoch: int, steps: int) -> str:
    """Return what an extension from `old` to `steps` steps does to the learning rate, in one sentence."""
    start, share = config.learning_rate, config.decay_fraction
    ended = start * learning_rate_factor(old - 1, old, epoch, share)
    again, last = (start * learning_rate_factor(step, steps, 1, share) for step in (old, steps - 1))
    falls = max(old, steps - round(steps * share))
    fall = f"falls linearly from step {falls} to {last:.2g}" if share else "stays there"
    return (
        f"steps 1 to {old} had the schedule of {old} steps, which ended at {ended:.2g}; steps {old + 1} to {steps} "
        f"have the schedule of {steps} steps: the rate goes back to {again:.2g} and {fall}"
    )


def print_plan(extensions: Sequence[Extension], steps: int) -> None:
    """Print the learning-rate plan of every method, and what an extended run is not."""
    plans: dict[tuple[int, str], dict[str, None]] = {}
    for entry in extensions:
        if entry.old:
            plans.setdefault((entry.old, entry.plan), {})[entry.trial.method.name] = None
    for (_, plan), methods in plans.items():
        console.print(f"{', '.join(methods)}: {plan}")
    console.print(
        f"This is not what {steps} steps from the start would give, and tables say 'extended' beside every method. "
        "The old records and checkpoints are kept in before-extension-STEPS in each trial's folder."
    )


def extend(
    run: Path, extensions: Sequence[Extension], open_dataset: Callable[[str], Dataset], device: str
) -> dict[str, int]:
    """Train and measure the extended trials; return how many ended in which state, as `run_trials` does."""
    facts = read_trial(extensions[0].folder)["dataset"]
    labels = {read_trial(entry.folder)["dataset"]["label"] for entry in extensions}
    data = open_dataset(facts["name"])
    if labels != {data.label}:
        raise CgbenchError(f"the run was trained on {', '.join(sorted(labels))}, but here is '{data.label}'")
    trials = [entry.trial for entry in extensions]
    config = trials[0].config
    context = open_run_context(run, hold_out(data, config.validation_images), trials, device)
    for entry in extensions:
        if read_trial(entry.folder)["data"] != context.data_digests(entry.trial):
            raise CgbenchError(f"{entry.folder.path} was trained on other images than are in '{data.label}' now")
    for entry in extensions:
        prepare(entry, context)
    return run_trials(trials, with_evaluators(context, config))


def prepare(entry: Extension, context: RunContext) -> None:
    """Put the old records aside and make the trial one that is not finished. Killed anywhere, it can be done again."""
    folder, facts, config = entry.folder, read_trial(entry.folder), entry.trial.config
    wanted = context.digest(entry.trial)
    changed = {"config": asdict(config), "origins": entry.trial.resolved.origins, "digest": wanted}
    if not entry.old:
        write_json(folder.trial, facts | changed)
        return
    if facts["digest"] != wanted:
        _put_aside(folder, entry.old)
        rows = [row for row in read_jsonl(folder.history) if row["step"] != entry.old]
        write_jsonl(folder.history, [*rows, *read_jsonl(folder.metrics)])
        folder.set_status("interrupted", step=entry.old)
        about = {"from": entry.old, "to": config.steps, "plan": entry.plan, "digest": facts["digest"]}
        changed |= {"steps": config.steps, "extended": [*facts.get("extended", []), about]}
        facts |= changed
        write_json(folder.trial, facts)
    before = facts["extended"][-1]["digest"]
    new = {"digest": wanted, **checkpoint_metadata(config, context.dataset)}
    for path in (folder.checkpoint, folder.best):  # the best so far may stay the best
        if path.exists():
            rewrite_metadata(path, before, new)


def _put_aside(folder: TrialFolder, steps: int) -> None:
    """Keep the records of the finished training of `steps` steps in a folder of their own, all or none."""
    aside, part = folder.path / f"before-extension-{steps}", folder.path / f".before-extension{PART}"
    if aside.exists():
        return
    shutil.rmtree(part, ignore_errors=True)
    for name in RECORDS:
        if (folder.path / name).exists():
            link_or_copy(folder.path / name, part / name)
    part.rename(aside)
