"""What there is to choose, in words: every group, choice and option with one line of what it does.

The words stand in the configurations themselves, behind `#`: the first line of a file says what it is, the
comment of an option what that does, the list of defaults in conf/config.yaml what a group is. `--help`, the
completion of shells and the documentation read them here, so nothing is said twice. Neither YAML nor Hydra is
needed for it, which would take longer than a shell likes to wait.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from gdlab.app_path import conf_dir

_ENTRY = re.compile(r'^( *)"?([\w./]+)"?:(?: +([^#\s][^#]*?))? *(?:# (.*))?$')
_GROUP = re.compile(r"^ +- (\w+): (\S+) +# (.*)$")
_SILENT = ("_target_", "_partial_", "_none_")  # of a configuration, and no options
_SECTIONS = ("defaults", "hydra")


class Option(NamedTuple):
    """key: as a command names it, "train.steps"; default: as its file has it; says: one line."""

    key: str
    default: str
    says: str


class Choice(NamedTuple):
    """One file of a group: its name, one line, what else its head says, its options; of an experiment what
    it sets: {option or group: value}, that of the experiments that it begins with included."""

    name: str
    says: str
    more: str
    options: tuple[Option, ...]
    sets: Mapping[str, str] = {}


class Group(NamedTuple):
    """name: as a command names it; usual: the choice where a command makes none; says: one line."""

    name: str
    usual: str
    says: str
    choices: tuple[Choice, ...]


def groups(config_dir: str | Path | None = None) -> list[Group]:
    """All groups; config_dir: a folder of configurations of one's own, whose choices are listed too."""
    found = filter(None, map(_GROUP.match, _lines(conf_dir() / "config.yaml")))
    folders = [conf_dir(), *([Path(config_dir)] if config_dir is not None else [])]
    return [Group(one[1], one[2], one[3], choices(one[1], folders)) for one in found]


def choices(group: str, folders: Iterable[Path]) -> tuple[Choice, ...]:
    """The choices of a group in some folders of configurations, by name; later folders win."""
    files = {path.stem: path for folder in folders for path in (folder / group).glob("*.yaml")}
    return tuple(_choice(group, files[name], files) for name in sorted(files))


def options() -> list[Option]:
    """The options that every training has, those of conf/config.yaml."""
    return _options(_lines(conf_dir() / "config.yaml"), "")


def chosen(path: Path) -> dict[str, str]:
    """{group: choice} of the list of defaults of a configuration: those that it names, or overrides."""
    found = {}
    for line in _lines(path):
        match = re.match(r"^ +- (?:override +)?/?(\w+): ([\w.]+)", line)
        if match:
            found[match[1]] = match[2]
    return found


def parents(path: Path) -> list[str]:
    """The configurations of its own group that a configuration begins with."""
    return [match[1] for line in _lines(path) if (match := re.match(r"^ +- (\w+)$", line))]


def _choice(group: str, path: Path, files: Mapping[str, Path]) -> Choice:
    lines = _lines(path)
    head = []
    for line in lines:
        if not line.startswith("#"):
            break
        if not re.match(r"# (@package|[\w./-]+\.yaml$)", line):  # its place, or its name
            head.append(line[1:].strip())
    # What builds on another configuration changes its options and has none of its own.
    own = () if "defaults:" in lines or group == "experiment" else tuple(_options(lines, group))
    sets = _sets(path, files) if group == "experiment" else {}
    return Choice(path.stem, head[0] if head else "", " ".join(head[1:]), own, sets)


def _sets(path: Path, files: Mapping[str, Path], inside: tuple[Path, ...] = ()) -> dict[str, str]:
    """What a configuration and those that it begins with set; inside: those that begin with it."""
    found: dict[str, str] = {}
    for parent in parents(path):
        if parent in files and files[parent] not in (*inside, path):
            found |= _sets(files[parent], files, (*inside, path))
    found |= {name: choice for name, choice in chosen(path).items() if name != "hydra"}
    return found | {option.key: option.default for option in _options(_lines(path), "")}


def _options(lines: list[str], group: str) -> list[Option]:
    found: list[Option] = []
    above: list[tuple[int, str, str]] = []  # (indentation, key, words) of the sections around a line
    for line in lines:
        match = _ENTRY.match(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        indent, key, value, says = len(match[1]), match[2], match[3], match[4] or ""
        above = [section for section in above if section[0] < indent]
        if value is None:
            above.append((indent, key, says))
        elif key not in _SILENT and not any(name in _SECTIONS for _, name, _ in above):
            path = ".".join(filter(None, [group, *(name for _, name, _ in above), key]))
            words = [*(said for _, _, said in above if group and said), says]
            found.append(Option(path, value.strip(), ": ".join(words) if says else ""))
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
