"""A small run folder in the form that training leaves, with plausible images, losses and scores; no torch."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from cgbench.api.metric import Value
from cgbench.config_layers import resolve
from cgbench.files import read_json, write_json, write_jsonl
from cgbench.results.run_folder import TrialFolder, trial_folders

VALUES = {
    value.name: value
    for value in (
        Value("fcn_pixel", "FCN pixel", "higher"),
        Value("fcn_iou", "FCN IoU", "higher"),
        Value("label_pixel", "label pixel", "higher"),
        Value("reconstruction_l1", "rec. L1", "lower"),
    )
}
METHODS = ("cyclegan", "gan_only", "cycle_only", "copy", "shuffled", "real")
ROLES = {"copy": "floor", "shuffled": "floor", "real": "ceiling"}
LEVEL = {"copy": 0.12, "shuffled": 0.34, "cycle_only": 0.22, "gan_only": 0.41, "cyclegan": 0.52, "real": 0.88}
NOISE = {"cyclegan": 0.15, "gan_only": 0.4, "cycle_only": 0.75}
SIDE = 64
NAMES = {"AtoB": "labels→photo", "BtoA": "photo→labels"}
WEIGHTS = {"adversarial": 1.0, "cycle": 10.0, "discriminate": 0.5}
DROPPED = {"gan_only": "cycle", "cycle_only": "adversarial"}
FUNCTIONS = {"adversarial": "lsgan_generator", "cycle": "l1", "discriminate": "lsgan_discriminator"}


def build_run(
    path: Path,
    methods: tuple[str, ...] = METHODS,
    seeds: tuple[int, ...] = (0, 1, 2),
    states: dict[tuple[str, int], str] | None = None,
    images: int = 12,
    side: int = SIDE,
) -> Path:
    """Write a run of `methods` × `seeds` into `path` and return it; `states` holds the trials that are not done."""
    trained = [name for name in methods if name not in ROLES]
    write_json(
        path / "run.json",
        {
            "name": path.name, "command": f"cgbench run --dataset shapes --methods {','.join(trained)}",
            "methods": list(methods), "seeds": list(seeds), "preset": "demo", "dataset": "shapes",
            "created": "2025-01-02T03:04:05+00:00",
        },
    )  # fmt: skip
    scenes = [scene(index, side) for index in range(images)]
    for method in methods:
        for seed in seeds if method not in ROLES else seeds[:1]:
            state = (states or {}).get((method, seed), "done")
            if state:
                build_trial(TrialFolder.of(path, "shapes", method, seed), method, seed, state, scenes)
    return path


def declare_primary(run: Path, primary: dict[str, str]) -> Path:
    """Write into every trial the numbers that methods are judged by, and return the run."""
    for folder in trial_folders(run):
        spec = read_json(folder.trial)
        write_json(folder.trial, spec | {"dataset": spec["dataset"] | {"primary": primary}})
    return run


def whole_run(path: Path, methods: tuple[str, ...], seeds: tuple[int, ...], images: int, side: int, **options) -> Path:
    """Write a run whose untrained rows have all seeds too, as the runner writes them."""
    build_run(path, methods, seeds, images=images, side=side, **options)
    scenes = [scene(index, side) for index in range(images)]
    for method in ROLES:
        for seed in seeds[1:] if method in methods else ():
            build_trial(TrialFolder.of(path, "shapes", method, seed), method, seed, "done", scenes)
    return path


def build_trial(folder: TrialFolder, method: str, seed: int, state: str, scenes: list) -> None:
    """Write one trial in the given state."""
    write_json(folder.trial, trial_json(method, seed))
    steps = {"done": 2000, "diverged": 850}.get(state, 1200)
    if method in ROLES:
        folder.set_status("done", step=2000, seconds=0.0)
    else:
        reason = {"diverged": "cycle_a is not finite", "failed": "out of memory"}.get(state, "")
        folder.set_status(state, step=steps, seconds=0.09 * steps, memory=900_000_000 + seed, reason=reason)
        write_jsonl(folder.steps, losses(method, seed, steps, state))
    if state != "done":
        return
    write_jsonl(folder.metrics, metrics(method, seed, len(scenes)))
    if method not in ROLES:
        write_json(folder.cost, {"images_per_second": {"AtoB": 80.0 + seed, "BtoA": 800.0}})
    details = {"split": "test", "images": len(scenes), "resize": "bicubic 64", "scorer": "0123456789ab"}
    write_json(folder.protocols, {"aaaaaaaaaaaa": {"metric": "fcn_score", **details}, "bbbbbbbbbbbb": details})
    for direction in NAMES:
        for index, pair in enumerate(scenes):
            image = translated(method, seed, index, *(pair if direction == "AtoB" else pair[::-1]))
            target = folder.output(direction, f"scene-{index:03d}")
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(target)


def trial_json(method: str, seed: int) -> dict:
    """Return the trial.json that the runner writes before training."""
    layers = [
        ("preset", {"steps": 2000, "batch_size": 4, "load_size": 72, "crop_size": 64}),
        ("--set", {"horizontal_flip": "false"}),
    ]
    if method == "gan_only":
        layers.insert(1, ("method", {"beta1": 0.0}))
    resolved = resolve(layers)
    kinds = [] if method in ROLES else [kind for kind in WEIGHTS if kind != DROPPED.get(method)]
    terms = [
        {
            "name": f"{kind}_{side}", "weight": WEIGHTS[kind], "function": FUNCTIONS[kind], "reads": [f"fake_{side}"],
            "player": "discriminators" if kind == "discriminate" else "generators",
        }
        for kind in kinds for side in "ab"
    ]  # fmt: skip
    dropped = DROPPED.get(method)
    return {
        "schema": 2,
        "method": {
            "name": method, "summary": f"the method {method}", "parent": "cyclegan" if dropped else "",
            "changes": [f"without {dropped}_{side}" for side in "ab"] if dropped else [],
            "role": ROLES.get(method, ""), "terms": terms,
        },
        "dataset": {
            "name": "shapes", "label": "shapes", "directions": NAMES, "licence": "CC0", "split_rule": "by scene seed",
            "domains": [{"name": "labels", "kind": "labels"}, {"name": "photo", "kind": "photo"}],
            "counts": {"train A": 400, "train B": 400, "test": 12},
        },
        "seed": seed, "preset": "demo", "steps": 0 if method in ROLES else 2000,
        "config": vars(resolved.config), "weights": resolved.weights,
        "origins": resolved.origins, "digest": f"{seed:012x}", "versions": {"cgbench": "0.1.0", "torch": "2.15.0"},
        "device": "cpu (2 threads)", "parameters": {} if method in ROLES else {"G_ab": 180419, "G_ba": 180419},
        "git": "abc1234",
    }  # fmt: skip


def metrics(method: str, seed: int, images: int) -> list[dict]:
    """Return the metrics of a trial, of steps 1000 and 2000."""
    shift = 0 if method in ROLES else 0.02 * (seed - 1)
    level = LEVEL.get(method, 0.3) + shift
    common = {"n": images, "protocol": "aaaaaaaaaaaa"}
    to_photo = {**common, "direction": "AtoB"}
    rows = [
        {**to_photo, "step": 1000, "metric": "fcn_pixel", "value": 0.01},
        {**to_photo, "step": 2000, "metric": "fcn_pixel", "value": level},
        {**to_photo, "step": 2000, "metric": "fcn_iou", "value": level / 2},
        {**common, "direction": "BtoA", "step": 2000, "metric": "label_pixel", "value": level + 0.04},
    ]
    if method not in ROLES:
        for direction in NAMES:
            error = {"direction": direction, "step": 2000, "metric": "reconstruction_l1", "value": 0.3 - level / 2}
            rows.append({**common, **error, "protocol": "bbbbbbbbbbbb"})
    return rows


def losses(method: str, seed: int, steps: int, state: str) -> list[dict]:
    """Return a log of falling losses with noise; that of a diverged trial ends with an infinite one."""
    rng = np.random.default_rng([seed, len(method)])
    kinds = [kind for kind in WEIGHTS if kind != DROPPED.get(method)]
    rows = []
    for step in range(50, steps + 1, 50):
        falling = 0.25 + 0.75 * math.exp(-step / 500)
        values = {f"{kind}_{side}": falling * rng.uniform(0.7, 1.1) for kind in kinds for side in "ab"}
        if state == "diverged" and step == steps:
            values[f"{kinds[-2]}_a"] = math.inf
        rows.append({"step": step, "learning_rate": 2e-4, "seconds": 0.09 * step, "losses": values})
    return rows


def scene(index: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a label image and a shaded photo of the same scene, uint8 (side, side, 3)."""
    rng = np.random.default_rng([7, index])
    rows, columns = np.mgrid[0:side, 0:side] / side
    labels = np.where(rows[..., None] > rng.uniform(0.5, 0.7), [128, 64, 128], [70, 130, 180])
    for colour in ([70, 70, 70], [107, 142, 35], [0, 0, 142]):
        top, left = rng.uniform(0.1, 0.6, 2)
        inside = (abs(rows - top - 0.12) < 0.15) & (abs(columns - left - 0.1) < 0.13)
        labels = np.where(inside[..., None], colour, labels)
    shade = 0.65 + 0.5 * (1 - rows)[..., None] + rng.normal(0, 0.05, (side, side, 1))
    photo = np.clip(0.8 * labels * shade + [30, 26, 16], 0, 255)
    return labels.astype(np.uint8), photo.astype(np.uint8)


def translated(method: str, seed: int, index: int, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return a mixture of source and target that resembles the output of the method."""
    if method == "copy":
        return source
    if method == "real":
        return target
    if method == "shuffled":
        return np.roll(target, 20, axis=1)
    rng = np.random.default_rng([seed, index, len(method)])
    share = NOISE.get(method, 0.5)
    mixed = (1 - share) * target + share * source + rng.normal(0, 60 * share, target.shape)
    return np.clip(mixed, 0, 255).astype(np.uint8)


CALIBRATION = {  # of `lost`
    "digest": "cccccccccccc", "origin": "48 validation scenes", "control_origin": "24 test scenes", "declared": 0.03,
    "disturbances": "noise; blur", "control": "real images of other scenes", "healthy_rate": 0.04,
    "healthy_images": 336, "worst_disturbance": "blur", "worst_rate": 0.1, "control_rate": 0.9, "control_images": 24,
}  # fmt: skip
FAILURES = {
    "copy": ("copy of the input", 0.25, False, 0.5),
    "lost": ("structure lost", 0.05, True, 0.25),
    "hidden": ("hidden signal", 3.0, True, 0.5),
}


def add_failures(run: Path, images: int = 12, ood_images: int = 4) -> Path:
    """Add scores of single images, failures, reconstructions, segmentations and OOD outputs to every finished trial."""
    for folder in trial_folders(run):
        spec, done = read_json(folder.trial), folder.status()["state"] == "done"
        method, seed = spec["method"]["name"], spec["seed"]
        if not done:
            continue
        keys = [f"scene-{index:03d}" for index in range(images)]
        write_json(folder.failures, {direction: _detections(method, seed, keys) for direction in NAMES})
        rng = np.random.default_rng([seed, len(method), 3])
        names = {"AtoB": ("fcn_pixel", "fcn_iou"), "BtoA": ("label_pixel", "reconstruction_l1")}
        rows = [
            {"direction": direction, "key": key, "metric": name, "value": round(float(rng.random()), 6)}
            for direction in NAMES for name in names[direction] for key in keys
        ]  # fmt: skip
        write_jsonl(folder.image_scores, rows)
        for direction in NAMES:
            for key in keys:
                for path in (folder.reconstruction(direction, key), folder.segmentation(direction, key)):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(folder.output(direction, key).read_bytes())
            for index in range(ood_images):
                path = folder.output(f"{direction}-ood", f"ood-{index}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(folder.output(direction, keys[index % images]).read_bytes())
    return run


def _detections(method: str, seed: int, keys: list[str]) -> dict:
    """Return the detections of one method and direction: copy is a copy without structure, gan_only loses structure."""
    entries = {}
    for name, (label, threshold, above, share) in FAILURES.items():
        rate = {("copy", "copy"): 1.0, ("copy", "lost"): 0.5, ("gan_only", "lost"): 0.5 + 0.25 * (seed == 0)}
        value = rate.get((method, name), 0.0)
        entry = {"state": "found" if value >= share else "not found", "rate": value, "images": len(keys)}
        entry |= {"evidence": 0.1, "detail": "tree in 9 images" if value else ""}
        entry |= {"flagged": keys[: round(value * len(keys))]}
        if (method, name) == ("copy", "lost"):
            entry |= {"state": "explained", "explained_by": ["copy"]}
        if name == "hidden" and (method in ROLES or method == "gan_only"):
            entry = {"state": "not applicable", "reason": "needs a way back"}
        definition = {"label": label, "summary": f"what {label} is", "evidence_definition": f"the measure of {label}"}
        entries[name] = entry | definition | {"threshold": threshold, "above": above, "share": share, "version": 1}
        entries[name] |= {"calibration": CALIBRATION} if name == "lost" else {}
    return entries
