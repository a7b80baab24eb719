"""A replay that is not the recorded training says so: on the command line, in files, of kept results too."""

import importlib
import json
import shutil
import sys

import jax
import numpy as np
import pytest

from gdlab import experiment, store
from gdlab.analysis import segments
from gdlab.commands import probe_task
from gdlab.commands.extend_task import extend
from gdlab.commands.probe_task import ReplayDiffers, save
from gdlab.commands.probe_task import probe_task as run_task
from gdlab.data import digits
from gdlab.execution import difference, own_code, probing
from gdlab.execution.comparisons import Comparisons, gaps
from gdlab.execution.replay import Replay
from gdlab.plan.builder import ConfigError
from gdlab.records import Table
from gdlab.store import seals
from tests import recording
from tests.composing import composed

PROBLEM = '''"""Mine."""
import jax.numpy as jnp
from gdlab.problems import from_function
from my_own_helper import factor


def valley(steepness=10.0):
    """A valley."""
    def loss(p):
        return factor(steepness) * (p[1] - jnp.sin(p[0])) ** 2 + p[0] ** 2

    return from_function(loss, start=[3.0, -2.0])
'''
HELPER = "def factor(x):\n    return x\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A problem of one's own: a function that writes its files anew and forgets the old ones."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GDLAB_TARGETS", "my_own_problem,my_own_helper")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(problem=PROBLEM, helper=HELPER):
        (tmp_path / "my_own_problem.py").write_text(problem)
        (tmp_path / "my_own_helper.py").write_text(helper)
        for name in ("my_own_problem", "my_own_helper"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        probing._open.clear()

    write()
    yield write
    write()
    for name in ("my_own_problem", "my_own_helper"):
        sys.modules.pop(name, None)


def own_config():
    config = composed("problem=rosenbrock", "train.steps=12")
    config["problem"] = {"_target_": "my_own_problem.valley", "steepness": 10.0}
    return config


@pytest.fixture
def run(own, tmp_path):
    del own
    return experiment.run(own_config(), tmp_path / "run", progress=False)


def asked(run, name="segments", **options):
    probe = composed(f"probe={name}")["probe"]
    return {"run": str(run.path), "probe": probe | options, "output": None}


def test_a_changed_problem_is_said_where_the_result_is_taken(own, run, tmp_path, capsys):
    assert run_task(asked(run, start=0, stop=5), progress=False).attrs["replay"]["different"] == 0
    shutil.rmtree(run.path / "derived")
    own(helper="def factor(x):\n    return 1.5 * x\n")
    with pytest.raises(ReplayDiffers, match="differs from the record in 5 of 5 iterations") as error:
        run_task(asked(run, start=0, stop=5) | {"output": str(tmp_path / "v.npz")}, progress=False)
    assert "the code of my_own_helper has changed" in str(error.value) and "v.npz" in str(error.value)
    with np.load(tmp_path / "v.npz") as file:
        replay = json.loads(file["attrs"].item())["replay"]
    assert replay["different"] == replay["compared"] == 5 and replay["largest"] > 1
    # Once more, from what is kept: nothing is replayed, and it is still said.
    probing._open.clear()
    with pytest.raises(ReplayDiffers, match="5 of 5"):
        run_task(asked(run, start=0, stop=5), progress=False)
    taken = asked(run, start=0, stop=5) | {"output": str(tmp_path / "v.csv"), "accept_difference": True}
    run_task(taken)
    assert "differs from the record" in capsys.readouterr().err
    first, header = (tmp_path / "v.csv").read_text().splitlines()[:2]
    assert first.startswith("# The replay differs from the record in 5 of 5") and header.startswith(
        "iteration"
    )


OTHER = PROBLEM.replace("+ p[0] ** 2", "+ 2 * p[0] ** 2")


@pytest.mark.parametrize("name", ["interpolation", "segments", "surface"])
def test_other_code_is_said_even_where_nothing_is_replayed_and_its_results_stand_apart(own, run, name):
    true = run_task(asked(run, name), progress=False)
    assert not difference.said(true.attrs)
    own(problem=OTHER)
    for _ in range(2):  # computed, and kept
        with pytest.raises(ReplayDiffers, match="the code of my_own_problem has changed"):
            run_task(asked(run, name), progress=False)
    own()
    again = run_task(asked(run, name), progress=False)
    assert not difference.said(again.attrs) and again.attrs["replay"]["different"] == 0
    for column, values in true.columns.items():
        np.testing.assert_array_equal(again.columns[column], values, err_msg=column)


def test_other_data_are_said_where_the_parameters_come_from_the_path(tmp_path, monkeypatch):
    run = recording.digits(tmp_path / "run", steps=8)
    assert not difference.said(run_task(asked(run, "confusion"), progress=False).attrs)

    def other(config, places):
        found = digits()
        found.test["x"][:] = 1 - found.test["x"]
        return found

    monkeypatch.setattr("gdlab.plan.assembly.dataset_of", other)
    probing._open.clear()
    with pytest.raises(ReplayDiffers, match=r"the data have changed \(test.x\)"):
        run_task(asked(run, "confusion"), progress=False)


def test_every_probe_says_how_its_replay_compared(tmp_path):
    run = recording.digits(tmp_path / "run", steps=8, path=False, layers=False)
    for name in ("confusion", "filters", "activations", "feature_maps", "images"):
        table = probing.run_probe(run.path, name, {} if name == "images" else {"iteration": 8})
        replay = table.attrs["replay"]
        assert replay["different"] == 0 and replay["changed"] == []


def test_differences_of_the_record_reach_every_probe(tmp_path):
    run = recording.record(
        tmp_path / "run", "experiment=digits_cg", "train.steps=8", path=False, checkpoint_seconds=1e9
    )
    comparisons = Comparisons(run)
    comparisons.add(0, np.array([0.0, 0.5, np.inf]))
    comparisons.keep()
    probing._open.clear()
    replay = probing.run_probe(run.path, "confusion", {"iteration": 8}).attrs["replay"]
    assert replay["different"] == 2 and replay["largest"] == np.inf and replay["compared"] >= 3


def test_a_difference_that_was_seen_stays(tmp_path):
    run = recording.rosenbrock(tmp_path / "run")
    for gap in (0.0, 0.25, 0.0):
        one = Comparisons(run)
        one.add(3, np.array([gap]))
        one.keep()
    assert Comparisons(run).report([])[:3] == (1, 1, 0.25)


def test_gaps_of_numbers_that_are_none():
    recorded = np.array([[1.0, np.nan, np.inf, np.inf, 1.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
    replayed = np.array([[1.0, np.nan, np.inf, 1.0, 3.0], [2.0, 2.5, 2.0, 2.0, 1.0]])
    np.testing.assert_array_equal(gaps(recorded, replayed), [0, 0.5, 0, np.inf, 2])


def test_every_session_of_a_run_is_compared(tmp_path, monkeypatch):
    replay = Replay(recording.rosenbrock(tmp_path / "run").path)
    first = replay.run.identity
    monkeypatch.setattr(type(replay.run), "sessions", ({**first, "xla_flags": "--xla_other"},))
    assert replay.report().changed == [f"xla_flags --xla_other -> {first['xla_flags']} (session 2)"]


def test_finished_says_what_has_changed(own, run, capsys):
    experiment.run(own_config(), run.path)
    assert "has changed" not in capsys.readouterr().err
    own(problem=PROBLEM.replace("+ p[0] ** 2", "+ 2 * p[0] ** 2"))
    again = experiment.run(own_config(), run.path)
    assert again.rows("scalars") == run.rows("scalars")
    assert (
        "already finished, not trained again; the code of my_own_problem has changed"
        in capsys.readouterr().err
    )


def test_a_run_goes_on_with_the_code_that_it_began_with_alone(own, tmp_path):
    config = own_config()
    config["train"]["steps"] = 4
    run = experiment.run(config, tmp_path / "run", progress=False)
    noted = (run.path / "run.json").read_bytes()
    own(problem=OTHER)
    with pytest.raises(ConfigError, match="the code of my_own_problem has changed; put it back to continue"):
        extend(run.path, 6, progress=False)
    assert (run.path / "run.json").read_bytes() == noted and store.open_run(run.path).state == "finished"
    own(problem=PROBLEM.replace("p[0] ** 2", "p[0] ** 2  # the same"))
    assert extend(run.path, 6, progress=False).rows("scalars") == 6


def test_code_is_told_by_what_it_does(own):
    config = own_config()
    before = own_code.code_of(config)
    assert before.keys() == {"my_own_problem", "my_own_helper"}
    own(problem="# a remark\n" + PROBLEM.replace('"""A valley."""', '"""Another word."""'))
    assert own_code.code_of(config) == before
    own(helper=HELPER.replace("return x", "return x + 0"))
    assert own_code.changed_code(before, own_code.code_of(config)) == [
        "the code of my_own_helper has changed"
    ]
    assert own_code.code_of(composed("problem=rosenbrock")) == {}


def test_code_that_nobody_allowed_is_not_looked_at(own, monkeypatch):
    monkeypatch.setenv("GDLAB_TARGETS", "my_own_problem")
    assert own_code.code_of(own_config()).keys() == {"my_own_problem"}
    monkeypatch.setenv("GDLAB_TARGETS", "other, my_own_problem")
    assert own_code.code_of(own_config()).keys() == {"my_own_problem"}
    monkeypatch.delenv("GDLAB_TARGETS")
    assert own_code.code_of(own_config()) == {}


def test_a_csv_of_the_right_training_begins_with_its_header(tmp_path):
    same = {"replay": {"compared": 5, "different": 0, "largest": 0.0, "changed": ["jax 1 -> 2"]}}
    save(Table({"a": np.arange(2)}, {}, same), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "a"
    assert difference.said(same) == difference.said({}) == ""


def test_what_came_with_a_folder_is_said(run, tmp_path, monkeypatch):
    run_task({**asked(run), "output": str(tmp_path / "own.csv")}, progress=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user's"))
    seals.own_key.cache_clear()
    table = run_task({**asked(run), "output": str(tmp_path / "foreign.csv")}, progress=False)
    seals.own_key.cache_clear()
    count = table.attrs["foreign"]
    assert count > 0 and f"{count:,} of the values came with the run's folder" in difference.remarks(
        table.attrs
    )
    own, foreign = ((tmp_path / f"{name}.csv").read_text() for name in ("own", "foreign"))
    assert foreign == f"# {difference.origin(table.attrs)}\n{own}"


def test_accept_difference_takes_true_or_false(run):
    with pytest.raises(probe_task.ConfigError, match="accept_difference='yes': allowed: true, false"):
        run_task(asked(run) | {"accept_difference": "yes"}, progress=False)


def test_a_segment_that_misses_its_recorded_points_is_left_out(own, run):
    table = probing.run_probe(run.path, "segments", {"start": 0, "stop": 4})
    record = run.table("steps", 0, 4), run.table("evaluations", 0, 4)
    right = segments.assemble(table, *record)
    assert not right.columns["off"].any() and np.isfinite(right.columns["value"]).sum() > 40
    own(helper="def factor(x):\n    return 1.5 * x\n")
    shutil.rmtree(run.path / "derived")
    table = probing.run_probe(run.path, "segments", {"start": 0, "stop": 4})
    found = segments.assemble(table, *record).columns
    assert found["off"].all()
    drawn = np.isfinite(found["value"])
    assert drawn.any() and not (drawn & ~found["recorded"]).any(), "what stays is what was recorded"


@pytest.fixture(autouse=True)
def precision():
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize(
    ("replay", "words"),
    [
        ({"compared": 1234, "different": 0}, "1,234 were compared with the record so far: none differs"),
        ({"compared": 0, "different": 0}, ""),
        ({"compared": 9, "different": 2}, ""),
        (None, ""),
    ],
)
def test_a_proof_is_told_as_well(replay, words):
    told = difference.proof({} if replay is None else {"replay": replay})
    assert words in told and bool(told) == bool(words)
