"""The page in a browser: its summary first, tables that sort and choose columns, folds, search, and accessibility."""

import pytest

from cgbench.reports.report import write_report
from helpers.pages import BROWSER, Collector, needs_browser
from helpers.run_folder import VALUES, add_failures, build_run, declare_primary

WIDTHS = (390, 1366)
METHODS_OF = "rows => rows.map(row => row.dataset.method)"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = add_failures(build_run(tmp_path_factory.mktemp("runs") / "demo", seeds=(0, 1, 2), images=12), images=12)
    return declare_primary(run, {"AtoB": "fcn_iou", "BtoA": "label_pixel"})


@pytest.fixture(scope="module")
def page(run):
    return write_report(run, VALUES)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(browser, page, anchor="", **options):
    tab = browser.new_page(**options)
    tab.goto(page.as_uri() + anchor)
    return tab


def methods(table):
    return table.locator("tbody tr").evaluate_all(METHODS_OF)


def numbers(cells):
    return [float(text.split()[0]) for text in cells.all_inner_texts()]


def test_the_page_begins_with_verdicts_images_and_the_ranking(page):
    text = page.read_text(encoding="utf-8")
    places = [text.index(part) for part in ('class="headline"', 'id="images"', 'id="ranking"', 'id="scores"')]
    assert places == sorted(places)
    found = Collector(text)
    assert found.headings[:3] == ["Images", "Ranking", "Scores"]
    figures = [item["id"] for item in found.all("figure") if item.get("id", "").startswith("figure-")]
    first = ["ranking-AtoB-fcn_iou", "cost-AtoB-fcn_iou", "ranking-BtoA-label_pixel", "cost-BtoA-label_pixel"]
    assert figures[:4] == [f"figure-{name}" for name in first] and len(figures) == len(set(figures))
    shown = [item for item in found.all("tr") if item.get("class") == "more"]
    assert len(shown) == 2 * 4  # four of eight images in each direction


@needs_browser
def test_tables_sort_and_go_back(browser, page):
    tab = opened(browser, page)
    table = tab.locator("#scores table").first
    first = methods(table)
    head = table.locator("thead th", has_text="FCN IoU")
    cells = table.locator(f"tbody tr.trained td:nth-child({head.evaluate('cell => cell.cellIndex') + 1})")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending" and numbers(cells) == sorted(numbers(cells), reverse=True)
    assert [methods(table)[place] for place in (0, -1)] == [first[0], first[-1]]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending" and numbers(cells) == sorted(numbers(cells))
    head.locator("button").click()
    assert head.get_attribute("aria-sort") is None and methods(table) == first
    tab.close()


@needs_browser
def test_columns_are_chosen_and_methods_found(browser, page):
    tab = opened(browser, page)
    chooser = tab.locator("#scores .columns").first
    chooser.locator("summary").click()
    before = tab.locator("#scores table").first.locator("thead th:visible").count()
    chooser.locator("input").first.uncheck()
    assert tab.locator("#scores table").first.locator("thead th:visible").count() == before - 1
    assert chooser.locator("summary").inner_text() == f"columns ({before - 2} of {before - 1})"
    tab.get_by_label("find method").fill("GAN_only")
    assert set(tab.locator("#scores tbody tr:visible").evaluate_all(METHODS_OF)) == {"gan_only"}
    heads = tab.locator(".grid:visible thead th:visible").all_inner_texts()
    assert [text.replace("\n", "") for text in heads] == ["input", "gan_only", "ground truth"]
    tab.get_by_label("find method").fill("")
    assert tab.locator("#scores tbody tr:visible").count() > 4
    tab.close()


@needs_browser
def test_a_link_opens_the_fold_it_leads_to(browser, page):
    tab = opened(browser, page, "#losses")
    assert tab.locator("#losses details").get_attribute("open") is not None
    assert tab.locator("#provenance > details").get_attribute("open") is None
    tab.get_by_role("link", name="Provenance", exact=True).click()
    assert tab.locator("#provenance > details").get_attribute("open") is not None
    tab.get_by_role("button", name="fold all", exact=True).click()
    assert tab.locator("details.fold[open]").count() == 0
    tab.close()


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_of_it_shuts_anybody_out(browser, page, width, scheme):
    """WCAG 2.1 A and AA by axe-core, with every fold open; and no page wider than the window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    tab = opened(browser, page, viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    tab.get_by_role("button", name="unfold all").click()
    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
    found = axe.Axe().run(tab, options=rules)
    assert not found.response["violations"], found.generate_report()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()
