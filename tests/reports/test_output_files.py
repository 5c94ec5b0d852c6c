"""The other outputs of a report: figures as files, and the printed formats."""

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from cgbench.reports.figures.style import DOTS_PER_INCH, PANEL_WIDTH
from cgbench.reports.report import write_report
from helpers.cli import cgbench
from helpers.run_folder import VALUES, build_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return build_run(tmp_path_factory.mktemp("runs") / "files", images=4, side=16)


@pytest.fixture(scope="module")
def page(run):
    return write_report(run, VALUES).read_text(encoding="utf-8")


def test_figures_are_files_too_with_dark_ink_on_white(run, page):
    folder = run / "report" / "figures"
    vector, bitmap = ({path.stem for path in folder.glob(f"*.{kind}")} for kind in ("svg", "png"))
    assert vector == bitmap and len(vector) > 10
    for path in folder.glob("*.svg"):
        ElementTree.parse(path)
    with Image.open(folder / "loss-cycle_a.png") as image:
        assert image.width == round(PANEL_WIDTH * DOTS_PER_INCH)
        levels = np.asarray(image.convert("L"))
    assert levels[0, 0] == 255 and levels.min() < 60
    assert "currentColor" in page  # and the page's own figures still follow its theme


def test_the_report_is_printed_in_four_forms_and_nothing_is_written(run, monkeypatch):
    written = run / "report" / "index.html"
    before = written.stat().st_mtime_ns
    forms = {form: cgbench("report", run, "--format", form) for form in ("md", "csv", "latex", "html")}
    assert written.stat().st_mtime_ns == before
    assert forms["md"].startswith("## 3 trained methods on shapes") and "### What it costs" in forms["md"]
    assert forms["csv"].startswith("direction,name,method")
    assert forms["latex"].count(r"\begin{tabular}") == 2 and r"labels$\to$photo" in forms["latex"]
    assert forms["html"].startswith("<!DOCTYPE html>") and forms["html"].rstrip().endswith("</html>")
