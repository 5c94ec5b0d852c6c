"""Answers to a study: validation, rejection with reasons, and scores."""

import csv
import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cgbench.files import read_json, write_json
from cgbench.reports.perceptual_study.answers import Rejected, crc32, read_answers
from cgbench.reports.perceptual_study.page import key_path
from cgbench.reports.perceptual_study.scoring import estimate, judged_real, score
from cgbench.reports.perceptual_study.study import StudyOptions
from helpers.cli import cgbench
from helpers.study import answers, build_study, signed, write


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def study(made):
    return made[0]


@pytest.fixture
def score_files(made):
    """Return a function that scores files of the study and returns the output, errors included."""
    return lambda *files, code=0, words=(): cgbench("study", "score", *words, "--study", made[1].parent.parent, *files,
                                                    code=code)  # fmt: skip


def participants(study, method):
    return [number for number, session in enumerate(study.sessions, 1) if session.method == method]


def test_the_percentage_is_that_of_scored_pairs_where_the_made_image_was_chosen(study, tmp_path):
    for fooled in range(6):
        content = answers(study, 1, fooled)
        content["trials"][0]["chosen"] = "left"  # practice does not count
        read = read_answers(write(tmp_path / "a.json", signed(content)))
        assert judged_real(read, study) == fooled / 5


def test_the_table_by_hand(study, score_files, tmp_path):
    first, second = participants(study, "cyclegan")[:2]
    files = [write(tmp_path / f"{p}.json", answers(study, p, fooled)) for p, fooled in ((first, 1), (second, 4))]
    output = score_files(*files)
    # 20 % and 80 %: mean 50, sample variance 1800, of the mean 900; one degree of freedom leaves nothing of 10 answers
    assert re.search(r"\| cyclegan +\| 2 +\| 10 +\| 50\.0 ± 30\.0 +\| 0\.0 to 100\.0 +\| 26\.8 ± 2\.8", output)
    assert re.search(r"\| gan_only +\| 0 +\| 0 +\| no answers +\| – +\| – ", output)
    assert "50 % is guessing" in output and "standard error over participants" in output
    assert score_files(*files) == output


def test_csv_and_latex(study, score_files, tmp_path):
    files = [write(tmp_path / f"{p}.json", answers(study, p, 2)) for p in participants(study, "gan_only")]
    rows = list(csv.DictReader(io.StringIO(score_files(*files, words=("--format", "csv")))))
    assert [row["method"] for row in rows] == ["cyclegan", "gan_only"]
    # all three agree, so the variance is that of 15 independent answers: 0.4 · 0.6 / 15
    assert (rows[1]["judged_real_percent"], rows[1]["error"]) == ("40", f"{100 * math.sqrt(0.24 / 15):.6g}")
    assert 0 < float(rows[1]["low"]) < 20 and 60 < float(rows[1]["high"]) < 100
    assert (rows[0]["judged_real_percent"], rows[0]["participants"], rows[0]["paper_percent"]) == ("", "0", "26.8")
    text = score_files(*files, words=("--format", "latex"))
    assert r"gan\_only & 3 & 15 & 40.0 $\pm$ 12.6" in text and r"\% judged real" in text


def test_one_participant_has_no_error(study, score_files, tmp_path):
    output = score_files(write(tmp_path / "a.json", answers(study, participants(study, "cyclegan")[0], 2)))
    assert re.search(r"cyclegan +\| 1 +\| 5 +\| 40\.0 +\| – ", output)
    assert "one participant gives no error" in output


def test_the_interval_is_clopper_and_pearsons_of_as_many_answers_as_the_variance_has():
    shares = [0.1, 0.3, 0.25, 0.05]
    found, mean, variance = estimate(shares, 40), np.mean(shares), np.var(shares, ddof=1) / 4
    count = mean * (1 - mean) / variance * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 3)) ** 2
    low = stats.beta.ppf(0.025, mean * count, (1 - mean) * count + 1)
    high = stats.beta.ppf(0.975, mean * count + 1, (1 - mean) * count)
    assert (found.mean, found.error) == pytest.approx((100 * mean, 100 * math.sqrt(variance)))
    assert (found.low, found.high) == pytest.approx((100 * low, 100 * high))


def test_with_many_alike_participants_it_is_clopper_and_pearsons():
    """Without any variance between participants, nearly; the degrees of freedom take a hundredth."""
    exact = stats.binomtest(300 * 4, 300 * 40).proportion_ci(method="exact")
    found = estimate([0.1] * 300, 40)
    assert (found.low, found.high) == pytest.approx((100 * exact.low, 100 * exact.high), rel=0.01)


def test_in_the_middle_it_is_students():
    shares = np.random.default_rng(0).binomial(40, np.random.default_rng(1).beta(3, 4, 25)) / 40
    found, student = estimate(shares, 40), stats.ttest_1samp(shares, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((100 * student.low, 100 * student.high), rel=0.05)


def test_participants_who_all_agree_have_an_interval_within_the_scale():
    none, all_of_them = estimate([0.0] * 5, 40), estimate([1.0] * 5, 40)
    assert none.low == 0 and all_of_them.high == 100 and math.isnan(none.error)
    assert none.high == pytest.approx(100 - all_of_them.low) == pytest.approx(3.6, abs=0.05)
    middle = estimate([0.4] * 5, 40)
    assert middle.low < 35 and middle.high > 45 and middle.error == pytest.approx(100 * math.sqrt(0.24 / 200))
    few = estimate([0.0, 0.0, 0.0, 0.025, 0.0], 40)
    assert 0 < few.low < few.mean < few.high < 10


@pytest.mark.parametrize("participants", [5, 10, 25])
@pytest.mark.parametrize(("mean", "spread"), [(0.03, 0.04), (0.27, 0.1), (0.5, 0.22)])
def test_the_interval_covers_the_true_percentage_as_often_as_it_says(participants, mean, spread):
    """400 simulated studies: three standard errors of the share are 3.3 %."""
    rng, total = np.random.default_rng(participants), mean * (1 - mean) / spread**2 - 1
    true = rng.beta(mean * total, (1 - mean) * total, (400, participants))
    found = [estimate(shares, 40) for shares in rng.binomial(40, true) / 40]
    assert np.mean([interval.low <= 100 * mean <= interval.high for interval in found]) > 0.95 - 0.033


def test_the_score_is_the_same_for_equal_methods_and_any_order(study, tmp_path):
    read = []
    for method in study.methods:
        for place, number in enumerate(participants(study, method)):
            read.append(read_answers(write(tmp_path / f"{number}.json", answers(study, number, place))))
    first, second = score(study, read).rows
    assert first.percent == second.percent == score(study, read[::-1]).rows[0].percent


def test_crc32_has_its_check_value():
    # The digits 1 to 9 have CRC-32 cbf43926 by its definition; here they are the JSON of a number.
    assert crc32(123456789) == "cbf43926"


def content_cases(study):
    """Return invalid variants of valid answers, each with the reason for its rejection."""
    good = answers(study, 1)

    def trial(**changes):
        return signed({**good, "trials": [*good["trials"][:3], {**good["trials"][3], **changes}, *good["trials"][4:]]})

    swapped = {"left": good["trials"][3]["right"], "right": good["trials"][3]["left"]}
    return {
        "other kind": ({**good, "kind": "x"}, "not an answers file"),
        "no object": ([1, 2], "not an answers file"),
        "schema": (signed({**good, "schema": 2}), "another version"),
        "edited": ({**good, "participant": 2}, "checksum"),
        "one answer gone": (signed({**good, "trials": good["trials"][:-1]}), "has 6 answers, and a session has 7"),
        "one answer twice": (signed({**good, "trials": [*good["trials"], good["trials"][-1]]}), "not numbered"),
        "no answers": (signed({**good, "trials": None}), "not a list"),
        "answers of numbers": (signed({**good, "trials": [1]}), "not a list"),
        "neither side": (trial(chosen="top"), "neither left nor right"),
        "sides swapped": (trial(**swapped), "the pairs are not those of participant 1"),
        "no time": (trial(response_ms="fast"), "'response_ms' is not a whole number"),
        "true": (trial(shown_ms=True), "'shown_ms' is not a whole number"),
        "negative": (trial(left=-1), "'left' is not a whole number"),
        "other participant": (signed({**good, "participant": 2}), "the pairs are not those of participant 2"),
        "no such participant": (signed({**good, "participant": 7}), "numbers go from 1 to 6"),
        "name": (signed({**good, "participant": "\x1b[31mEve"}), "'participant' is not a whole number"),
        "session": (signed({**good, "session": "<b>"}), "'session' is not 32 hex digits"),
        "clock": (signed({**good, "finished": "2025-01-02T03:00:00.000Z"}), "ended before it began"),
        "no clock": (signed({**good, "started": "noon"}), "'started' is not a time"),
        "naive clock": (signed({**good, "started": "2025-01-02T03:04:05"}), "'started' is not a time"),
    }  # fmt: skip


def test_every_wrong_content_is_refused_with_its_reason(study, score_files, tmp_path):
    good = write(tmp_path / "good.json", answers(study, 3))
    for name, (content, reason) in content_cases(study).items():
        bad = write(tmp_path / "bad.json", content)
        output = score_files(good, bad, code=1)
        assert f"does not count: {bad}: " in output and reason in output, name
        assert "\x1b" not in output
        assert "| 5 " in output, "the good file counts all the same"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not complete JSON"),
        (b"\xff\xfe\x00", "not complete JSON"),
        (b"[" * 100_000, "not complete JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not complete JSON"),
        (b" " * 1_000_001, "larger than any answers file"),
    ],
    ids=["empty", "binary", "nested", "long number", "large"],
)
def test_files_that_are_something_else_are_refused(data, reason, score_files, tmp_path):
    (tmp_path / "a.json").write_bytes(data)
    output = score_files(tmp_path / "a.json", code=2)
    assert reason in output and "no file holds answers that count" in output


def test_every_cut_is_noticed(study, score_files, tmp_path):
    whole = write(tmp_path / "a.json", answers(study, 1)).read_bytes()
    for length in range(0, len(whole) - 2, 97):
        (tmp_path / "a.json").write_bytes(whole[:length])
        assert "does not count" in score_files(tmp_path / "a.json", code=2)


def test_every_edited_figure_is_noticed(study, tmp_path):
    text = write(tmp_path / "a.json", answers(study, 1)).read_text(encoding="utf-8")
    for place in [match.start() for match in re.finditer(r"\d", text)][::7]:
        changed = f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"
        (tmp_path / "a.json").write_text(changed, encoding="utf-8")
        with pytest.raises(Rejected, match=r"checksum|version|complete JSON"):
            read_answers(tmp_path / "a.json")


def test_missing_files_and_folders_are_named(study, score_files, tmp_path):
    good = write(tmp_path / "good.json", answers(study, 1))
    output = score_files(good, tmp_path / "gone.json", tmp_path, code=1)
    assert "gone.json: is not there" in output and f"{tmp_path}: is not a file" in output


def test_indented_files_and_those_with_a_mark_at_the_beginning_count(study, score_files, tmp_path):
    text = json.dumps(answers(study, 1), indent=2)
    (tmp_path / "a.json").write_text(text, encoding="utf-8-sig")
    score_files(tmp_path / "a.json")


def test_a_copy_counts_once(study, score_files, tmp_path):
    one, two = (write(tmp_path / name, answers(study, 1, 2)) for name in ("a.json", "b.json"))
    output = score_files(one, two, code=1)
    assert f"{two}: is a copy of {one}" in output and "| 1 " in output


def test_of_two_sessions_of_one_participant_neither_counts(study, score_files, tmp_path):
    one = write(tmp_path / "a.json", answers(study, 1))
    two = write(tmp_path / "b.json", answers(study, 1, 3, session="f" * 32))
    same = write(tmp_path / "c.json", answers(study, 1, 3))
    good = write(tmp_path / "d.json", answers(study, 2))
    output = score_files(one, two, good, code=1)
    assert f"{one}: participant 1: another session than {two}" in output
    assert f"{two}: participant 1: another session than {one}" in output
    assert len(re.findall(r"\| 1 +\| 5 ", output)) == 1
    assert f"{one}: participant 1: the same session with other answers as {same}" in score_files(
        one, same, good, code=1
    )
    stolen = write(tmp_path / "e.json", answers(study, 3, session=f"{2:032x}"))
    assert "the same session" in score_files(good, stolen, one, code=1)


def test_answers_of_another_study_do_not_count(made, score_files, tmp_path):
    study, _ = made
    other, _ = build_study(tmp_path, StudyOptions(seed=9, participants=3, practice=2, scored=5))
    mine = write(tmp_path / "a.json", answers(study, 1))
    foreign = write(tmp_path / "b.json", answers(other, 2))
    output = score_files(mine, foreign, code=1)
    assert f"{foreign}: belongs to study {other.id}, not to {study.id} (run run)" in output
    assert other.id in score_files(foreign, code=2)
    assert "answers to 2 studies" in cgbench("study", "score", mine, foreign, code=2)


def test_the_key_is_found_beside_the_answers_and_in_runs(made, tmp_path, monkeypatch):
    study, page = made
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / "a.json", answers(study, 1))
    output = cgbench("study", "score", file, code=2)
    assert "its key was not found" in output and "--study RUN" in output
    (tmp_path / "broken.key.json").write_text("{")
    (tmp_path / "mine.key.json").write_bytes(key_path(page).read_bytes())
    cgbench("study", "score", file)
    (tmp_path / "mine.key.json").unlink()
    (tmp_path / "runs" / "x" / "study").mkdir(parents=True)
    (tmp_path / "runs" / "x" / "study" / "y.key.json").write_bytes(key_path(page).read_bytes())
    cgbench("study", "score", file)
    cgbench("study", "score", "--study", "runs/x", file)
    cgbench("study", "score", "--study", "runs/x/study/y.key.json", file)
    output = cgbench("study", "score", "--study", "broken.key.json", file, code=2)
    assert "broken.key.json is not readable JSON" in output


def test_odd_sessions_count_and_are_said(study, score_files, tmp_path):
    content = answers(study, 1)
    for trial in content["trials"]:
        trial["chosen"] = "left"
    content["trials"][-1]["shown_ms"] = 1500
    output = " ".join(score_files(write(tmp_path / "a.json", signed({**content, "earlier_starts": 2}))).split())
    assert "began before in the same browser, and may have seen pairs twice: participant 1" in output
    assert "chose the same side in every scored pair: participant 1" in output
    assert "(median; 1000 to 1500 ms); 1 of 5 were more than 100 ms off" in output
    unknown = write(tmp_path / "b.json", signed({**answers(study, 2), "earlier_starts": None}))
    assert "began before" not in score_files(unknown)


def test_names_from_data_are_escaped(study, made, tmp_path):
    key = read_json(key_path(made[1]))
    named = replace(study, run="a|b<c", direction_name="x→*y*")
    changes = {"run": named.run, "direction_name": named.direction_name, "id": named.id}
    write_json(tmp_path / "n.key.json", {**key, **changes})
    output = cgbench(
        "study", "score", "--study", tmp_path / "n.key.json", write(tmp_path / "a.json", answers(named, 1))
    )
    assert output.startswith(r"## a\|b&lt;c: images judged real, x→\*y\*")


def test_the_papers_figures_stand_beside_labels_and_photos_only(study, tmp_path):
    read = [read_answers(write(tmp_path / "a.json", answers(study, 1)))]
    assert score(study, read).rows[0].paper.value == 26.8
    to_labels = replace(study, direction="BtoA")
    assert score(to_labels, read).rows[0].paper.value == 23.2
    assert score(replace(study, kinds=("photo", "photo")), read).rows[0].paper is None
