"""Headlines: what the primary number of each direction says, and nothing beside it."""

import pytest

from cgbench.errors import CgbenchError
from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from cgbench.reports.contents import collect_contents, markdown
from cgbench.reports.report import write_report
from cgbench.results.run_folder import TrialFolder, trial_folders
from helpers.run_folder import NAMES, VALUES, build_run, declare_primary

PRIMARY = {"AtoB": "fcn_iou", "BtoA": "label_pixel"}
IOU = {"cyclegan": (0.50, 0.51, 0.52), "gan_only": (0.30, 0.31, 0.32), "cycle_only": (0.505, 0.515, 0.51)}


def judged(path, primary=PRIMARY, scores=IOU, seeds=(0, 1, 2)):
    """A run that declares its primary numbers, with known IoU of three methods."""
    run = declare_primary(build_run(path / "run", methods=(*scores, "copy"), seeds=seeds), primary)
    for method, numbers in scores.items():
        for seed in seeds:
            folder = TrialFolder.of(run, "shapes", method, seed)
            rows = [entry for entry in read_jsonl(folder.metrics) if entry["metric"] != "fcn_iou"]
            last = {"direction": "AtoB", "step": 2000, "n": 12, "protocol": "aaaaaaaaaaaa"}
            write_jsonl(folder.metrics, [*rows, {**last, "metric": "fcn_iou", "value": numbers[seed]}])
    return run


def test_a_headline_speaks_of_the_primary_number_alone(tmp_path):
    first, second = collect_contents(judged(tmp_path), VALUES).headlines()
    size = first.rsplit("A difference of ", 1)[1].split(" ")[0]
    assert first == (
        f"{NAMES['AtoB']}, judged by FCN IoU: surely worse than cyclegan: gan_only; not to be told apart from "
        "it: cycle_only. Best means over 3 seeds: cyclegan 0.510, cycle_only 0.510, gan_only 0.310. "
        f"A difference of {size} would be found four times in five."
    )
    assert 0 < float(size) < 0.2 and second.startswith(f"{NAMES['BtoA']}, judged by label pixel")


def test_the_page_and_the_tables_show_it(tmp_path):
    run = judged(tmp_path)
    contents = collect_contents(run, VALUES)
    text = markdown(contents)
    assert contents.headlines()[0] in text and "Methods are judged by FCN IoU" in text
    table = contents.layout()[0]
    assert table.headers[table.primary] == "FCN IoU ↑"
    write_report(run, VALUES)
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert 'class="headline"' in page and 'class="primary"' in page


def test_one_seed_has_no_verdict(tmp_path):
    line = collect_contents(judged(tmp_path, seeds=(0,)), VALUES).headlines()[0]
    assert "(one seed). One seed says nothing about methods" in line and "orse than" not in line


def test_earlier_records_without_a_primary_number_have_no_headline(tmp_path):
    contents = collect_contents(judged(tmp_path, primary={}), VALUES)
    assert contents.headlines() == [] and contents.layout()[0].primary == -1
    assert "judged" not in markdown(contents)


def test_a_primary_number_that_was_not_measured_is_named(tmp_path):
    line = collect_contents(judged(tmp_path, primary={"AtoB": "fid"}), VALUES).headlines()[0]
    assert line == f"{NAMES['AtoB']}, judged by fid: not measured."


def test_a_dataset_with_an_unknown_primary_number_is_refused(monkeypatch):
    from cgbench.benchmarks.trials.request import RunRequest
    from cgbench.datasets.streets import Streets

    monkeypatch.setattr(Streets, "primary", {"AtoB": "fcn_io"})
    request = RunRequest(("cyclegan",), "streets", None, (0,), "smoke")
    with pytest.raises(CgbenchError, match="primary number AtoB, 'fcn_io', is not known: did you mean 'fcn_iou'"):
        request.resolve()


def test_the_default_is_iou_ssim_of_pairs_and_fid(monkeypatch):
    from cgbench.api.registry import DATASETS

    streets = DATASETS.factory("streets")(None)
    assert [streets.primary_number(direction) for direction in ("AtoB", "BtoA")] == ["fcn_iou", "label_iou"]
    folder = DATASETS.factory("folder")(None)
    for paired, name in ((True, "ssim"), (False, "fid")):
        monkeypatch.setattr(type(folder), "paired_test", paired)
        assert folder.primary_number("AtoB") == name


def test_the_default_of_pairs_that_are_not_8_bit_rgb_is_mae(monkeypatch):
    from cgbench.api.dataset import Domain
    from cgbench.api.registry import DATASETS
    from cgbench.pixel_format import PixelFormat

    folder = DATASETS.factory("folder")(None)
    domains = (Domain("mr"), Domain("ct", pixels=PixelFormat(1, "int16", (-1000.0, 2000.0), "HU")))
    monkeypatch.setattr(type(folder), "domains", domains)
    for paired, name in ((True, "mae"), (False, "fid")):
        monkeypatch.setattr(type(folder), "paired_test", paired)
        assert [folder.primary_number(direction) for direction in ("AtoB", "BtoA")] == [name, name]


def test_an_untrained_row_that_beats_trained_ones_is_a_caveat(tmp_path):
    """The row `copy` of these runs has an IoU of .06."""
    few = {**IOU, "cycle_only": (0.01, 0.02, 0.01)}
    (line,) = [
        text for text in collect_contents(judged(tmp_path / "a", scores=few), VALUES).caveats() if "copy" in text
    ]
    assert "copy, which is not trained, has a better FCN IoU than cycle_only:" in line
    every = {name: (0.01, 0.02, 0.01) for name in IOU}
    text = markdown(collect_contents(judged(tmp_path / "b", scores=every), VALUES))
    assert "has a better FCN IoU than every trained method" in text
    assert not any("copy" in text for text in collect_contents(judged(tmp_path / "c"), VALUES).caveats())


def test_what_the_scorers_reach_stands_beside_the_tables(tmp_path):
    run = judged(tmp_path)
    details = {"metric": "fcn_score", "direction": "AtoB", "scorers": 3, "scorer_held_out_accuracy": 0.8585}
    details |= {"scorer_calibration_error": 0.0298, "scorer_held_out_rejected": 0.0013}
    for folder in trial_folders(run):
        write_json(folder.protocols, {**read_json(folder.protocols), "0" * 12: details})
    (line,) = [text for text in collect_contents(run, VALUES).caveats() if "scorers" in text]
    assert "mean of 3 scorers" in line and "pixel accuracy 0.859" in line and "calibration error 0.030" in line


def test_a_published_network_that_judges_is_named_beside_the_tables(tmp_path):
    run = judged(tmp_path)
    details = {"metric": "fcn_score", "direction": "AtoB", "scorers": 1, "scorer_network": "drivers"}
    details |= {"scorer_architecture": "fcn_resnet50", "scorer_weights": "0123456789abcdef" * 4}
    details |= {"scorer_class_map": "a1b2c3d4e5f6", "scorer_source": "https://example.org"}
    for folder in trial_folders(run):
        write_json(folder.protocols, {**read_json(folder.protocols), "0" * 12: details})
    (line,) = [text for text in collect_contents(run, VALUES).caveats() if "FCN scores" in text]
    named = "drivers (fcn_resnet50, SHA-256 0123456789ab, class map a1b2c3d4e5f6, https://example.org)"
    assert named in line and "mean of" not in line
