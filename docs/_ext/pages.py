"""What the pages take from gdlab itself: a line `<!-- gdlab:WHAT -->` is replaced by what it names.

options       every group and option, from the comments of the configurations
experiments   a table of the experiments          probes    every probe with its docstring
api MODULE    every public name of a module       reading NAME, gallery    pictures and their words
"""

import importlib
import inspect
import re
from pathlib import Path

import gdlab
from gdlab.app_path import make_server_importable
from gdlab.commands import reference
from gdlab.commands.tasks import TASKS

make_server_importable()
from server.ui import reading  # noqa: E402

HERE = Path(__file__).resolve().parents[1]
PICTURES = HERE / "pictures"
_MARK = re.compile(r"^<!-- gdlab:(\w+)(?: (\S+))? -->$", re.MULTILINE)


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", _filled)
    app.connect("autodoc-process-docstring", _as_rst)
    app.connect("autodoc-skip-member", _skipped)
    return {"parallel_read_safe": True}


def _filled(app, page, source):
    made = {
        "options": _options, "experiments": _experiments, "probes": _probes, "api": _api,
        "reading": _reading, "gallery": _gallery,
    }  # fmt: skip
    depth = page.count("/")
    source[0] = _MARK.sub(
        lambda m: made[m[1]](m[2]).replace("PICTURES/", "../" * depth + "pictures/"), source[0]
    )


def public_names(module):
    """The public names of a module, in the order of the alphabet, without case; where it lists none,
    the functions and classes that it defines."""
    found = importlib.import_module(module)
    defined = [
        name
        for name, thing in vars(found).items()
        if not name.startswith("_") and callable(thing) and getattr(thing, "__module__", "") == module
    ]
    return sorted(getattr(found, "__all__", defined), key=lambda name: (name.startswith("_"), name.lower()))


def _api(module):
    found = importlib.import_module(module)
    lines = [f".. py:module:: {module}", ""]
    for name in public_names(module):
        thing = getattr(found, name)
        kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else "data"
        if module != "gdlab" and getattr(gdlab, name, None) is thing:
            role = "class" if kind == "class" else "func"
            lines += [f".. py:{kind}:: {name}", "", f"   As :py:{role}:`gdlab.{name}`.", ""]
        elif kind == "data":
            lines += [f".. py:data:: {name}", "", f"   {_data(name, thing)}", ""]
        else:
            lines += [f".. auto{kind}:: {module}.{name}", ""]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```"


def _data(name, thing):
    if isinstance(thing, str):
        return "The version of gdlab, a text." if name == "__version__" else repr(thing)
    if all(callable(one) for one in thing):
        return f"{len(thing)} functions: " + ", ".join(one.__name__ for one in thing) + "."
    return ", ".join(f"``{one}``" for one in sorted(thing)) + "."


def _probes(_):
    (group,) = (group for group in reference.groups() if group.name == "probe")
    lines = []
    for choice in group.choices:
        target = f"gdlab.probes.{choice.name}.compute"
        lines += [f"## {choice.name}", "", choice.says, "", *_table(choice.options), ""]
        lines += ["```{eval-rst}", f".. autofunction:: {target}", "```", ""]
    return "\n".join(lines)


def _options(_):
    lines = [
        "## Tasks",
        "",
        "`task=NAME`; without it, `train`.",
        "",
        "| task | what | reads |",
        "|---|---|---|",
    ]
    for name, task in TASKS.items():
        lines.append(f"| `{name}` | {_cell(task.says)} | {', '.join(f'`{one}`' for one in task.options)} |")
    lines += ["", "## Options", "", *_table(reference.options()), ""]
    for group in reference.groups():
        lines += [
            f"## {group.name}",
            "",
            f"`{group.name}=CHOICE`: {group.says}. Without it: `{group.usual}`.",
            "",
        ]
        for choice in group.choices:
            lines += [
                f"### {group.name}={choice.name}",
                "",
                choice.says,
                "",
                choice.more.replace("<", "\\<"),
                "",
            ]
            lines += [*_table(choice.options), ""]
    return "\n".join(lines)


def _experiments(_):
    (group,) = (group for group in reference.groups() if group.name == "experiment")
    rows = [f"| `{choice.name}` | {_cell(choice.says)} |" for choice in group.choices]
    return "\n".join(["| experiment | what |", "|---|---|", *rows])


def _table(options):
    if not options:
        return []
    rows = [f"| `{one.key}` | `{_cell(one.default)}` | {_cell(one.says)} |" for one in options]
    return ["| option | default | what |", "|---|---|---|", *rows]


def _cell(text):
    return (
        text.replace("|", "\\|")
        .replace("${", "$ {")
        .replace("$ {", "${")
        .replace("<", "\\<")
        .replace("*", "\\*")
    )


def _reading(name):
    title, parts = reading.of(name)
    lines = [f"### {title}", ""]
    if (PICTURES / f"{name}.webp").exists():
        lines += [f"![{title}](PICTURES/{name}.webp)", ""]
    lines += [
        f"{parts['Drawn']} {parts['Legend']}",
        "",
        f"*{parts['From']}*",
        "",
        f"**Look for.** {parts['Look for']}",
    ]
    return _escaped("\n".join(lines))


def _gallery(_):
    lines = []
    for path in sorted(PICTURES.glob("*_dark.webp")):
        name = path.stem.removesuffix("_dark")
        title, parts = reading.of(name)
        lines += [f"## {title}", "", f"{parts['Drawn']} [How to read it](reading.md)", ""]
        lines += [
            f"![{title}, light](PICTURES/{name}.webp)",
            "",
            f"![{title}, dark](PICTURES/{name}_dark.webp)",
            "",
        ]
    return _escaped("\n".join(lines))


def _escaped(text):
    return text.replace("|theta_{k+1} - theta_k|", "|theta<sub>k+1</sub> - theta<sub>k</sub>|")


_QUOTED = re.compile(r"(`+)(.+?)\1")


_ENTRY = re.compile(r"( *)([\w.*]+(?:(?:, | / )[\w.*]+)*)  +(\S.*)$")


def _as_rst(app, kind, name, thing, options, lines):
    """gdlab's docstrings are plain text: what reStructuredText would take for marks is escaped, an indented
    block after an empty line is code, and names with their meaning in a second column become a list of
    definitions."""
    made, inside, code, before = [], None, None, [""]
    if kind in ("attribute", "data", "property"):
        made.append("")  # else a colon in the first line would end the name of a type
    for line in _whole_quotes(lines):
        entry = _ENTRY.match(line)
        indent = len(line) - len(line.lstrip())
        if code is not None and (not line.strip() or indent >= code):
            made.append(line)
            continue
        code = None
        if not before[-1].strip() and indent >= 4 and indent - _indent(before) >= 4:
            made, code, inside = [*made, "::", "", line], indent, None
        elif entry:
            inside = len(entry[1])
            made += ["", f"{entry[1]}``{entry[2]}``", f"{entry[1]}    {_plain(entry[3])}"]
        elif inside is not None and line.strip() and indent > inside:
            made.append(" " * (inside + 4) + _plain(line.strip()))
        else:
            made += [""] if inside is not None and line.strip() else []
            inside = None
            made.append(_plain(line))
        before.append(line)
    lines[:] = made


def _indent(lines):
    """The indentation of the last of the lines that is not empty."""
    last = next((line for line in reversed(lines) if line.strip()), "")
    return len(last) - len(last.lstrip())


def _whole_quotes(lines):
    """The lines, those joined that a quotation goes over."""
    whole = []
    for line in lines:
        if whole and whole[-1].count("`") % 2 and line.strip():
            whole[-1] += " " + line.strip()
        else:
            whole.append(line)
    return whole


def _plain(line):
    parts, at = [], 0
    for found in _QUOTED.finditer(line):
        parts += [_without_marks(line[at : found.start()]), f"``{found[2]}``"]
        at = found.end()
    return "".join([*parts, _without_marks(line[at:])])


def _without_marks(text):
    text = re.sub(r"([|*`])", r"\\\1", text)
    return re.sub(r"_(?=\W|$)", r"\\_", text)


def _skipped(app, kind, name, thing, skip, options):
    # The fields of a NamedTuple say "Alias for field number 0"; the class says what they are. A default that
    # is a function of JAX is explained by JAX.
    foreign = callable(thing) and not str(getattr(thing, "__module__", "gdlab")).startswith("gdlab")
    return True if foreign or type(thing).__name__ == "_tuplegetter" else None
