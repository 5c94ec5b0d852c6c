"""What the README and the documentation show works as it stands there, and the site has no broken reference."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cgbench.benchmarks.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(text, language=""):
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def commands(page):
    """The command lines of a page that begin with `cgbench`, as lists of words."""
    text = "\n".join(blocks(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    lines = [line.strip().partition("  ")[0] for line in text.splitlines()]
    return [line.split() for line in lines if line.startswith("cgbench ")]


def test_the_examples_of_new_things_run_as_they_stand(tmp_path):
    """All Python blocks of the page on plug-ins in one module, then a run of what they add."""
    found = blocks(PLUGINS, "python")
    assert len(found) == 6
    (tmp_path / "docs_plugin.py").write_text("\n".join(found))
    info = tmp_path / "docs_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: docs-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("".join(
        f"[cgbench.{kind}]\ndocs = docs_plugin\n" for kind in ("methods", "datasets", "metrics", "failures")
    ))  # fmt: skip
    small = [f"--set={value}" for value in ("steps=2", "crop_size=16", "load_size=20", "ngf=4", "ndf=4")]
    names = "half_cycle,cyclegan_smooth,one_way"
    arguments = ["run", "--methods", names, "--dataset", "greys", "--preset", "smoke", *small]
    result = subprocess.run(
        [sys.executable, "-m", "cgbench.benchmarks", *arguments], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, timeout=200,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    for word in (*names.split(","), "brightness", "too dark"):
        assert word in result.stdout


def test_the_page_on_python_and_the_example_run_as_they_stand(tmp_path):
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    (tmp_path / "page.py").write_text("\n".join(blocks(page, "python")))
    for script in (tmp_path / "page.py", ROOT / "examples" / "python_tour.py"):
        result = subprocess.run(
            [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "ranking.png").exists() and "differences" in result.stdout


def test_the_notebook_runs_without_a_display(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    notebook = nbformat.read(ROOT / "examples" / "tour.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ())]
    assert "<table>" in shown[0]["text/html"] and sum("image/png" in data for data in shown) == 2


def test_every_entry_point_group_is_on_the_page_of_plug_ins():
    from cgbench.api import registry

    text = (ROOT / "cgbench" / "api" / "registry.py").read_text(encoding="utf-8")
    for group in ("methods", "datasets", "metrics", "failures"):
        assert f'[project.entry-points."cgbench.{group}"]' in PLUGINS and f'"cgbench.{group}"' in text
        assert hasattr(registry, group.upper())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_has_the_options_it_is_shown_with(page):
    for words in commands(page):
        command, rest = main, words[1:]
        context = click.Context(main)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(context, rest[0])
            if found is None:
                assert command is not main, f"{page.name}: no command {words}"
                break
            command, rest = found, rest[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for word in rest:
            if word.startswith("-") and word != "--help":
                assert word.split("=")[0] in known, f"{page.name}: {' '.join(words)}: no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_it_names_exists(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    for target in re.findall(r"`((?:benchmarks|cgbench|reports|examples|docs)/[\w./-]+)`", text):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize(
    ("page", "reference", "tables"),
    [("README.md", "streets-demo", 1), ("docs/tour.md", "streets-demo", 2), ("docs/papers.md", "camvid-demo", 1)],
)
def test_every_figure_of_a_table_is_that_of_the_reference_result(page, reference, tables):
    shown = rows_of_tables((ROOT / page).read_text(encoding="utf-8"))
    measured = rows_of_tables((ROOT / "reports" / "reference" / reference / "table.md").read_text(encoding="utf-8"))
    assert len({tuple(row) for row in shown}) == tables
    for row in shown:
        assert any(row.items() <= other.items() for other in measured), row


def rows_of_tables(text):
    """The rows of the tables of methods in a Markdown page, as dictionaries by header."""
    rows, headers = [], []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            headers = []
        elif not headers:
            headers = cells
        elif headers[0] == "method" and "---" not in line:
            rows.append(dict(zip(headers, cells, strict=True)))
    return rows


def test_the_demo_command_is_the_one_that_make_runs():
    command = "cgbench run --methods cyclegan,gan_only --dataset streets --preset demo --name demo"
    assert command in README.read_text(encoding="utf-8") and command in (ROOT / "Makefile").read_text()


def test_the_page_of_settings_is_what_the_configuration_says():
    path = ROOT / "docs" / "write_settings.py"
    specification = importlib.util.spec_from_file_location("write_settings", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/write_settings.py"


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="sphinx is not installed")
    pytest.importorskip("myst_parser", reason="myst-parser is not installed")
    arguments = ["-q", "-W", "--keep-going", "-d", str(tmp_path / "trees"), "docs", str(tmp_path / "site")]
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "one_way" in (tmp_path / "site" / "plugins.html").read_text(encoding="utf-8")
