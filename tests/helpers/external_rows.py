"""Rows of other programs in the run folder of `build_run`."""

from cgbench.files import read_json, write_json, write_jsonl
from cgbench.results.run_folder import TrialFolder
from helpers.run_folder import build_trial, scene

IMAGES = 12


def add_external(run, name="theirs", seeds=(None,), training="", direction="AtoB", level=0.6):
    """Add an external row with a number, and scores of single images, in one direction."""
    for seed in seeds:
        folder = TrialFolder.of(run, "shapes", name, seed or 0)
        build_trial(folder, name, seed or 0, "done", [scene(index, 16) for index in range(IMAGES)])
        record = read_json(folder.trial)
        record["method"] |= {"role": "external", "terms": [], "summary": "outputs of another program"}
        told = {"direction": direction, "seed": seed, "training": training, "origin": "folder out (12 PNG)"}
        why = {"reconstruction_l1": "needs a method that reconstructs its source", "psnr": "never measured here"}
        record |= {"external": {**told, "digest": "0" * 12, "not_measured": why}, "parameters": {}, "steps": 0}
        write_json(folder.trial, record)
        folder.set_status("done", step=0, seconds=0.0)
        row = {"direction": direction, "step": 0, "n": IMAGES, "protocol": "aaaaaaaaaaaa"}
        value = level + 0.01 * (seed or 0)
        write_jsonl(folder.metrics, [{**row, "metric": name, "value": value} for name in ("fcn_pixel", "fcn_iou")])
        for path in (folder.cost, folder.steps):
            path.unlink(missing_ok=True)
    return run
