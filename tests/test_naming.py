"""Names of run folders: short, the same for the same command, different for different ones, safe to use."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from gdlab import experiment
from gdlab.plan import naming
from tests.composing import composed

PARSER = OverridesParser.create()
KEYS = st.sampled_from(
    ["seed", "optimizer.learning_rate", "schedule.learning_rate", "model.features", "a.b.c"]
)
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers())
)
CHANGES = st.dictionaries(KEYS, VALUES)


def name(prefix, *overrides):
    return naming.run_name(prefix, naming.own_changes(PARSER.parse_overrides(list(overrides))))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("digits_cg",), "digits_cg"),
        (("digits_cg", "train.steps=100"), "digits_cg--steps-100"),
        (("d", "seed=2", "optimizer.learning_rate=0.10"), "d--learning_rate-0.1--seed-2"),
        (("d", "optimizer.rate=1e-5", "schedule.rate=2"), "d--optimizer.rate-1e-05--schedule.rate-2"),
        (("d", "model.features=[8,10]"), "d--features-8_10"),
        (("d", "optimizer=adam", "~schedule"), "d--optimizer-adam--schedule-no"),
        (("d", "record.sync=true", "data_dir=/x", "+probe@probes.end=confusion", "name=d"), "d"),
        (("d", "train.batch_size=64", "train.batches=1"), "d--batch_size-64"),
        (("d", "train.batches=4", "train.batch_size=null"), "d--batches-4"),
        (("mine/a",), "mine/a"),
    ],
)
def test_a_name_says_what_was_changed(command, expected):
    assert name(*command) == expected


@pytest.mark.parametrize(
    "prefix", ["a\nb", ".hidden", "a\\b", "../up", "/etc", "a/../b", "日" * 100, "", "\x1b[2J"]
)
def test_a_name_of_a_person_neither_hides_nor_leads_elsewhere(prefix):
    made = name(prefix, "seed=1")
    assert len(made.encode()) <= naming.MOST_BYTES and made.isprintable()
    assert not any(part.startswith(".") or not part for part in made.split("/"))


def test_what_had_to_be_altered_is_told_apart():
    assert len({name(text) for text in ("a\nb", "a\\b", "a_b", "a b", "日" * 100, "日" * 101)}) == 6
    texts = ("a/b", "a_b", "1", "8_10", "true", "null", "x" * 50, "x" * 51)
    quoted = [f"note='{text}'" for text in texts] + ["note=1", "note=[8,10]", "note=true", "note=null"]
    assert len({name("d", text) for text in quoted}) == len(quoted)


@given(CHANGES, CHANGES)
def test_different_changes_have_different_names_that_need_no_quotes(one, other):
    first, second = naming.run_name("d", one), naming.run_name("d", other)
    assert PARSER.parse_override(f"run=runs/{first}").value() == f"runs/{first}"
    assert len(first.encode()) <= naming.MOST_BYTES
    if one.keys() == other.keys():
        assert (first == second) == (repr(sorted(one.items())) == repr(sorted(other.items())))


def test_a_long_name_keeps_its_beginning_and_stays_unique():
    many = [f"+k{number}={number}.5" for number in range(40)]
    first, second = name("d", *many), name("d", *many[:-1], "+k39=7")
    assert first != second and first.startswith("d--k0-0.5--k1-1.5") and len(first) <= naming.MOST_BYTES


def test_earlier_names_are_continued_and_taken_ones_avoided(tmp_path):
    short, changes = "rosenbrock--steps-3", {"train.steps": 3}
    old = naming.old_name("rosenbrock", "train.steps=3")
    assert old == "rosenbrock,train.steps=3"
    assert naming.chosen_name(tmp_path, "rosenbrock", changes, old) == short
    (tmp_path / short).mkdir()  # as Hydra makes it before anything is looked at
    experiment.run(composed("experiment=rosenbrock", "train.steps=3"), tmp_path / old, progress=False)
    assert naming.chosen_name(tmp_path, "rosenbrock", changes, old) == old
    (tmp_path / short).rmdir()
    (tmp_path / old).rename(tmp_path / short)
    assert naming.chosen_name(tmp_path, "rosenbrock", changes, old) == short
    # Another command whose short name is the same: its key is not that of the run that lies there.
    other = naming.chosen_name(tmp_path, "rosenbrock", {"record.steps": 3}, "none")
    assert other.startswith(f"{short}--") and not (tmp_path / other).exists()


def test_a_path_that_was_made_absolute_is_the_same_setting(tmp_path):
    config = composed("experiment=rosenbrock", "train.steps=3", "linesearch.sigma=0.1", "+note=x")
    config["note"] = str(Path("/somewhere/x"))
    experiment.run(config, tmp_path / "a--note-x", progress=False)
    assert naming.chosen_name(tmp_path, "a", {"note": "x"}, "none") == "a--note-x"
