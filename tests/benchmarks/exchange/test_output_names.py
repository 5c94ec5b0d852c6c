"""Names of outputs that public repositories write, matched to test images: each exactly once, or refused by name."""

import pytest

from cgbench.benchmarks.exchange.output_names import match_names
from cgbench.errors import CgbenchError
from cgbench.files import file_name

KEYS = ("0001", "0002", "a scene")


def page(key, *kinds):
    return [f"{key}_{kind}.png" for kind in kinds]


@pytest.mark.parametrize(
    ("names", "ending"),
    [
        ([f"{key}.png" for key in KEYS], ""),
        ([f"{key}.jpg" for key in KEYS], ""),
        ([f"{file_name(key)}.png" for key in KEYS], ""),  # as this program saves its own
        ([f"{key}_A.png" for key in KEYS], ""),  # named after the source's file, which the key leaves out
        ([name for key in KEYS for name in page(key, "real_A", "fake_B", "rec_A", "real_B", "fake_A", "rec_B")],
         "_fake_B"),
        ([name for key in KEYS for name in page(key, "real_A", "fake_B", "real_B")], "_fake_B"),  # pix2pix
        ([f"{key}_A_fake_B.png" for key in KEYS], "_fake_B"),
        ([name for key in KEYS for name in page(key, "real", "fake")], "_fake"),
        ([f"{key}-{kind}.png" for key in KEYS for kind in ("inputs", "outputs", "targets")], "-outputs"),
    ],
)  # fmt: skip
def test_files_are_found_as_public_repositories_name_them(names, ending):
    found = match_names(names[::-1], KEYS, "AtoB")
    assert found.ending == ending and found.companions == len(names) - len(KEYS)
    for key, name in zip(KEYS, found.names, strict=True):
        stem = name.rpartition(".")[0]
        assert stem in {f"{base}{middle}{ending}" for base in (key, file_name(key)) for middle in ("", "_A")}


def test_the_other_way_is_the_page_of_fake_a_and_fake_b_only_of_networks_of_one_direction():
    both = [name for key in KEYS for name in page(key, "real_A", "fake_B", "rec_A", "real_B", "fake_A", "rec_B")]
    assert match_names(both, KEYS, "BtoA").names == tuple(f"{key}_fake_A.png" for key in KEYS)
    one = [name for key in KEYS for name in page(key, "real_A", "fake_B", "real_B")]
    assert match_names(one, KEYS, "BtoA").names == tuple(f"{key}_fake_B.png" for key in KEYS)
    with pytest.raises(CgbenchError, match=r"1 missing \(a scene\)"):  # the translations to B do not fill in
        match_names([name for name in both if name != "a scene_fake_A.png"], KEYS, "BtoA")
    assert match_names([f"{key}_B.png" for key in KEYS], KEYS, "BtoA").names[0] == "0001_B.png"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["0001.png", "0002.png"], r"3 test images AtoB: 1 missing \(a scene\); expected is .* named KEY.png"),
        ([*(f"{key}.png" for key in KEYS), "more.png"], r"1 too many \(more.png\)"),
        ([*(f"{key}.png" for key in KEYS), "0001.jpg"], r"1 double \(0001.png and 0001.jpg\)"),
        (["0001_fake_B.png", "0003_fake_B.png"], r"2 missing \(0002, a scene\); 1 too many \(0003_fake_B.png\); "
         r"expected is .* KEY_fake_B.png"),
        ([*(f"{key}.png" for key in KEYS), *(f"{key}_fake_B.png" for key in KEYS)], "3 too many"),  # which is meant?
        ([*(f"{key}_fake_B.png" for key in KEYS), "notes.png"], r"1 too many \(notes.png\)"),
        ([f"{number}-x.png" for number in range(10_000)],
         r"3 missing \(.*\); 10,000 too many \(0-x.png, 1-x.png, 2-x.png and 9,997 more\)"),
        (["../0001.png", "a\x1b[2J\nb.png"], r"2 too many|1 too many"),
        ([], r"3 missing \(0001, 0002, a scene\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_in_one_line(names, said):
    with pytest.raises(CgbenchError, match=said) as raised:
        match_names(names, KEYS, "AtoB")
    assert "\n" not in str(raised.value) and "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 600
