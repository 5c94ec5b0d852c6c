"""The record of a trial: the content of `trial.json`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cgbench.api.dataset import Dataset, Domain, describe_test_images
from cgbench.api.method_description import describe
from cgbench.api.names import DIRECTIONS
from cgbench.benchmarks.trials.trial import Trial
from cgbench.results.record_files import SCHEMA


def trial_record(
    trial: Trial, dataset: Dataset, environment: Mapping[str, Any], fingerprint: str,
    counts: Mapping[str, int], total: int, parameters: Mapping[str, int], data: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """Return the content of `trial.json`: everything resolved, each setting with the layer that it came from.

    Args:
        trial: The trial.
        dataset: Its dataset.
        environment: Hardware, versions and determinism, as `runtime.environment` gives them.
        fingerprint: The fingerprint of the trial.
        counts: The numbers of training and test images per domain.
        total: The number of training steps; 0 for an untrained row.
        parameters: The numbers of weights per network.
        data: The digests of the training images per domain.

    Returns:
        JSON-able data.
    """
    return {
        "schema": SCHEMA,
        "method": describe(trial.method),
        "dataset": {
            "name": dataset.name,
            "label": dataset.label,
            "domains": [_domain_record(domain) for domain in dataset.domains],
            "directions": {direction: dataset.direction_name(direction) for direction in DIRECTIONS},
            "palette": [[entry.name, *entry.colour] for entry in dataset.palette],
            "licence": dataset.licence,
            "source": dataset.source,
            "split_rule": dataset.split_rule,
            "label_source": dataset.label_source,
            "paired": dataset.paired_test,
            "test_images": describe_test_images(dataset, counts["test A"], counts["test B"]),
            "primary": {direction: dataset.primary_number(direction) for direction in DIRECTIONS},
            "image_groups": dataset.image_groups,
            "counts": dict(counts),
            **({"slicing": dict(dataset.slicing)} if dataset.slicing else {}),
        },
        "seed": trial.seed,
        "preset": trial.preset,
        "steps": total,
        "config": asdict(trial.config),
        "weights": trial.resolved.weights,
        "origins": trial.resolved.origins,
        "digest": fingerprint,
        "data": dict(data),
        "parameters": dict(parameters),
        **environment,
    }


def _domain_record(domain: Domain) -> dict[str, Any]:
    """Return the record of a domain, with its format where that is not 8-bit RGB."""
    record: dict[str, Any] = {"name": domain.name, "kind": domain.kind}
    return record if domain.pixels.is_rgb8 else record | {"pixels": domain.pixels.record()}
