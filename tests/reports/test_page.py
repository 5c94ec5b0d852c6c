"""The page: self-contained, escaped, reproducible byte for byte, and functional in a real browser."""

import base64
import json
import re
import shutil

import numpy as np
import pytest

from cgbench.errors import CgbenchError
from cgbench.files import read_json, write_json, write_jsonl
from cgbench.reports.figures.losses import CURVE_POINTS, loss_panels, read_losses
from cgbench.reports.figures.style import PALETTE, assign_styles
from cgbench.reports.galleries import image_grid
from cgbench.reports.galleries.image_grid import even_keys, image_grids
from cgbench.reports.report import write_report
from cgbench.reports.sections import provenance
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.pages import HOSTILE, Collector, dom, needs_browser
from helpers.run_folder import VALUES, build_run

TRIALS = {("gan_only", 1): "diverged"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return build_run(tmp_path_factory.mktemp("runs") / "demo", states=TRIALS, side=16)


@pytest.fixture(scope="module")
def page(run):
    return write_report(run, VALUES).read_text(encoding="utf-8")


def linear(colours):
    """Return hex colours as linear RGB, (N, 3) from 0 to 1."""
    share = np.array([[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in colours]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(colours):
    """Return linear RGB as CIE L*a*b*, white D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = np.clip(colours, 0, 1) @ to_xyz.T / [0.9505, 1, 1.089]
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])], axis=1)


def test_the_sections_are_there(page):
    headings = [
        "Images",
        "Scores",
        "Differences from cyclegan",
        "Steps",
        "Costs",
        "Seeds",
        "Losses",
        "What each method is",
        "Provenance",
    ]
    assert Collector(page).headings == headings


def test_two_reports_are_the_same_bytes(run):
    write_report(run, VALUES)
    files = sorted(path for path in (run / "report").rglob("*") if path.is_file())
    names = {file.name for file in files}
    assert {"index.html", "table.md", "table.csv", "table.tex", "costs.csv", "cost-AtoB-fcn_pixel.svg"} <= names
    first = [file.read_bytes() for file in files]
    write_report(run, VALUES)
    assert [file.read_bytes() for file in files] == first


def test_the_page_needs_nothing_but_itself(page):
    elements = Collector(page).elements
    links = [value for _, item in elements for name, value in item.items() if name in ("src", "href", "xlink:href")]
    assert links and all(link.startswith(("data:image/", "#")) for link in links)
    assert not re.search(r"@import|url\((?!#)", page)
    policy = next(item["content"] for item in Collector(page).all("meta") if "http-equiv" in item)
    assert policy.startswith("default-src 'none'; img-src data:")
    assert "unsafe-inline" not in re.search(r"script-src ([^;]*)", policy)[1]


def test_no_id_is_used_twice_and_all_that_are_referred_to_exist(page):
    found = Collector(page)
    assert len(found.ids) == len(set(found.ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', page)) <= set(found.ids)


def test_every_image_has_its_own_alternative_text(page):
    texts = [item.get("alt") for item in Collector(page).all("img")]
    assert all(texts) and len(texts) == len(set(texts))
    assert "labels→photo, cyclegan, seed 2, test image scene-011" in texts
    assert all(item["aria-label"] for item in Collector(page).all("svg") if "aria-hidden" not in item)


def test_a_failure_is_shown_everywhere(page, run):
    assert "Trials without numbers: 1 of 12 (1 diverged)." in page
    assert "gan_only, seed 1: diverged at step 850 – cycle_a is not finite" in page
    assert 'aria-label="labels→photo, gan_only, seed 1, test image scene-000: diverged">diverged<' in page
    assert "Trials without numbers: 1 of 12" in (run / "report" / "table.md").read_text(encoding="utf-8")


def test_few_seeds_are_warned_of(tmp_path, page):
    assert "may be noise" not in page
    text = write_report(build_run(tmp_path / "run", seeds=(5,), images=2, side=8), VALUES).read_text(encoding="utf-8")
    assert "One seed: differences between methods may be noise." in text


def test_trials_that_died_at_once_are_shown(tmp_path):
    run = build_run(tmp_path / "run", methods=("cyclegan", "gan_only"), seeds=(0, 1, 2), images=1, side=8)
    folders = [TrialFolder.of(run, "shapes", "gan_only", seed) for seed in (0, 1, 2)]
    folders[0].set_status("failed")
    (folders[1].path / "status.json").unlink()
    shutil.rmtree(folders[2].path)
    write_report(run, VALUES)
    text = (run / "report" / "table.md").read_text(encoding="utf-8")
    assert "Trials without numbers: 3 of 6 (1 failed, 2 not started)." in text
    assert "| gan_only | 1 failed, 2 not started |" in text


def test_everything_from_data_is_escaped(tmp_path):
    run = build_run(tmp_path / "run", methods=("copy", "cyclegan"), seeds=(0,), images=1, side=8)
    metadata = read_json(run / "run.json")
    write_json(run / "run.json", {**metadata, "command": HOSTILE, "preset": HOSTILE, "methods": ["copy", HOSTILE]})
    folder = TrialFolder.of(run, "shapes", "cyclegan", 0)
    spec = read_json(folder.trial)
    spec["method"] |= {"name": HOSTILE, "summary": HOSTILE, "changes": [HOSTILE]}
    spec["method"]["terms"][0] |= {"name": HOSTILE, "function": HOSTILE, "player": HOSTILE}
    spec["dataset"]["directions"] = {"AtoB": HOSTILE, "BtoA": HOSTILE}
    spec |= {"device": HOSTILE, "versions": {HOSTILE: HOSTILE}, "parameters": {HOSTILE: 1}}
    write_json(folder.trial, spec)
    write_json(folder.protocols, {"aaaaaaaaaaaa": {HOSTILE: HOSTILE}})
    write_jsonl(folder.steps, [{"step": step, "losses": {HOSTILE: 0.5}} for step in (1, 2)])
    renamed = TrialFolder.of(run, "shapes", HOSTILE, 0)  # the folder of a trial of that name
    renamed.path.parent.mkdir(parents=True)
    folder.path.rename(renamed.path)
    text = write_report(run, VALUES).read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert len(Collector(text).all("script")) == 1


def test_settings_name_their_layer_and_the_methods_that_differ(run):
    rows = {(row.name, row.methods): (row.value, row.layer) for row in provenance.settings(read_run(run))}
    assert rows["crop_size", ""] == ("64", "preset")
    assert rows["horizontal_flip", ""] == ("false", "--set")
    assert rows["beta1", "gan_only"] == ("0", "method")
    assert rows["beta1", "cyclegan, cycle_only"] == ("0.5", "recipe")


def test_term_weights_show_what_a_method_lacks(run):
    rows = {row.term: row.weights for row in provenance.term_rows(read_run(run))}
    assert rows["cycle_a"] == ("10", "–", "10")
    assert rows["adversarial_b"] == ("1", "1", "–")


def test_test_images_are_evenly_spaced():
    assert even_keys(list("abcdefghijk"), 3) == ["a", "f", "k"]
    assert even_keys(list("ab"), 3) == ["a", "b"]


def test_the_grid_shows_the_files_themselves(run):
    first = image_grids(read_run(run)).grids[1]
    assert [column.label for column in first.columns] == ["input", "cyclegan", "gan_only", "cycle_only", "ground truth"]
    image = first.cells[0][1][2]
    stored = TrialFolder.of(run, "shapes", "cyclegan", 2).output("BtoA", first.keys[0]).read_bytes()
    assert base64.b64decode(image.uri.removeprefix("data:image/png;base64,")) == stored


def test_lost_and_broken_images_have_a_status(tmp_path):
    run = build_run(tmp_path / "run", seeds=(0,), images=2, side=8)
    folder = TrialFolder.of(run, "shapes", "cyclegan", 0)
    folder.output("AtoB", "scene-000").unlink()
    broken = folder.output("AtoB", "scene-001")
    broken.write_bytes(broken.read_bytes()[:60])
    cells = image_grids(read_run(run)).grids[0].cells
    assert [row[1][0].status for row in cells] == ["no image", "unreadable image"]


def test_many_large_images_are_made_small(run, monkeypatch):
    monkeypatch.setattr(image_grid, "BUDGET", 1000)
    assert (shown := image_grids(read_run(run))).small
    assert shown.grids[0].cells[0][0][0].uri.startswith("data:image/webp;base64,")


def test_long_logs_are_thinned_over_the_same_steps(tmp_path):
    run = build_run(tmp_path / "run", methods=("cyclegan", "gan_only"), seeds=(0,), images=1, side=8)
    for method, last in (("cyclegan", 5000), ("gan_only", 2500)):
        lines = [{"step": step, "losses": {"cycle_a": float(step > 2500)}} for step in range(1, last + 1)]
        write_jsonl(TrialFolder.of(run, "shapes", method, 0).steps, lines)
    table = read_losses(read_run(run).trials)
    long, short = (set(table[table["method"] == name]["step"]) for name in ("cyclegan", "gan_only"))
    assert len(long) <= CURVE_POINTS and short < long
    assert table[table["method"] == "cyclegan"]["loss"].mean() == pytest.approx(0.5, abs=0.02)


def test_a_loss_that_runs_away_does_not_flatten_the_others(run):
    losses = read_losses(read_run(run).trials)
    styles = assign_styles(["cyclegan", "gan_only", "cycle_only"], {})
    assert not any(panel.note for panel in loss_panels(losses, [], styles))
    losses.loc[losses.index[0], "loss"] = 1e9
    assert any("the largest value is 1e+09" in panel.note for panel in loss_panels(losses, [], styles))


def test_twenty_methods_look_different():
    styles = assign_styles([f"method {place}" for place in range(20)], {})
    assert len(set(styles.values())) == 20
    assert all(style.colour in PALETTE for style in styles.values())


def test_colours_stand_out_on_both_pages_and_for_the_colour_blind():
    # Machado, Oliveira and Fernandes 2009, severity 1: deuteranopia, protanopia, tritanopia; linear RGB.
    visions = [
        np.eye(3),
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    ]
    colours = linear([*PALETTE, "#15181c"])
    light = colours @ [0.2126, 0.7152, 0.0722] + 0.05
    assert (1.05 / light[:-1] >= 3).all() and (light[:-1] / light[-1] >= 3).all()
    for vision in visions:
        perceived = lab(colours[:-1] @ np.transpose(vision))
        apart = np.linalg.norm(perceived[:, None] - perceived[None], axis=2)
        assert apart[~np.eye(len(perceived), dtype=bool)].min() > 20


def test_a_run_of_another_dataset_is_refused(tmp_path):
    run = build_run(tmp_path / "run", seeds=(0,), images=1, side=8)
    write_json(run / "run.json", {**read_json(run / "run.json"), "dataset": "other"})
    with pytest.raises(CgbenchError, match=r"run\.json names the dataset other"):
        write_report(run, VALUES)


@needs_browser
def test_the_browser_runs_the_script_and_shows_every_image(page, tmp_path):
    root = Collector(dom(page, tmp_path)).all("html")[0]
    assert root["data-ready"] == "true"
    assert root["data-broken"] == "0"
    # directions × rows × (input, truth, methods × seeds - lost)
    assert int(root["data-images"]) == 2 * 8 * (2 + 3 * 3 - 1)


@needs_browser
def test_the_browser_changes_all_columns_at_once_and_enlarges(page, tmp_path):
    script = """
        const visible = () => [...document.querySelectorAll(".grid:not([hidden]) .picture:not([hidden]) img")]
            .map((image) => image.alt);
        document.querySelector("input[value=BtoA]").click();
        document.querySelector("input[name=seed][value='1']").click();
        document.querySelector("input[name=all]").click();
        const seen = visible();
        document.querySelector("input[name=all]").click();
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        document.querySelector(".grid:not([hidden]) button[tabindex='0']").focus();
        press("ArrowRight"); press("ArrowRight"); press("ArrowDown");
        document.activeElement.click();
        const large = [...document.querySelectorAll("dialog[open] img")].map((image) => image.alt);
        document.title = JSON.stringify({seen, large});
    """
    # The page's policy lets nothing run but its own script: this copy goes without it.
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    after = dom(bare.replace("</body>", f"<script>{script}</script></body>"), tmp_path)
    result = json.loads(re.search(r"<title>(.*?)</title>", after)[1])
    assert len(result["seen"]) == 8 * 4  # gan_only has no picture of seed 1
    assert all(text.startswith("photo→labels") for text in result["seen"])
    assert not any("seed 0" in text or "seed 2" in text for text in result["seen"])
    shown = [
        "input",
        "cycle_only, seed 1",
        "ground truth",
    ]
    assert result["large"] == [f"photo→labels, {what}, test image scene-003" for what in shown]


@needs_browser
def test_the_policy_stops_a_foreign_script(page, tmp_path):
    after = dom(page.replace("</body>", "<script>document.title = 'taken over'</script></body>"), tmp_path)
    assert "<title>demo · cgbench report</title>" in after
