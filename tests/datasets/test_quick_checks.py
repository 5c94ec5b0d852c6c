"""Quick checks: what headers and names show without decoding, and the summary in one line."""

import numpy as np
import pytest
from PIL import Image

from cgbench.api.registry import DATASETS
from cgbench.datasets.checks import quick_checks
from cgbench.datasets.checks.quick_checks import check_quickly, summary
from cgbench.datasets.checks.report import Issue
from cgbench.datasets.folder import Folder
from helpers.image_files import RGB, write_tiff
from helpers.image_folders import healthy, scene


@pytest.fixture
def undecoded(monkeypatch):
    """Call it, and from then on no pixel may be decoded; maps of class ids, which take a few files, are not looked for
    (`test_id_maps` counts these)."""

    def forbid():
        monkeypatch.setattr(quick_checks, "check_id_maps", lambda *_: [])
        for kind in ("ImageFile.ImageFile", "TiffImagePlugin.TiffImageFile"):
            monkeypatch.setattr(f"PIL.{kind}.load", lambda *_: pytest.fail("a pixel was decoded"))

    return forbid


def test_a_healthy_set_gives_nothing_and_is_not_decoded(tmp_path, undecoded):
    root = healthy(tmp_path / "set")
    undecoded()
    seen = []
    assert check_quickly(Folder(root), lambda done, total: seen.append((done, total))) == []
    assert seen[-1] == (36, 36) and summary([]) == ""


@pytest.mark.parametrize("name", ["streets", "phantoms"])
def test_drawn_sets_have_no_headers(name):
    assert check_quickly(DATASETS.get(name)) == []


def test_what_headers_and_names_show_is_found_the_worst_first(tmp_path, undecoded):
    root = healthy(tmp_path / "set")
    write_tiff(root / "testB" / "bands.tif", np.zeros((8, 8, 4), np.uint8), RGB)
    (root / "testB" / "empty.png").write_bytes(b"")
    scene(900).save(root / "trainA" / "named.png", "JPEG")
    scene(901).save(root / "trainA" / "many.tif", save_all=True, append_images=[scene(902)])
    scene(903).convert("RGBA").save(root / "trainB" / "alpha.png")
    (root / "trainB" / "sub").mkdir()
    scene(904).save(root / "trainB" / "sub" / "x.png")
    (root / "trainB" / "moving.gif").write_bytes(b"GIF89a")
    undecoded()
    issues = check_quickly(Folder(root))
    assert [(issue.check, issue.severity, issue.files) for issue in issues] == [
        ("unreadable", "error", ("testB/empty.png",)),
        ("mixed", "error", ("testB/bands.tif",)),
        ("format", "warning", ("trainA/named.png",)),
        ("frames", "warning", ("trainA/many.tif",)),
        ("ignored", "warning", ("trainB/moving.gif",)),
        ("ignored", "warning", ("trainB/sub/x.png",)),
        ("colours", "note", ("trainB/alpha.png",)),
    ]
    assert "4 bands of uint8" in issues[1].text and "laid over white" in issues[-1].text
    assert summary(issues) == (
        "2 errors, 4 warnings, 1 note (files that cannot be used; files of another number format than the rest of "
        "their domain; 4 more kinds)"
    )


def test_the_summary_names_the_kinds_once():
    issues = [Issue("ignored", "warning", "", ""), Issue("ignored", "warning", "", "")]
    assert summary(issues) == "2 warnings (files that are not read)"


def test_transparency_of_label_maps_is_no_issue(tmp_path):
    from cgbench.api.dataset import Domain

    class Labelled(Folder):
        domains = (Domain("labels", "labels"), Domain("photo"))

    root = healthy(tmp_path / "set")
    for path in sorted((root / "trainA").iterdir()):
        Image.open(path).convert("RGBA").save(path)
    assert check_quickly(Labelled(root)) == []
    assert {issue.text for issue in check_quickly(Folder(root))} == {"declares transparency: laid over white"}


def test_a_list_that_cannot_be_made_is_left_to_the_plan(tmp_path):
    from cgbench.errors import DataBroken

    class Unlisted(Folder):
        def listing(self, split, domain):
            if split == "test":
                raise DataBroken("no list")
            return super().listing(split, domain)

    root = healthy(tmp_path / "set")
    (root / "trainA" / "zero.png").write_bytes(b"")
    assert [issue.files for issue in check_quickly(Unlisted(root))] == [("trainA/zero.png",)]
