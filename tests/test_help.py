"""`--help` speaks of gdlab: everything that can be chosen has a line of its own, and that line is true."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gdlab import __main__ as door
from gdlab import __version__
from gdlab.app_path import conf_dir
from gdlab.commands import reference
from gdlab.commands.helptext import WIDTH, of
from gdlab.commands.tasks import TASKS
from gdlab.plan.builder import ConfigError
from server.__main__ import main as serve
from tests.composing import composed

GROUPS = reference.groups()
CHOICES = [(group, choice) for group in GROUPS for choice in group.choices]
MARKS = ("_target_", "_partial_", "_none_")


def leaves(node, path=()):
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        elif key not in MARKS:
            yield ".".join((*path, str(key)))


def test_every_group_of_configurations_has_a_line():
    servers = {"view", "page"}  # which no command of gdlab's reads
    folders = {path.name for path in conf_dir().iterdir() if path.is_dir()} - servers
    assert {group.name for group in GROUPS} == folders
    assert all(group.says and group.choices for group in GROUPS)


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=lambda value: value.name)
def test_every_choice_and_each_of_its_options_has_a_line(group, choice):
    assert choice.says and len(choice.says) <= 120, choice
    assert all(option.says for option in choice.options), choice
    found = yaml.safe_load((conf_dir() / group.name / f"{choice.name}.yaml").read_text())
    if group.name != "experiment" and "defaults" not in found:
        assert [option.key for option in choice.options] == [f"{group.name}.{key}" for key in leaves(found)]


def test_every_option_of_a_training_has_a_line_and_its_default():
    found = yaml.safe_load((conf_dir() / "config.yaml").read_text())
    told = {option.key: option for option in reference.options()}
    keys = leaves({key: value for key, value in found.items() if key not in ("defaults", "hydra")})
    assert set(told) == set(keys) and all(option.says for option in told.values())
    assert (told["train.steps"].default, told["precision"].default) == ("100", "float32")


@pytest.mark.parametrize("name", [one.name for group, one in CHOICES if group.name == "experiment"])
def test_what_an_experiment_sets_is_what_its_configuration_has(name):
    (choice,) = (one for group, one in CHOICES if (group.name, one.name) == ("experiment", name))
    config, groups = composed(f"experiment={name}"), {group.name for group in GROUPS}
    assert choice.sets
    for key, value in choice.sets.items():
        if key in groups:
            assert (conf_dir() / key / f"{value}.yaml").exists(), key
            continue
        node = config
        for part in key.split("."):
            node = node[part]
        assert node == yaml.safe_load(value) or value.startswith("${"), key


def test_help_of_an_experiment_lists_what_it_sets():
    said = of(["experiment=digits_sgd"])
    assert "optimizer.learning_rate=1.0" in said and "--cfg job" in said
    assert "optimizer=sgd" in said and "train.batches=5" in said  # from digits_cg, which it begins with


def test_the_usual_choices_are_those_of_a_command_that_makes_none():
    config = composed("train.steps=1")
    for group in GROUPS:
        if group.usual == "null":
            assert config.get(group.name) is None
    assert config["record"]["dumps"] is False and config["problem"]["_target_"].endswith(".rosenbrock")


def test_tasks_name_options_that_exist():
    known = {option.key for option in reference.options()} | {group.name for group in GROUPS}
    assert not {name for task in TASKS.values() for name in task.options} - known
    assert tuple(TASKS) == (
        "train",
        "ensemble",
        "probe",
        "extend",
        "runs",
        "summary",
        "stop",
        "pack",
        "unpack",
        "import",
    )


def test_the_whole_help_names_everything():
    text = of(["all"])
    assert __version__ in text
    for group in GROUPS:
        assert f"{group.name}=CHOICE" in text
    for group, choice in CHOICES:
        assert f"{group.name}={choice.name}" in text
        assert all(option.key in text for option in choice.options)
    for option in reference.options():
        assert option.key in text
    assert all(len(line) <= WIDTH + 20 for line in of([]).splitlines())


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["optimizer=adam"], ["Adam (Kingma", "optimizer.b1", "[0.9]"]),
        (["train"], ["train.steps", "iterations in all"]),
        (["record.dumps"], ["record.dumps"]),
        (["task=extend"], ["train.steps", "task=extend run="]),
        (["problem"], ["problem=beale", "problem=classification"]),
        (["experiment=rosenbrock"], ["Expected: J", "3e-16 at iteration 22"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_the_help_of_one_thing(words, parts):
    text = of(words)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize("word", ["optimiser", "optimizer=adm", "train.stesp", "task=prob"])
def test_what_is_not_there_is_answered_with_the_nearest(word):
    with pytest.raises(ConfigError, match="Did you mean"):
        of([word])


def test_configurations_of_ones_own_are_listed(tmp_path):
    (tmp_path / "problem").mkdir()
    (tmp_path / "problem" / "valley.yaml").write_text(
        "# A valley of mine.\n_target_: mine.valley\nsteep: 1  # how\n"
    )
    assert "A valley of mine." in of(["problem"], str(tmp_path))
    assert "problem.steep" in of(["problem=valley"], str(tmp_path))


def test_the_command_prints_it_and_starts_neither_hydra_nor_jax(monkeypatch, capsys):
    code = "import sys, gdlab.__main__ as door; sys.argv[1:] = ['--help']; door.main()\n"
    code += "assert not {'hydra', 'jax', 'omegaconf', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"gdlab {__version__} "), done.stderr
    monkeypatch.setattr(sys, "argv", ["gdlab", "optimizer=adm", "--help"])
    with pytest.raises(SystemExit, match="Did you mean 'adam'"):
        door.main()


def test_who_reads_a_part_alone_is_told_no_error():
    command = [sys.executable, "-m", "gdlab", "--help", "all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()  # as `head` does when it has what it wants
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_the_server_explains_itself(capsys):
    for flag in ("--help", "--version"):
        with pytest.raises(SystemExit) as ended:
            serve([flag])
        assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"gdlab {__version__}" in said and "gdlab-serve" in said
    assert "http://localhost:5006" in said and "docs/security.md" in said


def test_the_examples_are_commands(tmp_path):
    from gdlab.commands import overrides
    from gdlab.commands.helptext import EXAMPLES

    commands = [*EXAMPLES, *(task.example for task in TASKS.values())]
    for command in commands:
        words = command.split()
        assert words[:2] == ["python", "-m"]
        if words[2] == "gdlab":
            overrides.check(overrides.parsed(words[3:]))
        else:
            assert Path(words[2]).is_dir()
