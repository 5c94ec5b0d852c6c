"""Eviction from the cache of decoded images: what is evicted, what is not, and the size limit."""

import os

import pytest
from click.testing import CliRunner

from cgbench import CgbenchError
from cgbench.benchmarks.cli.main import main
from cgbench.benchmarks.data import cache_entries
from cgbench.benchmarks.runtime.cache_dir import cache_limit
from helpers.counting_dataset import SIDE, Drawn, entries, load, same


def test_what_was_not_used_for_longest_is_evicted(root, monkeypatch):
    entry_bytes = 6 * SIDE * SIDE * 4
    for age, split in ((300, "old"), (100, "new")):
        load(Drawn(), split)
        name = max(entries(root), key=lambda name: (root / name).stat().st_mtime_ns)
        os.utime(root / name / "entry.json", (1e9 - age, 1e9 - age))
    old, new = sorted(entries(root), key=lambda name: (root / name / "entry.json").stat().st_mtime)
    cache_entries.in_use.clear()
    load(Drawn(), "old")  # and so it is the newest
    cache_entries.in_use.clear()
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", str(round(2.6 * entry_bytes)))
    load(Drawn(), "third")
    assert old in entries(root) and new not in entries(root) and len(entries(root)) == 2


def test_what_is_in_use_is_not_removed(root, monkeypatch, fresh, capsys):
    in_use = load(Drawn(), "train")
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", str(round(1.4 * 6 * SIDE * SIDE * 4)))
    assert same(load(Drawn()), fresh(Drawn())) and same(in_use, fresh(Drawn(), "train"))
    assert len(entries(root)) == 1
    assert "CGBENCH_CACHE_LIMIT" in capsys.readouterr().out


def test_a_set_beyond_the_limit_removes_nothing(root, monkeypatch):
    load(Drawn())
    cache_entries.in_use.clear()
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", "5 KB")
    load(Drawn(60), "train")
    assert len(entries(root)) == 1


def test_a_set_that_the_disk_cannot_take_is_not_begun(root, monkeypatch, capsys):
    monkeypatch.setattr(cache_entries, "RESERVE", 2**70)
    load(Drawn())
    assert not entries(root) and "the disk has no room" in capsys.readouterr().out


def test_what_others_put_into_the_folder_stays(root, monkeypatch):
    load(Drawn())
    (root / "mine").mkdir()
    (root / "mine" / "big").write_bytes(bytes(10**6))
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", "10 KB")
    load(Drawn(), "train")
    assert (root / "mine" / "big").exists()


@pytest.mark.parametrize(
    "text, expected", [("", 20 * 10**9), ("0", 0), ("5000", 5000), ("1.5gb", 1_500_000_000), (" 2 T ", 2 * 10**12)]
)
def test_the_limit_is_a_size(monkeypatch, text, expected):
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", text)
    assert cache_limit() == expected


@pytest.mark.parametrize("text", ["much", "-1", "1e9", "5 XB", "nan"])
def test_a_limit_that_is_no_size_is_an_error(monkeypatch, text):
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", text)
    with pytest.raises(CgbenchError, match="CGBENCH_CACHE_LIMIT"):
        cache_limit()


def test_the_listing_says_where_decoded_images_lie():
    assert "CGBENCH_CACHE_LIMIT" in " ".join(CliRunner().invoke(main, ["datasets", "--help"]).output.split())
