"""Source digests: code is identified by its text, and only where that is the text of the running code."""

import ast
import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from cgbench import DATASETS, digests, source_digest
from cgbench.datasets import streets


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `drawings` with a module and a sub-package, whose files are older than this process."""
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


# modules that a dataset imports and that cannot change a pixel
WITHOUT_PIXELS = {
    **{
        f"cgbench.api.{name}": "declarations: the palette is in the cache key itself, and the ignored id is fixed"
        for name in ("dataset", "names", "registry")
    },
    "cgbench.datasets.pairing.names": "which files belong together: an item's key and file are in the cache key",
    "cgbench.datasets.pairing.decision": "whether files are pairs: as above",
    "cgbench.api.inspection": "findings of the dataset check",
    "cgbench.selection": "which files are looked at by the dataset check",
    "cgbench.progress": "messages",
    "cgbench.digests": "names the code",
    "cgbench.errors": "messages",
    "cgbench.datasets.layouts.cityscapes_layouts": "files, which are in the cache key; identity names the layout",
    "cgbench.datasets.layouts.folder_advice": "messages",
    "cgbench.datasets.layouts.folder_commands": "messages",
    "cgbench.datasets.layouts.seams": "whether a directory is refused",
    "cgbench.files": "records of a run",
    "cgbench.formatting": "printable keys, which are in the cache key themselves",
}


def imported(module):
    """The modules of ours that a module imports, wherever in it."""
    modules = set()
    for node in ast.walk(ast.parse(Path(find_spec(module).origin).read_text())):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
            if node.module.startswith("cgbench") and find_spec(node.module).submodule_search_locations is not None:
                modules.update(name for alias in node.names if find_spec(name := f"{node.module}.{alias.name}"))
    return {name for name in modules if name.split(".")[0] == "cgbench"}


def deciding_pixels(module):
    """A dataset's module and the modules of ours that it imports, transitively, apart from `WITHOUT_PIXELS`."""
    closure, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name not in closure and not any(f"{name}.".startswith(f"{prefix}.") for prefix in WITHOUT_PIXELS):
            closure.add(name)
            todo += imported(name)
    return closure


def source_files(modules):
    """The source files that a digest of modules covers, without the `__init__.py`, which hold a docstring alone."""
    files = {path for name in modules for path, _ in digests._sources(name)}
    return {path for path in files if path.name != "__init__.py"}


def test_the_identity_of_a_built_in_dataset_covers_the_modules_that_decide_its_images_and_no_others():
    assert {"streets", "phantoms", "camvid", "cityscapes", "folder"} <= set(DATASETS.names())
    for name in DATASETS.names():
        data = DATASETS.factory(name)(None)
        assert data.identity() and "identity" in vars(type(data))
        modules = importlib.import_module(DATASETS.origin(name)).IMAGE_MODULES
        assert data.identity().split()[0] == source_digest(*modules)
        deciding = {Path(find_spec(module).origin) for module in deciding_pixels(DATASETS.origin(name))}
        assert source_files(modules) == {path for path in deciding if path.name != "__init__.py"}
        assert not source_files(modules) & source_files(["cgbench.datasets.checks", "cgbench.datasets.download"])
    rendering = Path(streets.__file__).parent / "street_scenes" / "render.py"
    assert any(path == rendering for path, _ in digests._sources("cgbench.datasets.street_scenes"))
    assert rendering in source_files(streets.IMAGE_MODULES)
