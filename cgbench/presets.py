"""The presets: named sets of values, the first layer of a configuration."""

from typing import Any

from cgbench.errors import CgbenchError, did_you_mean

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 6, "batch_size": 2, "load_size": 36, "crop_size": 32, "blocks": 1, "ngf": 8, "ndf": 8,
        "discriminator_layers": 2, "pool_size": 4, "max_train_images": 12, "max_test_images": 6, "scorers": 1,
        "scorer_limit": 24, "scorer_steps": 30, "scorer_batch": 8, "scorer_width": 8, "log_every": 2, "save_every": 3,
        "search_steps": 5,
    },
    "demo": {
        "steps": 1500, "batch_size": 4, "load_size": 72, "crop_size": 64, "blocks": 3, "ngf": 16, "ndf": 16,
        "scorer_steps": 1200, "scorer_batch": 16, "scorer_width": 16, "save_every": 250,
    },
    "paper": {},
}  # fmt: skip
PRESET_SUMMARIES = {
    "smoke": "seconds on a CPU: does everything run?",
    "demo": "minutes on two CPU cores, 64 pixels: see the methods differ",
    "paper": "the published recipe: batch 1, 100 + 100 epochs, 256 pixels; wants a GPU",
}


def preset_values(preset: str) -> dict[str, Any]:
    """Return the values of a preset; an unknown name raises."""
    if preset not in PRESETS:
        raise CgbenchError(f"unknown preset '{preset}': {did_you_mean(preset, list(PRESETS))}")
    return dict(PRESETS[preset])
