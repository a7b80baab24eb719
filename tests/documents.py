"""Pages of the documentation as programs: their code blocks are run one after the other, as they stand there.

    python -m tests.documents PAGE      runs the blocks of a page in the current folder

A block whose first line is a comment with a file's name is that file. Other Python blocks share their names,
and commands `python -m gdlab` run in the same process, as called from a shell: all is started once. The
server and other programs are not started; `tests/test_docs.py` checks what their commands name. A line
`<!-- not run: WHY -->` before a block exempts it from being run, not from being checked.
"""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^(?:<!-- not run: ([^\n]+) -->\n)?```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# ([\w/]+\.(?:py|yaml))\n")
LANGUAGES = ("python", "yaml", "console")


class Block(NamedTuple):
    """language; code; why it is not run, or None; file: its name where it is one."""

    language: str
    code: str
    why_not: str | None
    file: str | None


def blocks(path):
    """The Blocks of a page, in order."""
    found = []
    for why, language, code in _BLOCK.findall(Path(path).read_text(encoding="utf-8")):
        file = _FILE.match(code) if language in ("python", "yaml") else None
        found.append(Block(language, code, why or None, file and file[1]))
    return found


def commands(block):
    """[({variable: value}, [words])] of a console block, without comments."""
    found = []
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        variables = {}
        while words and re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        if words:
            found.append((variables, words))
    return found


def run(page):
    """Run a page in the current folder; raises what its code raises."""
    sys.path.insert(0, os.getcwd())
    names = {"__name__": "__main__"}
    for number, block in enumerate(blocks(page)):
        if block.why_not:
            continue
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.code)
        elif block.language == "python":
            exec(compile(block.code, f"{page}, block {number}", "exec"), names)
        elif block.language == "console":
            for variables, words in commands(block):
                if words[:3] == ["python", "-m", "gdlab"]:
                    call(words[3:], variables)


def call(arguments, variables):
    """`python -m gdlab ARGUMENTS` in this process, with these variables."""
    from gdlab import __main__ as door
    from gdlab.plan import targets

    targets.installed.cache_clear()
    before, sys.argv = sys.argv, ["gdlab", *arguments]
    os.environ.update({name: value for name, value in variables.items() if name != "PYTHONPATH"})
    print("$ gdlab", *arguments, file=sys.stderr, flush=True)
    try:
        door.main()
    except SystemExit as ended:
        assert not ended.code, f"{arguments}: {ended.code}"
    finally:
        sys.argv = before


if __name__ == "__main__":
    run(sys.argv[1])
