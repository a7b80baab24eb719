"""What `python -m gdlab --help` prints: of the whole, or of a group, a choice, a task or an option.

The words are those of `gdlab.commands.reference`.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from gdlab import __version__
from gdlab.commands import reference
from gdlab.commands.reference import Choice, Group, Option
from gdlab.commands.tasks import TASKS
from gdlab.plan.targets import ConfigError, nearest

WIDTH = 100
FLAGS = {
    "--help, -h": "this; with names, what these are: --help optimizer, --help probe=surface, --help all",
    "--json": "of task=runs and task=summary: print JSON",
    "--version": "the version of gdlab",
    "--multirun, -m": "a sweep: several values of an option, one run for each: seed=0,1,2",
    "--cfg job": "show the composed configuration, and train nothing",
    "--config-dir FOLDER": "configurations of your own, searched before gdlab's",
    "-sc install=bash": 'completion of commands for bash, or zsh: eval "$(gdlab -sc install=bash)"',
    "--info defaults": "which files a configuration is made of; config, searchpath, plugins, all",
    "--hydra-help": "what Hydra has besides: launchers, sweepers, the folder of a run",
}
EXAMPLES = {
    "python -m gdlab experiment=rosenbrock": "train, into runs/rosenbrock",
    "python -m gdlab experiment=rosenbrock linesearch.sigma=0.1": "another option, into a folder of its own",
    "python -m gdlab problem=beale optimizer=adam train.steps=500": "any test function, any optimizer",
    "python -m gdlab -m experiment=digits_sgd seed=0,1,2": "three runs",
    "python -m gdlab task=probe run=runs/rosenbrock probe=landscape output=map.npz": "ask a recorded run",
    "python -m server runs": "look (installed: gdlab-serve runs)",
}


def of(words: Iterable[str], config_dir: str | None = None) -> str:
    """The help for what `words` name: groups, "group=choice", tasks, options; for the whole without words.

    Raises ConfigError for a word that names nothing, with the nearest that does.
    """
    groups = reference.groups(config_dir)
    words = list(words)
    if not words:
        return "\n".join(_whole(groups))
    if words == ["all"]:
        return "\n".join([*_whole(groups), *(line for group in groups for line in ("", *_group(group)))])
    return "\n\n".join("\n".join(_one(word, groups)) for word in words)


def _whole(groups: list[Group]) -> Iterator[str]:
    yield f"gdlab {__version__} records gradient descent and shows what it really does."
    yield ""
    yield "usage: python -m gdlab [FLAG] [GROUP=CHOICE] [OPTION=VALUE] ..., or, installed, gdlab ..."
    yield from _titled("Examples", [(f"{command}  # {says}", "") for command, says in EXAMPLES.items()])
    yield from _titled("Tasks (task=NAME)", [(name, task.says) for name, task in TASKS.items()])
    listed = [(group.name, f"{group.says} [{group.usual}]") for group in groups]
    yield from _titled("Groups (GROUP=CHOICE; behind them the choice where none is made)", listed)
    yield from _titled("Options (OPTION=VALUE)", _rows(reference.options()))
    (record,) = (group for group in groups if group.name == "record")
    yield from _titled("What is recorded", _rows(_of(record, record.usual).options))
    yield from _titled("Flags", list(FLAGS.items()))
    yield ""
    yield "The choices of a group, and their options: python -m gdlab --help GROUP; of all: --help all"


def _one(word: str, groups: list[Group]) -> Iterator[str]:
    name, given, choice = word.partition("=")
    if name == "task":
        yield from _tasks(choice if given else None)
        return
    for group in groups:
        if name != group.name:
            continue
        if not given:
            yield from _group(group)
        else:
            yield from _choice(group, _of(group, choice))
        return
    yield from _option(name, groups)


def _option(name: str, groups: list[Group]) -> Iterator[str]:
    known = [*reference.options()]
    known += [option for group in groups for choice in group.choices for option in choice.options]
    found = list(dict.fromkeys(one for one in known if one.key == name or one.key.startswith(f"{name}.")))
    if not found:
        names = [*(group.name for group in groups), *(option.key for option in known), "task", "all"]
        raise ConfigError(f"--help {name}: there is no such group or option.{nearest(name, names)}")
    yield from _table(_rows(found))


def _tasks(name: str | None) -> Iterator[str]:
    if name is not None and name not in TASKS:
        raise ConfigError(f"--help task={name}: allowed: {', '.join(TASKS)}.{nearest(name, list(TASKS))}")
    says = {option.key: option.says for option in reference.options()}
    says["probe"] = "the question: --help probe"
    for key, task in TASKS.items():
        if name in (None, key):
            yield from _table([(f"task={key}", task.says)])
            yield from _table([(option, says[option]) for option in task.options], 4)
            yield f"    {task.example}"


def _group(group: Group) -> Iterator[str]:
    yield f"{group.name}=CHOICE: {group.says} [{group.usual}]"
    left = max(len(f"{group.name}={choice.name}") for choice in group.choices)
    for choice in group.choices:
        yield from _table([(f"{group.name}={choice.name}", choice.says)], left=left)
        yield from _table(_rows(choice.options), 4)


def _choice(group: Group, choice: Choice) -> Iterator[str]:
    yield f"{group.name}={choice.name}: {choice.says}"
    if choice.more:
        yield from textwrap.wrap(choice.more, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield from _table(_rows(choice.options))
    if choice.sets:
        yield "  It sets these, before the defaults of whatever else is chosen; --cfg job shows what holds:"
        yield from _table([(f"{key}={value}", "") for key, value in choice.sets.items()], 4)


def _of(group: Group, name: str) -> Choice:
    for choice in group.choices:
        if choice.name == name:
            return choice
    names = [choice.name for choice in group.choices]
    raise ConfigError(
        f"{group.name}={name}: there is no such {group.name}; allowed: {', '.join(names)}."
        f"{nearest(name, names)}"
    )


def _rows(options: Sequence[Option]) -> list[tuple[str, str]]:
    shown = {one.key: "" if one.default.startswith("${") else f" [{one.default}]" for one in options}
    return [(option.key, f"{option.says}{shown[option.key]}") for option in options]


def _titled(title: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    yield ""
    yield title
    yield from _table(rows)


def _table(rows: list[tuple[str, str]], indent: int = 2, left: int = 0) -> Iterator[str]:
    """Two columns, the first `left` wide or as wide as its names, the second wrapped within WIDTH."""
    left = left or max((len(name) for name, _ in rows if len(name) <= 36), default=0)
    for name, says in rows:
        start = " " * indent + name.ljust(left)
        lines = textwrap.wrap(says, max(WIDTH - indent - left - 2, 40), break_on_hyphens=False)
        if len(name) > left and lines:
            yield start
            start = " " * (indent + left)
        yield f"{start}  {lines[0]}" if lines else start.rstrip()
        yield from (" " * (indent + left + 2) + line for line in lines[1:])
