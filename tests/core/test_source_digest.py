"""A dataset's code is told apart by its text, and only where the text is that of what runs."""

import sys
from pathlib import Path

import pytest

from cgbench import DATASETS, digests, source_digest
from cgbench.datasets import streets


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `drawings` with a module and a sub-package, as old as the house."""
    (tmp_path / "drawings" / "deep").mkdir(parents=True)
    for name in ("__init__.py", "lines.py", "deep/__init__.py", "deep/dots.py"):
        (tmp_path / "drawings" / name).write_text(f"# {name}\n")
    (tmp_path / "alone.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(digests, "STARTED", 2**40)
    yield tmp_path / "drawings"
    for name in [name for name in sys.modules if name.partition(".")[0] in ("drawings", "alone")]:
        del sys.modules[name]
    source_digest.cache_clear()


def now(*modules):
    source_digest.cache_clear()
    return source_digest(*modules)


@pytest.mark.parametrize("file", ["__init__.py", "lines.py", "deep/dots.py", "new.py"])
def test_a_change_anywhere_in_a_package_makes_another_digest(package, file):
    before = now("drawings")
    assert before == now("drawings") and len(before) == 12
    (package / file).write_text("# other\n")
    assert now("drawings") != before


def test_a_digest_names_its_modules(package):
    (package / "lines.py").write_text("")
    (package / "deep" / "dots.py").write_text("")
    assert len({now("drawings.lines"), now("drawings.deep.dots"), now("drawings.lines", "alone"), now("alone")}) == 4


@pytest.mark.parametrize("name", ["drawings.missing", "missing", "sys"])
def test_code_without_a_source_has_no_digest(package, name):
    assert now("drawings", name) is None


def test_code_that_changed_since_the_process_began_has_no_digest(package, monkeypatch):
    monkeypatch.setattr(digests, "STARTED", (package / "lines.py").stat().st_mtime - 5)
    assert now("drawings") is None


def test_the_datasets_of_the_house_say_what_makes_their_pictures():
    assert {"streets", "phantoms", "camvid", "cityscapes", "folder"} <= set(DATASETS.names())
    for name in DATASETS.names():
        data = DATASETS.factory(name)(None)
        assert data.identity() and "identity" in vars(type(data))
    rendering = Path(streets.__file__).parent / "street_scenes" / "render.py"
    assert any(path == rendering for path, _ in digests._sources("cgbench.datasets"))
