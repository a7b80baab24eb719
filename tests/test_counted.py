"""Numbers with their nouns: nothing says "1 runs"."""

import re
from pathlib import Path

import pytest

from gdlab.messages import counted

SOURCES = [path for top in ("gdlab", "server") for path in (Path(__file__).parents[1] / top).rglob("*.py")]
# "{count:,} runs": a number that may be 1, straight before a noun. Numbers that bound something are larger.
BARE = re.compile(
    r"\{(?:len\([^{}]*\)|[^{}]*:,)\} (?:runs|iterations|images|filters|layers|dumps|restarts|searches"
    r"|mini-batches|mini-sets|classes|units|maps|anomalies|losses|examples|others|groups|links)\b"
)
BOUNDS = re.compile(r"\{[A-Z_]+:,\}")


@pytest.mark.parametrize(
    ("number", "nouns", "words"),
    [
        (0, ("run",), "0 runs"),
        (1, ("run",), "1 run"),
        (2, ("run",), "2 runs"),
        (1234, ("mini-batch", "mini-batches"), "1,234 mini-batches"),
        (1, ("mini-batch", "mini-batches"), "1 mini-batch"),
    ],
)
def test_a_number_with_its_noun(number, nouns, words):
    assert counted(number, *nouns) == words


def test_no_sentence_has_a_number_before_a_noun_that_cannot_follow_it():
    found = [
        f"{path.name}:{number}: {match[0]}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in BARE.finditer(line)
        if not BOUNDS.match(match[0])
    ]
    assert found == []
