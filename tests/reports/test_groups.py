"""A report of numbers by patient: columns with units, the patient as the unit of comparison, no image of that name."""

import numpy as np
import pytest
from scipy import stats

from cgbench.api.metric import GROUP, Value
from cgbench.files import read_json, read_jsonl, write_json, write_jsonl
from cgbench.reports.contents import collect_contents, markdown
from cgbench.reports.figure_set import draw_figures
from cgbench.reports.galleries.worst_images import worst_images
from cgbench.reports.report import write_report
from cgbench.reports.sections.differences import Basis, compare
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.run_folder import METHODS, ROLES, VALUES, add_failures, build_run

MAE = Value("mae", "MAE", "lower", 1, minimum=0, of=GROUP, unit_of_target=True)
DECLARED = {"mae": MAE, **VALUES}
PATIENTS = ("p1", "p2", "p3")
IMAGES = 6


def error(method, seed, patient):
    return float(np.random.default_rng([len(method), seed, PATIENTS.index(patient)]).uniform(40, 90))


def by_patient(path, seeds=(0, 1, 2)):
    """Return a run whose slices belong to three patients, with an error of each patient in the direction AtoB."""
    run = add_failures(build_run(path, seeds=seeds, images=IMAGES), images=IMAGES)
    for method in METHODS:
        for seed in seeds if method not in ROLES else seeds[:1]:
            folder = TrialFolder.of(run, "shapes", method, seed)
            spec = read_json(folder.trial)
            domains = [{**domain, "pixels": {"unit": unit}} for domain, unit in
                       zip(spec["dataset"]["domains"], ("", "HU"), strict=True)]  # fmt: skip
            facts = {"image_groups": "patient", "domains": domains, "primary": {"AtoB": "mae"}}
            write_json(folder.trial, spec | {"dataset": spec["dataset"] | facts})
            errors = [error(method, seed, patient) for patient in PATIENTS]
            rows = [{**row, "group": PATIENTS[int(row["key"][-1]) % 3]} for row in read_jsonl(folder.image_scores)]
            common = {"direction": "AtoB", "metric": "mae", "of": "group"}
            rows += [{**common, "key": name, "group": name, "value": value} for name, value in
                     zip(PATIENTS, errors, strict=True)]  # fmt: skip
            write_jsonl(folder.image_scores, rows)
            number = {"direction": "AtoB", "metric": "mae", "step": 2000, "n": IMAGES, "protocol": "aaaaaaaaaaaa"}
            write_jsonl(folder.metrics, [*read_jsonl(folder.metrics), {**number, "value": float(np.mean(errors))}])
    return run


def test_tables_have_the_unit_of_the_target_and_say_what_is_by_patient(tmp_path):
    contents = collect_contents(by_patient(tmp_path), DECLARED)
    to_photo, to_labels = contents.layout()
    assert to_photo.headers[0] == "MAE (HU) ↓" and "MAE" not in " ".join(to_labels.headers)
    assert to_photo.caption.endswith(" By patient, then the mean over patients: MAE.")
    assert to_photo.caption.startswith("labels→photo: 6 test images")
    assert "patient" not in to_labels.caption
    assert "MAE (HU) ↓" in markdown(contents)


def test_every_part_of_the_report_names_the_unit(tmp_path):
    run = by_patient(tmp_path)
    contents = collect_contents(run, DECLARED)
    assert "judged by MAE (HU)" in contents.headlines()[0]
    to_photo, to_labels = contents.differences()
    assert "MAE (HU) ↓" in to_photo.headers and "HU" not in " ".join(to_labels.headers)
    assert all("MAE (HU)" in header for header in contents.questions()[0].headers)
    assert "MAE (HU)" in contents.questions()[0].caption
    panels = {panel.name: panel.title for panel in draw_figures(contents).panels()}
    named = [title for key, title in panels.items() if key.endswith("-AtoB-mae")]
    assert len(named) > 1 and set(named) == {"MAE (HU) ↓"}


def test_without_a_unit_the_label_stands_alone(tmp_path):
    run = by_patient(tmp_path)
    for folder in run.glob("shapes/*/*"):
        spec = read_json(folder / "trial.json")
        for domain in spec["dataset"]["domains"]:
            domain.pop("pixels")
        write_json(folder / "trial.json", spec)
    assert collect_contents(run, DECLARED).layout()[0].headers[0] == "MAE ↓"


def test_patients_are_the_units_of_comparisons(tmp_path):
    run = read_run(by_patient(tmp_path / "three"))
    rows = compare(run, DECLARED).rows.set_index(["direction", "metric", "basis", "method"])
    found = rows.loc[("AtoB", "mae", Basis.SEEDS_IMAGES, "gan_only")]
    assert (found["images"], found["groups"]) == (3, "patient")
    assert rows.loc[("AtoB", "fcn_pixel", Basis.SEEDS_IMAGES, "gan_only")]["images"] == 3

    one = read_run(by_patient(tmp_path / "one", seeds=(0,)))
    rows = compare(one, DECLARED).rows.set_index(["direction", "metric", "basis", "method"])
    own, p = [error("cyclegan", 0, patient) for patient in PATIENTS], {}
    for method in ("gan_only", "cycle_only"):
        theirs = [error(method, 0, patient) for patient in PATIENTS]
        found = rows.loc[("AtoB", "mae", Basis.IMAGES, method)]
        assert found["images"] == 3 and found["difference"] == pytest.approx(np.mean(theirs) - np.mean(own))
        p[method] = float(stats.ttest_rel(theirs, own).pvalue)
    first, second = sorted(p, key=p.get)
    holm = {first: min(1, 2 * p[first]), second: max(min(1, 2 * p[first]), p[second])}
    for method, expected in holm.items():
        assert rows.loc[("AtoB", "mae", Basis.IMAGES, method)]["p"] == pytest.approx(expected)


def test_a_patient_is_no_image_of_the_gallery(tmp_path):
    run = by_patient(tmp_path)
    galleries = worst_images(read_run(run), DECLARED)
    keys = {example.key for gallery in galleries for example in gallery.examples}
    assert keys and not keys & set(PATIENTS)
    assert "mae" not in {value.name for gallery in galleries for value in gallery.metrics}
    page = write_report(run, DECLARED).read_text(encoding="utf-8")
    assert "MAE (HU)" in page and "no image" not in page
