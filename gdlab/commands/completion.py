"""Completion of commands by the shell: `eval "$(gdlab -sc install=bash)"`, or zsh.

Hydra's own completes scripts that are called by their file alone, and composes the configuration at every
press of a key; here the words come from `gdlab.commands.reference`, for `python -m gdlab` as well. The shell
runs `gdlab -sc query=SHELL` with the command line up to the cursor in GDLAB_LINE and gets one word a line,
with what it does behind a tab.
"""

import importlib.util
import os
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise

from gdlab.app_path import conf_dir
from gdlab.commands import reference
from gdlab.commands.reference import Group
from gdlab.commands.tasks import TASKS
from gdlab.plan.targets import ConfigError

LINE = "GDLAB_LINE"
SHELLS = ("bash", "zsh")
FLAGS = {
    "--help": "what there is to choose",
    "--version": "of gdlab",
    "--multirun": "one run for each of several values",
    "--cfg": "job: show the configuration and train nothing",
    "--config-dir": "a folder of configurations of your own",
    "--info": "what a configuration is made of",
    "--hydra-help": "what Hydra has besides",
}
_PLACES = (
    "run",
    "output",
    "data_dir",
    "from",
    "into",
)  # whose values are files, which the shell completes by itself
_VALUES = {
    "precision": ("float32", "float64"),
    "format": ("tensorboard", "wandb", "mlflow", "trackio", "csv", "jsonl", "parquet"),
    "true": ("true", "false"),
    "false": ("true", "false"),
}
_LAUNCHERS = {
    "vmap": "gdlab_vmap",
    "joblib": "hydra_joblib_launcher",
    "submitit_local": "hydra_submitit_launcher",
}

_BASH = r"""_gdlab_complete()
{
    local line=${COMP_LINE:0:COMP_POINT} word found
    word=${line##*[[:space:]]}
    COMPREPLY=()
    CONDITION
    while IFS=$'\t' read -r found _; do
        # readline replaces only what stands behind the last of its own separators
        [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && found=${found#"${word%"${word##*=}"}"}
        COMPREPLY+=("$found")
    done < <(GDLAB_LINE=$line COMMAND -sc query=bash 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} != *[=.] ]] || compopt -o nospace 2>/dev/null
}
complete -o default -F _gdlab_complete NAME
"""
_ZSH = r"""(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
_gdlab_complete()
{
    local line="${LBUFFER}" entry
    local -a found said
    CONDITION
    for entry in "${(@f)$(GDLAB_LINE=$line COMMAND -sc query=zsh 2>/dev/null)}"; do
        [[ -n $entry ]] || continue
        found+=("${entry%%$'\t'*}")
        said+=("${entry%%$'\t'*}  ${entry#*$'\t'}")
    done
    if (( ! $#found )); then
        compset -P '*='
        _files
        return
    fi
    compadd -l -d said -S '' -- $found
}
compdef _gdlab_complete NAME
"""


def answer(word: str, started: Sequence[str]) -> str:
    """What `-sc WORD` prints. started: what gdlab was started by, ["gdlab"] or ["python", "-m", "gdlab"].

    Raises ConfigError for other words.
    """
    asked, _, shell = word.partition("=")
    if asked not in ("install", "uninstall", "query") or shell not in SHELLS:
        raise ConfigError(f"-sc {word}: allowed: install, uninstall or query, each =bash or =zsh")
    name = os.path.basename(started[0])
    if asked == "query":
        return "\n".join(f"{found}\t{says}" for found, says in candidates(os.environ.get(LINE, "")))
    if asked == "uninstall":
        undo = f"complete -r {name}" if shell == "bash" else f"compdef -d {name}"
        return f"{undo} 2>/dev/null; unset -f _gdlab_complete"
    otherwise = "return" if shell == "bash" else "{ _default; return }"
    # Whoever completes `python -m gdlab` completes other modules, too: those by files.
    condition = f'[[ $line == *" -m gdlab "* ]] || {otherwise}' if len(started) > 1 else ":"
    text = {"bash": _BASH, "zsh": _ZSH}[shell].rstrip()
    return text.replace("NAME", name).replace("CONDITION", condition).replace("COMMAND", shlex.join(started))


def candidates(line: str) -> list[tuple[str, str]]:
    """(word, what it does) of everything that may stand where `line`, a command up to the cursor, ends."""
    words = line.split()
    current = "" if not line or line[-1].isspace() else words.pop()
    folder = next((after for word, after in pairwise(words) if word == "--config-dir"), None)
    if words[-1:] == ["--config-dir"] or words[-1:] == ["-cd"]:
        return []
    if current.startswith("-"):
        return _beginning(current, FLAGS.items())
    groups = reference.groups(folder)
    if "=" in current:
        return _beginning(current, _values(current.partition("=")[0], groups, words))
    return _beginning(current, _keys(current, groups, words))


def _beginning(current, found):
    return [(word, says) for word, says in found if word.startswith(current)]


def _values(key: str, groups: list[Group], words: list[str]) -> Iterator[tuple[str, str]]:
    """The values of a group or option, as whole words."""
    if key == "task":
        yield from ((f"task={name}", task.says) for name, task in TASKS.items())
    elif key == "hydra/launcher":
        yield "hydra/launcher=basic", "one run after the other"
        for name, plugin in _LAUNCHERS.items():
            if importlib.util.find_spec(f"hydra_plugins.{plugin}"):
                yield f"hydra/launcher={name}", ""
    for group in groups:
        # A probe at the end of a training: +probe@probes.NAME=CHOICE
        if key in (group.name, f"+{group.name}") or key.startswith(f"+{group.name}@"):
            yield from ((f"{key}={choice.name}", choice.says) for choice in group.choices)
    for option in _known(groups, words):
        if option.key == key:
            for value in _VALUES.get(key) or _VALUES.get(option.default) or ():
                yield f"{key}={value}", ""


def _keys(current: str, groups: list[Group], words: list[str]) -> Iterator[tuple[str, str]]:
    """Groups and options; of what lies deeper than `current` the section alone, "train."."""
    yield from ((f"{group.name}=", group.says) for group in groups)
    if "-m" in words or "--multirun" in words:
        yield "hydra/launcher=", "what the runs of a sweep are trained by"
    depth = current.count(".")
    seen = set()
    for option in _known(groups, words):
        parts = option.key.split(".")
        if len(parts) == depth + 1:
            yield f"{option.key}=", f"{option.says} [{option.default}]"
        elif len(parts) > depth + 1:
            section = ".".join(parts[: depth + 1]) + "."
            if section not in seen:
                seen.add(section)
                yield section, "options"


def _known(groups: list[Group], words: list[str]) -> Iterator[reference.Option]:
    """The options of the command: those of every training, and of the choices made so far."""
    yield from reference.options()
    made = _choices(groups, words)
    for group in groups:
        for choice in group.choices:
            if choice.name == made.get(group.name):
                yield from choice.options


def _choices(groups: list[Group], words: list[str]) -> dict[str, str]:
    """{group: choice} of a command: its words before those of its experiment before the usual ones."""
    given = dict(word.split("=", 1) for word in words if word.count("=") == 1)
    made = {group.name: group.usual for group in groups}
    made |= _of_experiment(given.get("experiment", "").partition(",")[0])
    found = {name: given.get(name, usual).partition(",")[0] for name, usual in made.items()}
    if found.get("record") == "dumps":  # which changes an option of the usual one
        found["record"] = "default"
    return found


def _of_experiment(name: str, depth: int = 0) -> dict[str, str]:
    path = conf_dir() / "experiment" / f"{name}.yaml"
    if not name.isidentifier() or not path.is_file() or depth > 9:
        return {}
    found: dict[str, str] = {}
    for parent in reference.parents(path):
        found |= _of_experiment(parent, depth + 1)
    return found | reference.chosen(path)
