"""docs/security.md promises nothing without a test."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text()


def test_every_promise_names_a_test_that_is_there():
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) >= 8
    for row in rows:
        names = re.findall(r"`(test_\w+|tests/[\w/]+\.py)`", row.rpartition(" | ")[2])
        assert names, row
        for name in names:
            there = (ROOT / name).is_file() if name.endswith(".py") else f"def {name}(" in tests
            assert there, f"{name} is not there"


def test_control_is_for_this_machine_unless_it_is_allowed(tmp_path, monkeypatch):
    from server import __main__ as server
    from server.core import arguments

    told = []

    class Ended(Exception):
        pass

    def begin(options, given):
        told.append(given)
        raise Ended

    monkeypatch.setattr(server, "_server", begin)
    others = ["--allow-websocket-origin", "lab.example:5006"]
    for words, wanted in (
        ([], True), (["--no-allow-control"], False), (others, False), ([*others, "--allow-control"], True),
    ):  # fmt: skip
        try:
            server.main([str(tmp_path), *words])
        except Ended:
            assert told[-1].control == wanted
            assert arguments.parse(told[-1].arguments()).control == wanted  # of several processes, too
    assert len(told) == 4
    assert not arguments.parse([str(tmp_path)]).control  # bokeh serve


def test_the_options_that_it_names_are_options_of_the_server():
    from server import __main__ as server
    from server.core import arguments

    said = arguments.parse(["runs", "--data-dir", "x", "--memory", "2", "--job-minutes", "5"])
    assert said.limits.seconds == 300 and said.data
    assert server._parse(["runs", "--memory", "2"]).memory == 2
    for option in ("--data-dir", "--memory", "--job-minutes"):
        assert option in TEXT
