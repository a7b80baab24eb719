"""Probes from the command line and at the end of a training."""

import csv
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gdlab import experiment
from gdlab.analysis.surface_options import settings
from gdlab.commands import probe_task
from gdlab.execution.probing import run_probe
from gdlab.plan.builder import ConfigError
from gdlab.records import Table
from tests import recording
from tests.composing import composed

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return recording.rosenbrock(tmp_path_factory.mktemp("runs") / "run")


def config(run, *overrides, **changes):
    return composed("task=probe", f"run={run.path}", *overrides) | changes


def test_the_table_is_the_probes_own(run, tmp_path):
    table = probe_task.probe_task(
        config(run, "probe=smoothness", "probe.stop=9", output=str(tmp_path / "out" / "s.npz")),
        progress=False,
    )
    direct = run_probe(run.path, "smoothness", {"start": 0, "stop": 9})
    np.testing.assert_array_equal(table.columns["smoothness"], direct.columns["smoothness"])
    with np.load(tmp_path / "out" / "s.npz") as saved:
        np.testing.assert_array_equal(saved["smoothness"], direct.columns["smoothness"])
        assert json.loads(str(saved["attrs"]))["replay"]["different"] == 0


def test_csv_holds_every_digit_and_unrolls_further_dimensions(tmp_path):
    table = Table({"k": np.arange(2), "v": np.array([[0.1, np.nan], [1e-17, 3.0]]), "s": np.ones(1)}, {}, {})
    probe_task.save(table, tmp_path / "t.csv")
    read = np.genfromtxt(tmp_path / "t.csv", delimiter=",", names=True, deletechars="")
    assert read.dtype.names == ("k", "v.0", "v.1", "s")
    np.testing.assert_array_equal(read["v.0"], table.columns["v"][:, 0])
    np.testing.assert_array_equal(read["v.1"], table.columns["v"][:, 1])


def test_csv_has_the_rows_of_its_first_column_in_all_that_have_them(tmp_path):
    columns = {
        "alpha": np.arange(3.0),
        "loss": np.array([[1.0, 2, 3], [4, 5, 6]]),
        "distance": np.array([7.0, 8]),
    }
    dims = {"alpha": ("alpha",), "loss": ("curve", "alpha"), "distance": ("curve",)}
    probe_task.save(Table(columns, dims, {}), tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["alpha", "loss.0", "loss.1", "distance"]
    assert [row[1] for row in rows[1:]] == ["1.0", "2.0", "3.0"] and rows[1][2] == "4.0"


def test_csv_keeps_texts_and_columns_of_every_length(tmp_path):
    columns = {
        "class": np.array(["x=y,z", 'a "b"', "=1+1", "\u65e5"]),
        "few": np.arange(4).reshape(2, 2),
        "one": np.float64(0.5),
        "yes": np.array([True, False, True, False]),
    }
    probe_task.save(Table(columns, {}, {}), tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["class", "few.0", "few.1", "one", "yes"],
        ["x=y,z", "0", "1", "0.5", "True"],
        ['a "b"', "2", "3", "", "False"],
        ["'=1+1", "", "", "", "True"],
        ["\u65e5", "", "", "", "False"],
    ]


@pytest.mark.parametrize("output", ["taken/x.csv", "folder.csv"])
def test_where_nothing_can_be_written_is_said_before_anything_is_computed(run, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("")
    Path("folder.csv").mkdir()
    monkeypatch.setattr(probe_task, "run_probe", None)
    with pytest.raises(ConfigError, match=r"choose another place|a folder of this name"):
        probe_task.probe_task(config(run, "probe=smoothness", output=output), progress=False)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "t.npz").write_text("before")
    monkeypatch.setattr(np, "savez", lambda *a, **k: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        probe_task.save(Table({"k": np.arange(2)}, {}, {}), tmp_path / "t.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["t.npz"]
    assert (tmp_path / "t.npz").read_text() == "before"


def test_every_option_of_a_surface_can_be_said(run):
    options = {key for key in composed("probe=surface")["probe"] if not key.startswith("_")}
    assert options == {*inspect.signature(settings).parameters} - {"run"} | {"against"}
    table = probe_task.probe_task(config(run, "probe=surface", "probe.resolution=3"), progress=False)
    assert table.columns["value"].shape == (5, 5) and table.attrs["finished"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": None}, "run=runs/NAME"),
        ({"probe": None}, "probe=NAME"),
        ({"output": "a.txt"}, "ends in .npz or .csv"),
        ({"probe": {"_target_": "os.system", "start": 0}}, "start with GDLAB_TARGETS=os;"),
        ({"probe": {"_target_": "gdlab.probes.nix", "start": 0}}, "gdlab.probes.NAME.compute.*GDLAB_TARGETS"),
        ({"probe": {"_target_": "gdlab.probes.segments.compute", "stat": 0}}, "Did you mean 'start'"),
    ],
)
def test_wrong_requests_are_named(run, changes, said):
    with pytest.raises(ConfigError, match=said):
        probe_task.probe_task(config(run, "probe=segments") | changes, progress=False)


def test_probes_of_a_training_are_checked_before_it_and_fail_alone(tmp_path):
    made = composed("experiment=rosenbrock", "+probe@probes.a=smoothness", "+probe@probes.b=smoothness")
    made["probes"]["b"]["on"] = "all"
    probe_task.check_probes(made["probes"])
    finished = experiment.run(made, tmp_path / "run", progress=False)
    tables = probe_task.run_probes(made["probes"], finished.path, progress=False)
    assert np.isfinite(tables["a"].columns["smoothness"][:20]).all()
    assert "allowed: batch, train" in str(tables["b"])
    with pytest.raises(ConfigError, match=r"probes.c._target_='nix'"):
        probe_task.check_probes({"c": {"_target_": "nix"}})


OWN = '''
import numpy as np

from gdlab.records import Table


def lengths(replay, *, every, start=0, progress):
    """Length of the parameters, every so many iterations."""
    k = np.arange(start, replay.run.rows("scalars") + 1, every)
    values = [float(np.linalg.norm(replay.params(int(at)))) for at in k]
    return Table({"iteration": k, "length": np.array(values)}, {"iteration": ("k",), "length": ("k",)}, {})


def nothing(replay, *, progress):
    """Forgets its Table."""
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Probes of one's own, which GDLAB_TARGETS allows."""
    (tmp_path / "my_own_probe.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_own_probe", raising=False)
    monkeypatch.setenv("GDLAB_TARGETS", "my_own_probe")
    return {"_target_": "my_own_probe.lengths", "every": 10}


def test_a_probe_of_ones_own_answers_the_task_and_at_the_end_of_a_training(own, tmp_path, monkeypatch):
    made = composed("experiment=rosenbrock") | {"probes": {"end": own}}
    probe_task.check_probes(made["probes"])
    finished = experiment.run(made, tmp_path / "run", progress=False)
    at_end = probe_task.run_probes(made["probes"], finished.path, progress=False)["end"]
    asked = config(finished, "probe=smoothness", probe=own, output=str(tmp_path / "t.csv"))
    table = probe_task.probe_task(asked, progress=True)
    assert len(table.columns["length"]) > 2 and np.ptp(table.columns["length"]) > 0
    np.testing.assert_array_equal(at_end.columns["length"], table.columns["length"])
    assert (tmp_path / "t.csv").read_text().startswith("iteration,length\n0,")
    monkeypatch.delenv("GDLAB_TARGETS")  # the run itself stays readable where the probe is not allowed
    assert run_probe(finished.path, "smoothness", {"start": 0, "stop": 2}).columns["smoothness"].shape == (2,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evry": 3}, "no option 'evry'; it takes .*Did you mean 'every'"),
        ({"every": None}, "missing a required .*argument: 'every'; it takes replay, every, start, progress"),
        ({"_target_": "my_own_probe.nothing", "every": None}, "returned NoneType; allowed: a gdlab.Table"),
        ({"_target_": "my_own_probe.length"}, "my_own_probe has no 'length'. Did you mean 'lengths'"),
        ({"_target_": "my_own_probe.np"}, "it is no function"),
        ({"_target_": "my_own_probe._run"}, "my_own_probe has no '_run'"),
        ({"_target_": "numpy.load"}, "GDLAB_TARGETS=my_own_probe,numpy;"),
    ],
)
def test_what_is_wrong_with_a_probe_of_ones_own_is_named(run, own, change, said):
    node = {key: value for key, value in {**own, **change}.items() if value is not None}
    with pytest.raises(ConfigError, match=said):
        probe_task.probe_task(config(run, "probe=smoothness", probe=node), progress=False)


def test_what_a_probe_at_the_end_lacks_is_said_before_the_training(own):
    with pytest.raises(ConfigError, match=r"missing a required .*'every'"):
        probe_task.check_probes({"end": {"_target_": own["_target_"]}})


def test_probes_do_not_make_another_run_of_it(tmp_path):
    experiment.run(composed("experiment=rosenbrock"), tmp_path / "run", progress=False)
    again = composed("experiment=rosenbrock", "+probe@probes.a=smoothness")
    assert experiment.run(again, tmp_path / "run", progress=False).state == "finished"


def test_the_command_line_makes_no_run_folder(run, tmp_path):
    command = [sys.executable, "-m", "gdlab", "task=probe", f"run={run.path}", "probe=smoothness"]
    command += ["probe.stop=3", "output=s.csv"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=_environment(), timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "smoothness [3]" in done.stderr
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 4
    assert not list(tmp_path.glob("runs/*"))


def _environment():
    import os

    return os.environ | {"PYTHONPATH": str(REPOSITORY)}
