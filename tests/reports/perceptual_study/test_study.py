"""Construction of a study: balanced, reproducible from its key, and a page that does not reveal the answers."""

import base64
import io
import json
import re
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cgbench.errors import CgbenchError
from cgbench.files import read_json, write_json
from cgbench.reports.perceptual_study.page import html, key_path, write_study
from cgbench.reports.perceptual_study.study import REAL, StudyOptions, make_study, read_key
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.cli import cgbench
from helpers.run_folder import build_run
from helpers.study import OPTIONS, TRAINED, build_study

HOSTILE = "</script><script>alert(1)</script><!--\"'&"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def study(made):
    return made[0]


@pytest.fixture(scope="module")
def text(made):
    return made[1].read_text(encoding="utf-8")


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_every_pair_is_one_scene_real_and_made_by_the_participants_method(study):
    for session in study.sessions:
        for pair in session.pairs:
            shown = [study.images[number] for number in pair]
            assert len({image.scene for image in shown}) == 1
            assert {image.method for image in shown} == {REAL, session.method}


def test_practice_scenes_never_count_and_no_scene_comes_twice(study):
    practice, scored = set(), set()
    for session in study.sessions:
        scenes = [study.images[left].scene for left, _ in session.pairs]
        assert len(set(scenes)) == len(scenes) == 7
        practice |= set(scenes[:2])
        scored |= set(scenes[2:])
    assert len(practice) == 2 and len(scored) == 5 and not practice & scored


def test_methods_are_balanced_wherever_one_stops(study):
    methods = [session.method for session in study.sessions]
    assert len(methods) == 6
    for count in range(len(methods) + 1):
        counts = Counter(methods[:count])
        assert max(counts[name] for name in TRAINED) - min(counts[name] for name in TRAINED) <= 1


def test_sides_are_balanced_and_orders_differ(tmp_path):
    study, _ = build_study(tmp_path, StudyOptions(participants=20, practice=2, scored=10), images=12)
    for session in study.sessions:
        sides = [study.real_side(pair) for pair in session.pairs]
        assert sides[:2].count("left") == 1 and sides[2:].count("left") == 5
    assert len({session.pairs[2:] for session in study.sessions}) == 40
    orders = np.array([[study.real_side(pair) == "left" for pair in session.pairs[2:]] for session in study.sessions])
    assert abs(orders.mean(axis=0) - 0.5).max() < 0.3  # 40 coins: six standard deviations would be 0.47


def test_an_odd_number_of_pairs_gives_neither_side_the_advantage(study, tmp_path):
    study, _ = build_study(tmp_path, StudyOptions(participants=100, practice=0, scored=1), images=2)
    left = sum(study.real_side(session.pairs[0]) == "left" for session in study.sessions)
    assert 70 < left < 130  # 200 coins: mean 100, standard deviation 7


def test_a_participants_order_does_not_depend_on_the_methods(tmp_path):
    run = read_run(build_run(tmp_path / "run", methods=(*TRAINED, "real"), seeds=(0,), images=8, side=8))
    both, one = (make_study(run, replace(OPTIONS, methods=names))[0] for names in ((), ("gan_only",)))
    for participant in range(3):
        scenes = [[s.images[left].scene for left, _ in s.sessions[participant].pairs] for s in (both, one)]
        assert scenes[0] == scenes[1]


def test_the_same_command_writes_the_same_bytes_and_another_seed_another_study(made, tmp_path):
    study, page = made
    again, other = build_study(tmp_path)
    assert again == study and other.read_bytes() == page.read_bytes()
    assert key_path(other).read_bytes() == key_path(page).read_bytes()
    run = read_run(other.parent.parent)
    assert make_study(run, replace(OPTIONS, seed=1))[0].id != study.id
    assert make_study(run, replace(OPTIONS, trial_seed=1))[0].id != study.id


def test_the_key_holds_the_study_and_notices_a_change(made, tmp_path):
    study, page = made
    assert read_key(key_path(page)) == study
    content = read_json(key_path(page))
    for broken in ({**content, "scored": 4}, {**content, "images": 3}, {**content, "schema": 2}, {"kind": "x"}, [1]):
        write_json(tmp_path / "a.key.json", broken)
        with pytest.raises(CgbenchError, match=r"a\.key\.json"):
            read_key(tmp_path / "a.key.json")


def test_the_page_names_no_method_and_says_no_scored_answer(study, text):
    data = data_of(text)
    assert not any(name in text for name in (*TRAINED, "scene-0"))
    for session, expected in zip(data["sessions"], study.sessions, strict=True):
        assert [len(pair) for pair in session] == [3, 3, 2, 2, 2, 2, 2]
        assert [tuple(pair[:2]) for pair in session] == list(expected.pairs)
        assert [pair[2] for pair in session[:2]] == [study.real_side(pair) for pair in expected.pairs[:2]]


def test_real_images_stand_anywhere_among_the_others_and_carry_no_note(study, text):
    places = [number for number, image in enumerate(study.images) if image.method == REAL]
    assert len(places) == 7 and len(study.images) == 21
    assert 5 < np.mean(places) < 15 and places != list(range(0, 21, 3))
    for encoded in data_of(text)["images"]:
        content = base64.b64decode(encoded)
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.mode, image.size) == ("WEBP", "RGB", (8, 8))
            assert not image.getexif() and not {"exif", "xmp", "icc_profile"} & set(image.info)


def test_the_images_are_those_of_the_run(study, made, text):
    run, data = made[1].parent.parent, data_of(text)
    for image, stored in zip(study.images, data["images"], strict=True):
        folder = TrialFolder.of(run, "shapes", image.method or "real", 0)
        expected = np.asarray(Image.open(folder.output("AtoB", image.scene)).convert("RGB"))
        assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(stored)))) == expected).all()


def test_the_page_needs_nothing_but_itself_and_escapes_what_comes_from_data(study, text):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:")
    assert "unsafe-inline" not in re.search(r"script-src ([^;]*)", policy)[1]
    assert not re.search(r"(src|href)=|@import|url\(", re.sub(r"<script.*?</script>", "", text, flags=re.S))
    escaped = html(replace(study, run=HOSTILE, target=HOSTILE), [b"x"] * len(study.images))
    assert len(re.findall("<script", escaped)) == 2 and "alert(1)" in escaped
    assert data_of(escaped)["run"] == HOSTILE


def test_large_images_are_reduced_alike(tmp_path):
    study, page = build_study(tmp_path, replace(OPTIONS, side=8), side=16)
    assert study.side == 8
    assert len(data_of(page.read_text(encoding="utf-8"))["images"]) == 21


def test_without_pairs_real_images_are_of_another_scene_each_once(tmp_path):
    run = build_run(tmp_path / "run", methods=(*TRAINED, "shuffled"), seeds=(0,), images=8, side=8)
    study, _, _ = make_study(read_run(run), OPTIONS)
    assert study.real == "a real target image of another scene"
    folder = TrialFolder.of(run, "shapes", "shuffled", 0)
    shutil.copy(folder.output("AtoB", "scene-000"), folder.output("AtoB", "scene-001"))
    assert "scene-001" not in {image.scene for image in make_study(read_run(run), OPTIONS)[0].images}
    with pytest.raises(CgbenchError, match=r"'shuffled' for scene-\d+ is the real image itself"):
        make_study(read_run(run), replace(OPTIONS, methods=("shuffled",)))


def test_a_run_with_neither_real_row_is_refused(tmp_path):
    run = read_run(build_run(tmp_path / "run", methods=TRAINED, seeds=(0,), images=8, side=8))
    with pytest.raises(CgbenchError, match="no real test images"):
        make_study(run, OPTIONS)


def test_the_direction_is_the_one_that_makes_photos(tmp_path):
    run = build_run(tmp_path / "run", methods=("cyclegan", "real"), seeds=(0,), images=8, side=8)
    assert make_study(read_run(run), OPTIONS)[0].direction == "AtoB"
    for name in ("cyclegan", "real"):
        folder = TrialFolder.of(run, "shapes", name, 0)
        spec = read_json(folder.trial)
        spec["dataset"]["domains"].reverse()
        write_json(folder.trial, spec)
    assert make_study(read_run(run), OPTIONS)[0].direction == "BtoA"


def test_too_few_images_are_refused_with_what_would_fit(made):
    run = made[1].parent.parent
    output = cgbench("study", run, code=2)
    assert "10 practice and 40 scored pairs need 50 different test images, and AtoB has 8" in output
    options = re.search(r"--practice (\d+) --scored (\d+)", output).groups()
    assert sum(map(int, options)) == 8
    cgbench("study", run, "--output", run / "b.html", "--practice", options[0], "--scored", options[1])


def test_unfinished_methods_are_left_out_and_said(tmp_path):
    states = {("gan_only", 0): "diverged"}
    run = build_run(tmp_path / "run", methods=(*TRAINED, "real"), seeds=(0,), images=8, side=8, states=states)
    few = ("--practice", "2", "--scored", "5")
    assert "left out: gan_only: seed 0 is diverged" in cgbench("study", run, *few)
    assert read_key(run / "study" / "study-AtoB.key.json").methods == ("cyclegan",)
    assert "gan_only: seed 0 is diverged" in cgbench("study", run, *few, "--methods", "gan_only", code=2)
    assert "cyclegan: seed 7 is not there" in cgbench("study", run, *few, "--trial-seed", "7", code=2)
    assert "did you mean 'cyclegan'?" in cgbench("study", run, *few, "--methods", "cyclegn", code=2)
    assert "its images are the real ones" in cgbench("study", run, *few, "--methods", "real", code=2)


def test_the_key_of_another_study_is_never_overwritten(made):
    study, page = made
    run, few = page.parent.parent, ("--practice", "2", "--scored", "5", "--participants", "3")
    cgbench("study", run, *few)
    before = key_path(page).read_bytes()
    assert "is the key of another study" in cgbench("study", run, *few, "--seed", "1", code=2)
    assert key_path(page).read_bytes() == before
    assert data_of(page.read_text(encoding="utf-8"))["study"] == study.id


def test_the_word_make_may_be_left_out_but_options_may_come_first(made, tmp_path):
    run, few = made[1].parent.parent, ("--practice", "2", "--scored", "5", "--participants", "3")
    for number, words in enumerate(([run, *few], [*few, run], ["make", *few, run])):
        output = cgbench("study", *words, "--output", tmp_path / f"{number}.html")
        assert f"study {made[0].id}:" in output and "1 to 6" in output
    assert "score --study" in output
    assert "study make RUN" in " ".join(cgbench("study", "make", "--help").replace("[OPTIONS] ", "").split())
    assert "is not a run folder" in cgbench("study", tmp_path / "nowhere", code=2)
    assert "ends in .html" in cgbench("study", run, *few, "--output", tmp_path / "page.json", code=2)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    run = build_run(tmp_path / "run", methods=("cyclegan", "real"), seeds=(0,), images=8, side=8)
    broken = TrialFolder.of(run, "shapes", "cyclegan", 0).output("AtoB", "scene-003")
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(CgbenchError, match=r"scene-003\.png is not a readable image"):
        make_study(read_run(run), replace(OPTIONS, scored=6))


def test_a_page_is_not_written_without_its_key(made, tmp_path):
    study, _ = made
    write_json(tmp_path / "a.key.json", {"kind": "something else"})
    with pytest.raises(CgbenchError):
        write_study(tmp_path / "a.html", study, [b"x"] * 21)
    assert not (tmp_path / "a.html").exists()
