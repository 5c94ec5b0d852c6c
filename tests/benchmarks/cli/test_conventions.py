"""Conventions of the command line: former spellings, help texts, completion, verbosity, and refusal of older files."""

import json
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from cgbench.benchmarks.cli import report
from cgbench.benchmarks.cli.main import SECTIONS, main
from cgbench.config import FIELDS, FORMER_NAMES
from cgbench.results.run_folder import trial_folders
from helpers.cli import SMALL, cgbench, cgbench_on_terminal

RUN = ["run", "--methods", "gan_only", "--dataset", "streets", *SMALL]


def commands(group=main, words=()):
    """All commands, those of groups included, with the words that call them."""
    for name, command in group.commands.items():
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


ALL = dict(commands())


def help_text(words, width=80):
    result = CliRunner().invoke(main, [*words, "--help"], terminal_width=width, prog_name="cgbench")
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_every_help_text_fits_a_terminal_and_has_examples(words):
    text = help_text(words)
    assert max(map(len, text.splitlines())) <= 80
    assert "\nExamples:\n  cgbench" in text or "\nExamples:\n  eval" in text
    assert words or "..." not in text.partition("[ARGS]...")[2]  # no summary is cut off


@pytest.mark.parametrize("listing", ["methods", "metrics", "failures", "datasets"])
def test_listings_fit_a_terminal_and_are_one_line_each_in_a_pipe(listing):
    shown, piped = cgbench_on_terminal(listing).splitlines(), cgbench(listing).splitlines()
    assert max(map(len, shown)) <= 80 < max(map(len, piped)) and len(shown) > len(piped)
    assert " ".join(" ".join(shown).split()) == " ".join(" ".join(piped).split())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_examples_use_options_and_commands_that_exist(words):
    examples = help_text(words, 200).partition("Examples:\n")[2].replace("\\\n", " ").splitlines()
    for line in (line.partition("#")[0] for line in examples if line.strip().startswith("cgbench")):
        called, command = line.split()[1:], main
        while isinstance(command, click.Group) and called and called[0] in command.commands:
            command, called = command.commands[called[0]], called[1:]
        known = {name for option in command.params for name in option.opts}
        assert {word for word in called if word.startswith("--")} <= known, line


def test_every_command_is_in_one_section():
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(main.commands)


@pytest.mark.parametrize(
    ("words", "former", "present"),
    [(words, old, new) for words, command in ALL.items() for old, new in getattr(command, "former", {}).items()],
    ids=str,
)
def test_a_former_spelling_means_the_present_option_and_says_so(words, former, present):
    command = ALL[words]
    (option,) = [option for option in command.params if present in option.opts]
    assert not re.search(rf"{former}\b(?!-)", help_text(words))
    value = [] if option.is_flag else ["7" if isinstance(option.type, click.types.IntParamType) else "x"]
    for written in ([former, *value], [f"{former}={value[0]}"] if value else [former]):
        args = CliRunner().invoke(main, [*words, *written, "--no-such-option"])
        assert f"cgbench: {former} is called {present} now" in args.output
        assert re.search("No such option:? '?--no-such-option", args.output)


def test_what_stands_behind_two_dashes_is_no_option(tmp_path):
    output = CliRunner().invoke(main, ["translate", str(tmp_path), "--output", "x", "--", "--to"]).output
    assert "is called" not in output


def test_study_and_a_run_still_makes_a_study_and_says_so(tmp_path):
    output = cgbench("study", tmp_path / "run", code=2)
    assert f"'study {tmp_path / 'run'}' is called 'study make {tmp_path / 'run'}' now" in output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell):
    output = cgbench("completion", shell)
    assert "_CGBENCH_COMPLETE" in output and "cgbench" in output


@pytest.mark.parametrize(
    ("line", "expected"),
    [("run --me", "--methods"), ("run --methods cyclegan,gan_o", "cyclegan,gan_only"), ("run --dataset str", "streets"),
     ("show cyclegan_id", "cyclegan_identity"), ("run --suite fam", "family"), ("datasets check cam", "camvid"),
     ("tab", "table")],
)  # fmt: skip
def test_completion_knows_commands_options_and_registered_names(line, expected):
    words = ["cgbench", *line.split()]
    environment = {
        "_CGBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    output = CliRunner().invoke(main, [], env=environment, prog_name="cgbench", complete_var="_CGBENCH_COMPLETE").output
    assert expected in re.findall(r"plain,(\S+)", output)


@pytest.fixture
def _no_report(monkeypatch):
    monkeypatch.setattr(report, "write_and_print", lambda *_: click.echo("the table"))


@pytest.mark.usefixtures("_no_report")
def test_quiet_prints_results_and_warnings_only(tmp_path):
    output = cgbench(*RUN, "--runs-dir", tmp_path, "-q")
    assert output == "the table\n"
    output = cgbench(*RUN, "--runs-dir", tmp_path, "--set", "learning_rate=1e30", "--name", "far", "--quiet", code=1)
    assert output.startswith("[4/4] gan_only, seed 0: diverged") and output.endswith("the table\n")
    assert "training about" in cgbench(*RUN, "--runs-dir", tmp_path)  # the level is that of one command


@pytest.mark.usefixtures("_no_report")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_verbose_prints_settings_with_their_layer_and_tracebacks(tmp_path, jobs):
    command = [*RUN, "--runs-dir", tmp_path, "--jobs", jobs]
    blocked = tmp_path / "streets-smoke" / "streets" / "gan_only" / "seed-0" / "checkpoint.safetensors"
    blocked.mkdir(parents=True)
    quiet = cgbench(*command, code=1)
    verbose = CliRunner().invoke(main, [*map(str, command), "-v"]).output
    assert "Traceback" in verbose and "Traceback" not in quiet
    assert re.search(r"gan_only: .*steps=3 \(--set\)", verbose) and "(--set)" not in quiet


def test_verbose_and_quiet_exclude_each_other(tmp_path):
    for options in (["-v", "-q"], ["-q", "-v"]):
        assert "exclude each other" in cgbench(*RUN, "--runs-dir", tmp_path, *options, code=2)


@pytest.mark.parametrize("name", FORMER_NAMES)
def test_a_former_name_of_a_setting_is_answered_with_the_present_one(name):
    assert name not in FIELDS and FORMER_NAMES[name] in FIELDS
    output = cgbench("run", "--methods", "cyclegan", "--dataset", "streets", "--set", f"{name}=4", code=2)
    assert output == f"cgbench: --set: unknown setting '{name}': it is called '{FORMER_NAMES[name]}' now\n"


@pytest.mark.usefixtures("_no_report")
def test_a_run_of_another_schema_is_refused_in_one_line_everywhere(tmp_path):
    cgbench(*RUN, "--runs-dir", tmp_path, "--name", "old")
    for folder in trial_folders(tmp_path / "old"):
        record = json.loads(folder.trial.read_text())
        folder.trial.write_text(json.dumps({**record, "schema": 1}))
    baseline = ["--baseline", tmp_path / "ci.json"]
    for words in (["evaluate", tmp_path / "old"], ["extend", tmp_path / "old", "--steps", "9"],
                  ["report", tmp_path / "old", "--format", "md"], ["baseline", "update", tmp_path / "old", *baseline],
                  ["diff", tmp_path / "old", tmp_path / "old"], ["table", "4", tmp_path / "old"],
                  ["translate", tmp_path / "old", tmp_path, "--output", tmp_path / "out"],
                  [*RUN, "--runs-dir", tmp_path, "--name", "old", "-q"]):  # fmt: skip
        output = cgbench(*words, code=2)
        assert "was written by another version of cgbench (schema 1, this one reads 2)" in output
        assert len(output.strip().splitlines()) == 1, output


def test_the_completion_of_names_waits_neither_for_torch_nor_for_pandas():
    code = (
        "import sys\nfrom cgbench.benchmarks.cli.main import main\n"
        "from click.shell_completion import BashComplete\n"
        "found = BashComplete(main, {}, 'cgbench', '_CGBENCH_COMPLETE').get_completions(['run', '--methods'], 'cyc')\n"
        "assert any(item.value == 'cyclegan' for item in found)\n"
        "assert not {'torch', 'pandas'}.intersection(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
