"""Pages of images that are not 8-bit RGB: windows beside all pictures, and a control that shows others in a browser."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cgbench.errors import CgbenchError
from cgbench.files import read_json, write_json
from cgbench.pixel_format import RGB8, display_rgb
from cgbench.reports.galleries.image_grid import image_grids
from cgbench.reports.galleries.image_grid_png import CELL, GAP, HEAD, LINE, image_grid_png
from cgbench.reports.perceptual_study.study import StudyOptions, make_study
from cgbench.reports.report import write_report
from cgbench.results.run import read_run
from helpers.pages import BROWSER, Collector, dom, needs_browser
from helpers.run_folder import VALUES, add_failures, build_run
from helpers.stored_run import BANDS, CT, FLOAT_CT, KEYS, MR, SHAPE, build_stored_run, stored, translation

FORMATS = (MR, CT)
WHOLE = "shown: -1000 to 2000 HU as black to white"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return build_stored_run(tmp_path_factory.mktemp("runs") / "demo", FORMATS)


@pytest.fixture(scope="module")
def page(run):
    write_report(run, VALUES)
    return (run / "report" / "index.html").read_text(encoding="utf-8")


def test_the_window_is_beside_every_gallery(page):
    text = re.sub(r"<[^>]+>", "", page)
    assert text.count("MR shown: 0 to 1600 as black to white; CT " + WHOLE) == 2  # the grid, the gallery of MR→CT
    assert "CT " + WHOLE + "; MR shown: 0 to 1600 as black to white" in text
    for picture in Collector(page).all("img"):
        assert "data-shown" in picture or "output minus truth" in picture["alt"] or "colour scale" in picture["alt"]


def test_every_text_alternative_is_its_own_and_the_page_is_one_file(page):
    texts = [item.get("alt") for item in Collector(page).all("img")]
    assert all(texts) and len(texts) == len(set(texts))
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_differences_stand_beside_the_worst_images_with_their_scale(page):
    assert len(re.findall(r'<figure class="difference">', page)) >= 12
    assert re.search(r"<span>−\d+ HU</span><img [^>]*><span>\d+ HU</span>", page)
    assert Collector(page).headings.count("Differences from the truth") == 1
    assert Collector(page).headings.count("Volumes") == 1


def test_figures_are_written_as_files(run, page):
    names = {path.name for path in (run / "report" / "figures").iterdir()}
    assert {"difference-maps-AtoB.png", "views-AtoB-P00.png", "views-BtoA-P01.svg"} <= names


def test_two_reports_are_the_same_bytes(run, page):
    write_report(run, VALUES)
    assert (run / "report" / "index.html").read_text(encoding="utf-8") == page


def test_the_grid_file_says_the_window_and_keeps_the_shape(run, page):
    image = Image.open(run / "report" / "grid-AtoB.png")
    assert (image.height - HEAD - 4 * (CELL + GAP)) in (LINE, 2 * LINE)
    assert np.asarray(image)[-LINE:].min() < 128  # text
    cell = np.asarray(image)[HEAD : HEAD + CELL, GAP : GAP + CELL]
    high = CELL * SHAPE[0] // SHAPE[1]
    assert (cell[: (CELL - high) // 2] == 255).all() and (cell[(CELL - high) // 2 :][:high] != 255).any()


def test_floats_are_said_to_be_rounded(tmp_path):
    page = write_report(build_stored_run(tmp_path / "run", (MR, FLOAT_CT), seeds=(0,)), VALUES).read_text("utf-8")
    assert "CT: numbers are rounded to 65,536 levels of -1000 to 2000" in page
    assert "MR: numbers are rounded" not in page


def test_bands_are_named_and_have_no_control(tmp_path):
    page = write_report(build_stored_run(tmp_path / "run", (BANDS, RGB8), seeds=(0,)), VALUES).read_text("utf-8")
    assert "bands 1 to 3 of 4 as RGB, each with 0 to 10000 reflectance as black to white" in page
    assert not Collector(page).all("input") or "windows" not in {
        form.get("class") for form in Collector(page).all("form")
    }


def test_rgb_has_no_controls_windows_or_maps(tmp_path):
    run = add_failures(build_run(tmp_path / "run", seeds=(0,), images=3, side=16), images=3)
    page = write_report(run, VALUES).read_text("utf-8")
    for text in ("data-shown", "data-numbers", "windows", "as black to white", "Differences from the truth"):
        assert text not in page
    grid = image_grids(read_run(run)).grids[0]
    assert Image.open(io.BytesIO(image_grid_png(grid))).height == HEAD + 3 * (CELL + GAP)


def test_a_human_test_says_what_its_pictures_show(run):
    study = make_study(read_run(run), StudyOptions(direction="AtoB", participants=1, practice=1, scored=2))[0]
    assert study.target == f"CT ({WHOLE})"


@pytest.mark.parametrize(
    ("field", "value"),
    [("window", "wide"), ("window", [0]), ("window", [5, 1]), ("channels", "1"), ("channels", 999), ("dtype", "int7")],
)
def test_a_format_that_is_none_is_refused(tmp_path, field, value):
    run = build_stored_run(tmp_path / "run", FORMATS, ("cyclegan",), (0,))
    path = read_run(run).trials[0].folder.trial
    spec = read_json(path)
    spec["dataset"]["domains"][1]["pixels"][field] = value
    write_json(path, spec)
    with pytest.raises(CgbenchError):
        write_report(run, VALUES)


@needs_browser
def test_without_a_change_the_browser_shows_the_saved_pictures(page, tmp_path):
    root = Collector(dom(page, tmp_path)).all("html")[0]
    assert root["data-ready"] == "true" and root["data-broken"] == "0"


@pytest.fixture(scope="module")
def tab(run, page):
    """The page in a browser without network; any error in it fails the test."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        tab, errors = opened.new_context(offline=True).new_page(), []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: errors.append(message.text))
        tab.set_default_timeout(30_000)
        tab.goto((run / "report" / "index.html").as_uri())
        yield tab
        opened.close()
    assert not errors


def pictures(tab):
    """The pixels of all visible pictures that have numbers, by text alternative."""
    tab.wait_for_selector("html[data-drawn]", state="attached")
    found = tab.evaluate("""[...document.querySelectorAll("main img[data-numbers]")]
        .filter((image) => image.offsetParent).map((image) => [image.alt, image.src, image.dataset.shown])""")
    return {
        alt: (np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))).convert("RGB")), text)
        for alt, uri, text in found
    }


@needs_browser
def test_a_window_shows_what_numpy_shows(tab):
    for low, high in ((-160, 240), (-1200.5, -1100), (0, 1), (500, 2600)):
        tab.get_by_label("CT: shown as black, in HU").fill(str(low))
        tab.get_by_label("CT: shown as white, in HU").fill(str(high))
        seen = pictures(tab)
        text = f"shown: {low} to {high} HU as black to white"
        assert text in tab.locator("#images").inner_text() and text in tab.locator("#cases").inner_text()
        for method, label in (("cyclegan", "cyclegan, seed 0"), ("real", "ground truth")):
            numbers = translation(method, 0, 0, "AtoB", FORMATS)
            expected = display_rgb(numbers[None], CT, (low, high))[0]
            name = next(alt for alt in seen if alt.startswith(f"MR→CT, {label}, test image P00-00"))
            np.testing.assert_array_equal(seen[name][0], expected)
            assert seen[name][1] == text
        name, key = next(
            found.group(0, 1) for alt in seen if (found := re.match(r"MR→CT, ground truth, image (P.*)", alt))
        )
        expected = display_rgb(stored("B", KEYS.index(key), CT)[None], CT, (low, high))[0]
        np.testing.assert_array_equal(seen[name][0], expected)


@needs_browser
def test_pictures_that_come_into_view_have_the_window_too(tab):
    tab.locator("button[data-low='-450']").click()
    tab.locator("#images input[name=direction][value=BtoA]").check()
    tab.locator("input[name=seed][value='1']").check()
    tab.get_by_label("MR: shown as white").fill("700")
    seen = pictures(tab)
    given = next(alt for alt in seen if alt.startswith("CT→MR, input, test image P00-00"))
    np.testing.assert_array_equal(seen[given][0], display_rgb(stored("B", 0, CT)[None], CT, (-450, 1050))[0])
    made = next(alt for alt in seen if alt.startswith("CT→MR, gan_only, seed 1, test image P00-00"))
    numbers = translation("gan_only", 1, 0, "BtoA", FORMATS)
    np.testing.assert_array_equal(seen[made][0], display_rgb(numbers[None], MR, (0, 700))[0])
    tab.locator(".grid:not([hidden]) tbody button").first.click()
    assert "shown: -450 to 1050 HU as black to white" in tab.locator("#zoom .large").inner_text()
    tab.keyboard.press("Escape")


@needs_browser
def test_a_window_that_is_none_changes_nothing_and_is_said(tab):
    tab.locator("button[data-low='-160']").click()
    before = pictures(tab)
    tab.get_by_label("CT: shown as black, in HU").fill("9000")
    assert "CT: black has to be below white." in tab.locator(".windows").inner_text()
    assert {alt: text for alt, (_, text) in pictures(tab).items()} == {alt: text for alt, (_, text) in before.items()}
    tab.get_by_label("CT: shown as black, in HU").fill("-160")
    assert "has to be below" not in tab.locator(".windows").inner_text()


@needs_browser
def test_the_control_is_used_from_the_keyboard(tab):
    tab.get_by_label("CT: shown as black, in HU").focus()
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.name") == "high"
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # the first preset: the whole window
    tab.wait_for_selector("html[data-drawn]", state="attached")
    assert tab.get_by_label("CT: shown as black, in HU").input_value() == "-1000"
    assert WHOLE in tab.locator("#images").inner_text()
