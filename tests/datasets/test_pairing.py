"""Tests of test images as pairs: names of many styles, names that only count, and the setting `paired`."""

import json

import numpy as np
import pytest
from PIL import Image

from cgbench.api.dataset import Dataset, Domain, Item, describe_test_images
from cgbench.benchmarks.cli import report
from cgbench.datasets.camvid import CamVid
from cgbench.datasets.checks.checker import check
from cgbench.datasets.folder import Folder
from cgbench.datasets.pairing.edge_likeness import edge_map, pair_likeness
from cgbench.datasets.pairing.names import match_names
from cgbench.datasets.phantoms import Phantoms
from cgbench.datasets.streets import Streets
from cgbench.errors import CgbenchError
from cgbench.files import read_jsonl
from cgbench.pixel_format import display_rgb
from cgbench.results.run_folder import TrialFolder
from cgbench.selection import evenly_spaced
from helpers.cli import SMALL, cgbench

MARK = "by the same name without the mark of its domain, A or B"
STYLES = {  # names of the k-th files -> the rule, the key of the file 7, whether names only count
    ("{k}", "{k}"): ("by the same name", "7", True),
    ("{k:03d}_A", "{k:03d}_B"): ("by the same name without a trailing _A or _B", "007", False),
    ("{k:03d}_real_A", "{k:03d}_real_B"): ("by the same name without a trailing _A or _B", "007_real", False),
    ("{k:03d}_a", "{k:03d}_b"): (MARK, "007", True),
    ("{k:03d}-A", "{k:03d}-B"): (MARK, "007", True),
    ("{k} A", "{k} B"): (MARK, "7", True),
    ("A_{k:03d}", "B_{k:03d}"): (MARK, "007", True),
    ("real_A_{k:03d}", "real_B_{k:03d}"): (MARK, "007", True),
    ("mr_{k:03d}", "ct_{k:03d}"): ("by the part … of mr_… and ct_…", "007", True),
    ("mr{k}", "ct-{k:04d}"): ("by the part … of mr… and ct-…, but for leading zeros", "7", True),
    ("{k}", "{k:03d}"): ("by the same name, but for leading zeros", "7", True),
    ("IMG{k}", "img{k}"): ("by the same name, but for letter case", "img7", True),
    ("x_{k:06d}_leftImg8bit", "x_{k:06d}_gtFine_color"): (
        "by the part … of x_…_leftImg8bit and x_…_gtFine_color", "000007", True,
    ),
}  # fmt: skip


def names_of(pattern, count=12):
    return [pattern.format(k=k) for k in range(count)]


@pytest.mark.parametrize(("patterns", "expected"), STYLES.items(), ids=lambda value: str(value[0]))
def test_names_of_this_style_are_pairs(patterns, expected):
    a, b = map(names_of, patterns)
    found = match_names(a, b[::-1])
    rule, key, running = expected
    assert (found.rule, found.running, found.complete) == (rule, running, True)
    assert (key, 7, 4) in found.pairs and all(i + j == 11 for _, i, j in found.pairs)


@pytest.mark.parametrize("patterns", STYLES, ids=lambda value: value[0])
def test_one_renamed_file_leaves_two_over(patterns):
    a, b = map(names_of, patterns)
    a[3] = "scan"
    found = match_names(a, b)
    assert found.left == ((3,), (3,)) and len(found.pairs) == 11 and found.almost and not found.complete


@pytest.mark.parametrize(
    ("a", "b", "pairs", "running"),
    [
        (["horse"], ["zebra"], 0, False),
        (["a", "b"], ["c", "d"], 0, False),
        (["photo 0"], ["photo 0"], 1, True),  # one pair is no evidence
        (["a", "b", "c"], ["a", "b", "c"], 3, True),
        (["8", "9", "a", "b"], ["8", "9", "a", "b"], 4, True),
        (["0_0", "0_1", "1_0"], ["0_0", "0_1", "1_0"], 3, True),
        (["fold0_img0", "fold1_img1"], ["fold0_img0", "fold1_img1"], 2, True),
        (["画像００", "画像０１"], ["画像００", "画像０１"], 2, True),
        (["A_kyoto12", "A_rome40"], ["B_kyoto12", "B_rome40"], 2, False),
        (["cat", "dog"], ["cat", "dog"], 2, False),
        (["1", "01"], ["1", "2"], 1, True),  # "1" is exact; "1" and "01" are one number, so neither has it
        (["000019", "004711", "120000"], ["000019", "004711", "120000"], 3, False),  # equal ids are evidence
        (["x2", "x4", "x6"], ["x2", "x4", "x6"], 3, True),
        (["n12_20", "n12_120", "n12_1000"], ["n39_80", "n39_100", "n39_1000"], 1, True),
        ([], [], 0, False),
    ],
)
def test_names_that_say_little(a, b, pairs, running):
    found = match_names(a, b)
    assert (len(found.pairs), found.running) == (pairs, running)


# images: scenes of random rectangles, B in other colours


def scene(number, domain):
    ground = np.zeros((48, 64), np.intp)
    rng = np.random.default_rng(number)
    for label in range(1, 9):
        y, x = rng.integers(0, 36), rng.integers(0, 48)
        ground[y : y + rng.integers(8, 24), x : x + rng.integers(8, 24)] = label
    colours = np.random.default_rng((number, 1 + "AB".index(domain))).integers(0, 256, (9, 3))
    return Image.fromarray(colours[ground].astype(np.uint8))


def folders(root, names_a, names_b, other=0):
    """A data root whose k-th test images show scene k, in B scene k + `other`; training images of other scenes."""
    for domain, names, first in (("A", names_a, 0), ("B", names_b, other)):
        for split, stems in (("train", [f"t{k}" for k in range(4)]), ("test", names)):
            (root / f"{split}{domain}").mkdir(parents=True)
            for k, name in enumerate(stems):
                number = first + k if split == "test" else 1000 + 100 * (domain == "B") + k
                scene(number, domain).save(root / f"{split}{domain}" / f"{name}.png")
    return root


def said(dataset):
    return describe_test_images(dataset, *(len(dataset.items("test", domain)) for domain in "AB"))


def test_numbers_are_pairs_where_the_images_are_alike(tmp_path):
    data = Folder(folders(tmp_path, names_of("{k}"), names_of("{k:02d}")))
    assert (
        said(data)
        == "12 pairs by the same name, but for leading zeros; their images are alike (p = 0.001, 12 pairs compared)"
    )
    keys = [[item.key for item in data.items("test", domain)] for domain in "AB"]
    assert keys[0] == keys[1] and len(keys[0]) == 12
    assert data.items("test", "B")[2].file.name == "10.png" and data.items("test", "A")[2].file.name == "10.png"


def test_numbers_of_unlike_images_are_no_pairs(tmp_path):
    data = Folder(folders(tmp_path, names_of("{k}"), names_of("{k}"), other=50))
    text = said(data)
    assert text.startswith("12 and 12, not pairs (names are running numbers, and images of one number are")
    assert "no more alike than others (p = 0." in text and "--set paired=yes if they are pairs" in text
    assert "PSNR" in text
    notes = [issue for issue in check(data).issues if issue.check == "pairs"]
    assert [note.severity for note in notes] == ["note"] and "running numbers" in notes[0].text
    data.configure(paired="yes")
    assert said(data) == "12 pairs by the same name"


@pytest.mark.parametrize("count", [2, 4])
def test_a_few_numbered_pairs_must_be_far_more_alike(tmp_path, count):
    names = names_of("{k}", count)
    assert Folder(folders(tmp_path / "alike", names, names)).paired_test
    assert not Folder(folders(tmp_path / "unlike", names, names, other=50)).paired_test
    one = Folder(folders(tmp_path / "one", ["1"], ["1"]))
    assert not one.paired_test and "too few images" in one.pair_rule


def test_one_renamed_file_is_named_and_paired_yes_leaves_it_out(tmp_path):
    names = names_of("{k:02d}_A", 60)
    root = folders(tmp_path, ["renamed", *names[1:]], names_of("{k:02d}_B", 60))
    data = Folder(root)
    assert said(data).startswith(
        "60 and 60, not pairs (2 of 120 files have no partner: renamed.png in testA, 00_B.png in testB; mend their "
        "names, or --set paired=yes measures the 59 pairs): PSNR"
    )
    found = check(data)
    assert found.test_images == said(data)
    issues = [issue for issue in found.issues if issue.check == "pairs"]
    assert {issue.files[0] for issue in issues} == {"testA/renamed.png", "testB/00_B.png"}
    assert {issue.severity for issue in issues} == {"warning"} and "paired=yes measures 59" in issues[0].fix
    data.configure(paired="yes")
    assert said(data) == (
        "59 pairs by the same name without a trailing _A or _B; left out for want of a partner: renamed.png in testA, "
        "00_B.png in testB"
    )


def test_paired_yes_without_a_match_is_an_error_with_names(tmp_path):
    data = Folder(folders(tmp_path, ["ant", "bee"], ["cow", "dog", "elk", "fox"]))
    names = "ant.png, bee.png in testA, cow.png, dog.png, elk.png and 1 more in testB"
    assert said(data).startswith(f"2 and 4, not pairs (names do not match: {names}): PSNR")
    with pytest.raises(CgbenchError, match=r"paired=yes: no file of testA has .*: ant.png, bee.png in testA, cow.png"):
        data.configure(paired="yes")


def test_paired_no_never_pairs(tmp_path):
    data = Folder(folders(tmp_path, names_of("{k}_A"), names_of("{k}_B")))
    assert data.paired_test
    data.configure(paired="no")
    assert said(data) == "12 and 12, not pairs (paired=no): PSNR, SSIM, LPIPS and L1 to truth are not measured"
    assert [item.key for item in data.items("test", "A")][:2] == ["0_A", "10_A"]


def test_names_that_lie_are_a_warning(tmp_path):
    names = [[f"scene{k * k * k}_{letter}" for k in range(12)] for letter in "AB"]
    found = check(Folder(folders(tmp_path / "true", *names)))
    assert not [issue for issue in found.issues if issue.check == "pairs"]
    found = check(Folder(folders(tmp_path / "lying", *names, other=50)))
    (issue,) = (issue for issue in found.issues if issue.check == "pairs")
    assert issue.severity == "warning" and "no more alike than others (edges of 12 pairs, p = 0." in issue.text
    assert "paired=no" in issue.fix


def test_pairs_by_order_that_no_name_gives_away_are_a_note(tmp_path):
    words = ["ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen", "ibex"]
    found = check(Folder(folders(tmp_path, words, [f"{k:02d}" for k in range(9)])))
    (issue,) = (issue for issue in found.issues if issue.check == "pairs")
    assert issue.severity == "note" and "same place in order are alike" in issue.text and "one name" in issue.fix


class Declared(Dataset):
    """A dataset of another package that declares no pairs, with one set of keys in both domains."""

    name, summary, domains = "declared", "scenes", (Domain("A"), Domain("B"))

    def __init__(self, other):
        super().__init__()
        self.other = other

    def items(self, split, domain):
        first = (1000 if split == "train" else 0) + (self.other if domain == "B" else 0)
        return [Item(f"{k}", lambda side, number=first + k: np.asarray(scene(number, domain))) for k in range(10)]


@pytest.mark.parametrize(("other", "notes"), [(0, 1), (50, 0)])
def test_a_dataset_that_declares_no_pairs_is_asked_to_only_where_images_are_alike(other, notes):
    found = check(Declared(other))
    issues = [issue for issue in found.issues if issue.check == "pairs"]
    assert len(issues) == notes and all("declare 'paired_test'" in issue.fix for issue in issues)
    assert found.test_images.startswith("10 and 10, not pairs (the dataset declares none)")


def pictures(dataset, domain):
    """Twelve test images as pictures, spread over the test set."""
    items = dataset.items("test", domain)
    images = np.stack([items[place].image(64) for place in evenly_spaced(len(items), 12)])
    return display_rgb(images, dataset.domains[domain == "B"].pixels)


@pytest.mark.parametrize("dataset", [Streets(), Phantoms()], ids=["streets", "phantoms"])
def test_scenes_that_are_drawn_in_both_domains_are_alike(dataset):
    a, b = (np.stack([edge_map(Image.fromarray(picture)) for picture in pictures(dataset, domain)]) for domain in "AB")
    assert pair_likeness(a, b).alike and pair_likeness(a, b) == pair_likeness(a, b)
    assert not pair_likeness(a, np.roll(b, 5, axis=0)).alike


@pytest.mark.parametrize("dataset", [Streets(), Phantoms(), CamVid()], ids=lambda data: data.name)
def test_built_in_datasets_say_their_rule(dataset):
    assert describe_test_images(dataset, 5, 5).startswith("5 pairs by ")
    dataset.configure(paired="no")
    assert "not pairs (paired=no)" in describe_test_images(dataset, 5, 5)


# the command line


def run(root, runs, *options):
    data = ["--dataset", "folder", "--data-root", root, "--runs-dir", runs, "--name", "one", *options]
    return cgbench("run", "--methods", "gan_only", *data, *SMALL)


def measured(folder):
    return {row["metric"] for row in read_jsonl(folder.metrics)}


def test_a_run_says_and_records_its_pairs_and_an_evaluation_keeps_them(tmp_path, monkeypatch):
    root = folders(tmp_path / "set", names_of("mr_{k}"), names_of("ct_{k}"))
    line = "3 pairs by the part … of mr_… and ct_…; their images are alike (p = 0.001, 12 pairs compared)"
    assert f"test images: {line}" in run(root, tmp_path / "runs")
    one = tmp_path / "runs" / "one"
    folder = TrialFolder.of(one, "set", "gan_only", 0)
    record = json.loads(folder.trial.read_text())["dataset"]
    assert (record["paired"], record["test_images"]) == (True, line)
    assert {"psnr", "paired_l1"} <= measured(folder)
    for name in ("index.html", "table.md"):
        assert line in (one / "report" / name).read_text()
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)
    for k in range(12):  # other scenes: on their own they would be no pairs now
        scene(50 + k, "B").save(root / "testB" / f"ct_{k}.png")
    output = cgbench("evaluate", one, "--data-root", root)
    assert f"kept as recorded, {line}; now they would be not pairs" in output and "psnr" in measured(folder)
    for k in range(12):
        (root / "testB" / f"ct_{k}.png").rename(root / "testB" / f"{'abcdefghijkl'[k]}.png")
    assert f"were measured as {line}, and are not pairs" in cgbench("evaluate", one, "--data-root", root, code=2)


@pytest.mark.parametrize(("asked", "paired"), [("auto", False), ("no", False), ("yes", True)])
def test_the_setting_decides_what_a_run_measures(tmp_path, monkeypatch, asked, paired):
    monkeypatch.setattr(report, "write_and_print", lambda *_: None)  # it is slow, and tested above
    root = folders(tmp_path / "set", names_of("{k}"), names_of("{k}"), other=50)
    output = run(root, tmp_path / "runs", "--set", f"paired={asked}")
    words = {"auto": "3 and 3, not pairs (names", "no": "3 and 3, not pairs (paired=no)", "yes": "3 pairs by the same"}
    assert f"test images: {words[asked]}" in output
    folder = TrialFolder.of(tmp_path / "runs" / "one", "set", "gan_only", 0)
    assert ("psnr" in measured(folder)) is ("paired_l1" in measured(folder)) is paired


def test_the_check_says_whether_images_are_pairs(tmp_path):
    root = folders(tmp_path / "set", names_of("{k}"), names_of("{k}"))
    line = "12 pairs by the same name; their images are alike (p = 0.001, 12 pairs compared)"
    assert f"test images: {line}" in " ".join(cgbench("datasets", "check", "folder", "--data-root", root).split())
    printed = cgbench("datasets", "check", "folder", "--data-root", root, "--format", "json")
    assert json.loads(printed)["test_images"] == line
