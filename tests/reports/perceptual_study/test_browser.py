"""Sessions of participants in a real browser without network, and the scores of their answers."""

import json
import os
import shutil

import pytest

from cgbench.reports.perceptual_study.page import key_path
from cgbench.reports.perceptual_study.study import StudyOptions
from helpers.cli import cgbench
from helpers.study import build_study

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = os.environ.get("CGBENCH_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not BROWSER, reason=f"none of {', '.join(BROWSERS)} is on the PATH")
WATCH = """
    // Measures from outside the page's own clock how long a pair was visible.
    window.seen = [];
    addEventListener("DOMContentLoaded", () => {
      const pair = document.getElementById("pair");
      let began = 0;
      new MutationObserver(() => {
        const shown = pair.classList.contains("shown");
        if (shown && !began) began = performance.now();
        if (!shown && began) { seen.push(performance.now() - began); began = 0; }
      }).observe(pair, { attributes: true, attributeFilter: ["class"] });
    });
"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser):
    """A browser tab without network; any error in it fails the test."""
    context = browser.new_context(offline=True, accept_downloads=True, viewport={"width": 1366, "height": 648})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.on("request", lambda request: errors.append(request.url) if request.url.startswith("http") else None)
    page.set_default_timeout(20_000)
    yield page
    context.close()
    assert not errors


def start(tab, page, participant):
    tab.goto(f"{page.as_uri()}#participant={participant}")
    tab.get_by_role("button", name="I agree").click()


def play(tab, study, participant, wrong, pause):
    """Answer every pair with the keyboard, those in `wrong` (numbers from 0) with the translated image, and return the
    feedback shown. `pause` waits for an element."""
    feedback = []
    for place, pair in enumerate(study.sessions[participant - 1].pairs):
        if study.practice and place == study.practice:
            pause(tab, "#next.ready")
            feedback.append(tab.inner_text("#message"))
            tab.keyboard.press("Enter")
        assert tab.inner_text("#count") == (
            f"Practice {place + 1} of {study.practice}" if place < study.practice
            else f"Pair {place + 1 - study.practice} of {study.scored}"
        )  # fmt: skip
        tab.keyboard.press("1")  # ignored before the question
        pause(tab, "#pair.asking")
        assert not tab.is_visible("#pair canvas")
        right = study.real_side(pair) == "left"
        tab.keyboard.press("ArrowLeft" if right != (place in wrong) else "ArrowRight")
        if place < study.practice:
            pause(tab, "#next.ready")
            feedback.append(tab.inner_text("#message"))
            tab.keyboard.press("Enter")
    return feedback


def in_no_time(tab, selector):
    """Advance the page's clock in steps until an element is there."""
    for _ in range(200):
        if tab.locator(selector).count():
            return
        tab.clock.run_for(300)
    raise AssertionError(f"{selector} never came")


def in_real_time(tab, selector):
    tab.wait_for_selector(selector)


def test_a_whole_session_of_ten_and_forty(tab, tmp_path):
    study, page = build_study(tmp_path, StudyOptions(participants=2), images=50)
    tab.clock.install()
    start(tab, page, 3)
    wrong = {0, 4, *range(10, 23)}
    with tab.expect_download(timeout=120_000) as download:
        feedback = play(tab, study, 3, wrong, in_no_time)
    assert len(feedback) == 11
    real = study.real_side(study.sessions[2].pairs[0])
    assert feedback[0] == f"No, the {real} one was real." and feedback[1] == "Right."
    assert feedback[10] == "Practice is over: 8 of 10 were right. Now 40 pairs, without a word on your answers."
    name = download.value.suggested_filename
    assert name.startswith(f"cgbench-study-{study.id}-3-") and name in tab.inner_text("#end")
    download.value.save_as(tmp_path / name)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert tab.input_value("#answers") == text
    content = json.loads(text)
    assert len(content["trials"]) == 50 and content["earlier_starts"] == 0
    assert {abs(trial["shown_ms"] - 1000) <= 8 for trial in content["trials"]} == {True}
    output = cgbench("study", "score", "--study", key_path(page), tmp_path / name)
    assert f"| {study.sessions[2].method} " in output and "| 40 " in output and "| 32.5 " in output  # 13 of 40


def test_a_pair_is_seen_for_one_second(tab, tmp_path):
    study, page = build_study(tmp_path, StudyOptions(participants=1, practice=1, scored=4))
    tab.add_init_script(WATCH)
    start(tab, page, 1)
    with tab.expect_download(timeout=120_000) as download:
        play(tab, study, 1, set(), in_real_time)
    seen = tab.evaluate("seen")
    download.value.save_as(tmp_path / "a.json")
    recorded = [trial["shown_ms"] for trial in json.loads((tmp_path / "a.json").read_text())["trials"]]
    assert len(seen) == 5
    # What the page records is what an observer sees, on a machine that may be busy.
    assert sorted(seen)[2] == pytest.approx(1000, abs=60)
    assert recorded == pytest.approx(seen, abs=60)
    cgbench("study", "score", "--study", key_path(page), tmp_path / "a.json")


def test_clicks_work_and_a_second_start_is_recorded(tab, tmp_path):
    study, page = build_study(tmp_path, StudyOptions(participants=1, practice=0, scored=2))
    tab.clock.install()
    start(tab, page, 2)
    in_no_time(tab, "#pair.asking")
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.reload()
    tab.fill("#participant", "3")
    tab.keyboard.press("Enter")
    assert "number from 1 to 2" in tab.inner_text("#problem") and tab.is_visible("#intro")
    tab.fill("#participant", "2")
    tab.keyboard.press("Enter")
    with tab.expect_download(timeout=120_000) as download:
        for _ in study.sessions[1].pairs:
            in_no_time(tab, "#pair.asking")
            tab.click("#pair [data-side=right]")
    download.value.save_as(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["earlier_starts"] == 1
    assert [trial["chosen"] for trial in content["trials"]] == ["right", "right"]
    output = cgbench("study", "score", "--study", key_path(page), tmp_path / "a.json")
    assert "began before in the same browser" in output
    with tab.expect_download() as again:
        tab.get_by_role("button", name="Save the file again").click()
    again.value.save_as(tmp_path / "b.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()


def test_the_policy_stops_a_foreign_script(browser, tmp_path):
    _, page = build_study(tmp_path, StudyOptions(participants=1, practice=0, scored=2))
    foreign = "<script>document.title = 'taken over'</script></body>"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", foreign), encoding="utf-8")
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.locator("html").get_attribute("data-ready") == "true"
    assert tab.title() == "Which image is real?"
    context.close()
