"""What a Recorder keeps of the parameters of a loop: the right values, within the budget, whatever
happens."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from gdlab import store
from gdlab.execution.opening import open_replay
from gdlab.recorder import keeping
from gdlab.recorder.recorder import RecordingWarning
from gdlab.recorder.shelf import Shelf
from gdlab.recorder.units import in_bytes, said
from gdlab.store import kept, requests

SHAPE = (40, 30)


@partial(jax.jit, donate_argnums=0)
def step(params):
    """An iteration that gives its parameters away; the n-th ones are n everywhere."""
    return jax.tree.map(lambda leaf: leaf + 1, params)


def start():
    """Parameters of two dtypes, an nnx-like list, and a number."""
    return {"a": {"w": jnp.zeros(SHAPE)}, "b": [jnp.zeros(3, jnp.bfloat16), jnp.zeros(())]}


def train(path, steps, begin=0, params=None, **options):
    """A loop with donated buffers; returns its last parameters."""
    params = start() if params is None else params
    with gdlab.Recorder(path, strict=True, **options) as recorder:
        recorder.start(params, step=begin)
        for k in range(begin, begin + steps):
            before, params = params, step(params)
            assert before["a"]["w"].is_deleted()  # nobody holds on to it
            recorder.write(k, params=params, batch={"x": np.full(4, k)}, loss=1.0)
    return params


def _bytes(path):
    return sum(file.stat().st_size for kind in kept.KINDS for file in path.glob(f"{kind}/*"))


def values(path, kind, number, tree="params"):
    """The one value of each leaf of a tree that is kept."""
    leaves = kept.read(path, kind, number).trees[tree]
    assert [leaf.place for leaf in leaves] == [("a", "w"), ("b", "0"), ("b", "1")]
    assert [leaf.array.dtype.name for leaf in leaves] == ["float32", "bfloat16", "float32"]
    (found,) = {float(one) for leaf in leaves for one in np.unique(np.asarray(leaf.array, float))}
    return found


def test_what_is_kept_is_what_the_loop_had(tmp_path):
    train(tmp_path / "r", 200, budget="3 MB")
    points, moments = (kept.names(tmp_path / "r", kind) for kind in (kept.POINTS, kept.MOMENTS))
    assert points[0] == 0 and points[-1] == 200 and len(points) > 40
    assert set(range(8)) < set(moments) and max(moments) > 150
    for number in points:
        assert values(tmp_path / "r", kept.POINTS, number) == number
    for number in moments:
        assert values(tmp_path / "r", kept.MOMENTS, number) == number
        assert values(tmp_path / "r", kept.MOMENTS, number, "after") == number + 1
        (batch,) = kept.read(tmp_path / "r", kept.MOMENTS, number).trees["batch"]
        assert batch.place == ("x",) and np.all(batch.array == number)


@pytest.mark.parametrize("budget", [150_000, 300_000])
def test_the_peak_stays_within_the_budget(tmp_path, monkeypatch, budget):
    sizes, write = [], kept.write

    def measured(*arguments):
        write(*arguments)
        sizes.append(_bytes(tmp_path / "r"))

    monkeypatch.setattr(kept, "write", measured)
    train(tmp_path / "r", 300, budget=budget)
    assert budget / 3 < max(sizes) <= budget
    points = kept.names(tmp_path / "r", kept.POINTS)
    gaps = set(np.diff(points[:-1]))
    assert len(gaps) == 1 and gaps.pop() in (2, 4, 8, 16, 32, 64, 128)


def test_a_budget_that_holds_nothing_says_so_and_records_the_numbers(tmp_path):
    with pytest.warns(RecordingWarning) as warned:
        train(tmp_path / "r", 5, budget=15_000)
    assert "of the budget of 15 KB there is no room for two points of 7.6" in str(warned[0].message)
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 5
    assert _bytes(tmp_path / "r") == 0
    train(tmp_path / "none", 5, budget=None)
    assert _bytes(tmp_path / "none") == 0


def test_moments_are_as_many_or_those_that_were_chosen(tmp_path):
    train(tmp_path / "few", 100, moments=5)
    assert 2 <= len(kept.names(tmp_path / "few", kept.MOMENTS)) <= 5
    train(tmp_path / "chosen", 30, moments=[3, 4, 20])
    assert kept.names(tmp_path / "chosen", kept.MOMENTS) == [3, 4, 20]
    train(tmp_path / "none", 30, moments=0)
    assert kept.names(tmp_path / "none", kept.MOMENTS) == []


def test_a_loop_that_goes_back_gives_up_what_came_later(tmp_path):
    with pytest.warns(RecordingWarning, match="iteration 10 came after 29"):
        recorder = gdlab.Recorder(tmp_path / "r")
        for first, base in ((0, 0), (10, 500)):
            recorder.start({"w": jnp.full(3, float(base + first))}, step=first)
            for k in range(first, 30):
                recorder.write(k, params={"w": jnp.full(3, float(base + k + 1))}, loss=1.0)
        recorder.close()
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 30
    for kind, offset in ((kept.POINTS, 0), (kept.MOMENTS, 0)):
        for number in kept.names(tmp_path / "r", kind):
            (leaf,) = kept.read(tmp_path / "r", kind, number).trees["params"]
            assert leaf.array[0] == number + offset + (500 if number >= 10 else 0)


def test_a_run_goes_on_with_what_it_kept(tmp_path):
    params = train(tmp_path / "r", 40)
    train(tmp_path / "r", 40, begin=40, params=params, resume=True)
    assert kept.names(tmp_path / "r", kept.POINTS) == list(range(81))
    assert all(values(tmp_path / "r", kept.POINTS, number) == number for number in range(81))


def test_parameters_that_are_no_numbers_are_kept_as_they_are(tmp_path):
    odd = {"w": jnp.array([jnp.nan, jnp.inf, -0.0])}
    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:
        recorder.start(odd)
        recorder.write(0, params=odd, loss=jnp.nan)
    (leaf,) = kept.read(tmp_path / "r", kept.POINTS, 1).trees["params"]
    assert leaf.array.tobytes() == np.array([np.nan, np.inf, -0.0], np.float32).tobytes()


def test_parameters_of_other_shapes_are_kept_no_longer_and_the_numbers_are(tmp_path):
    with pytest.warns(RecordingWarning, match="the parameters have other shapes or names"):
        recorder = gdlab.Recorder(tmp_path / "r")
        for k in range(20):
            recorder.write(k, params={"w": jnp.zeros(3 if k < 10 else 4)}, loss=1.0)
        recorder.close()
    assert max(kept.names(tmp_path / "r", kept.POINTS)) == 10
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 20


@pytest.mark.parametrize("name", ["params", "batch", "aux", "state"])
def test_a_metric_by_one_of_these_names_says_what_they_are(tmp_path, name):
    with pytest.warns(RecordingWarning, match=rf"{name}=3.*is a number: by this name the recorder is handed"):
        recorder = gdlab.Recorder(tmp_path / "r")
        recorder.write(0, loss=1.0, **{name: 3.0})
        recorder.close()
    run = gdlab.open_run(tmp_path / "r")
    assert run.rows("scalars") == 1
    with gdlab.Recorder(tmp_path / "named", strict=True) as recorder:
        recorder.write(0, {name: 3.0}, loss=1.0)
    assert f"metric/{name}" in gdlab.open_run(tmp_path / "named").arrays


def test_what_is_no_array_is_said_and_the_numbers_are_recorded(tmp_path):
    gone = jnp.ones(3)
    gone.delete()
    with pytest.warns(RecordingWarning) as warned:
        recorder = gdlab.Recorder(tmp_path / "r")
        recorder.write(0, params={"f": print}, loss=1.0)
        recorder.write(1, params={"f": gone}, loss=1.0)
        recorder.close()
    texts = "\n".join(str(one.message) for one in warned)
    assert "params: a builtin_function_or_method is no array" in texts
    assert "params: an array was donated before it was handed to the recorder" in texts
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 2


def test_a_full_disk_ends_the_recording_and_not_the_training(tmp_path, monkeypatch):
    def full(*arguments):
        raise store.DiskFull("disk full while writing points/3: free some space")

    with pytest.warns(RecordingWarning, match="disk full .*; nothing more is recorded"):
        recorder = gdlab.Recorder(tmp_path / "r")
        recorder.write(0, params={"w": jnp.zeros(3)}, loss=1.0)
        monkeypatch.setattr(kept, "write", full)
        recorder.write(1, params={"w": jnp.zeros(3)}, loss=1.0)
        recorder.close()
    assert gdlab.open_run(tmp_path / "r").state == "failed"


def test_a_reader_looks_closely_at_the_next_iterations(tmp_path):
    params = {"w": jnp.zeros(3)}
    with gdlab.Recorder(tmp_path / "r", strict=True, moments=16, commit_seconds=0.001) as recorder:
        for k in range(600):
            recorder.write(k, params=params, loss=1.0)
            if k == 400:
                requests.ask(tmp_path / "r", 3)
                recorder._pen.put(None)  # the thread looks up
                while os.path.exists(tmp_path / "r" / requests.FILE):
                    pass
    moments = kept.names(tmp_path / "r", kept.MOMENTS)
    asked = [k for k in moments if kept.read(tmp_path / "r", kept.MOMENTS, k).facts.get("asked")]
    assert len(asked) == 3 and asked[-1] - asked[0] == 2 and asked[0] > 400
    assert len(moments) <= 16


def test_a_copy_is_held_no_longer_than_until_it_is_written(tmp_path, monkeypatch):
    freed, carry_out = threading.Event(), Shelf.carry_out

    def watched(self, command):
        weakref.finalize(command.trees["params"], freed.set)
        carry_out(self, command)

    monkeypatch.setattr(Shelf, "carry_out", watched)
    with gdlab.Recorder(tmp_path / "r", strict=True, moments=0, commit_seconds=3600) as recorder:
        recorder.write(0, params={"w": jnp.zeros(3)}, loss=1.0)
        assert freed.wait(60)


KILLED = """
    import sys
    import jax, jax.numpy as jnp
    import gdlab

    recorder = gdlab.Recorder(sys.argv[1], commit_seconds=0.01)
    params = {"w": jnp.zeros(2000)}
    for k in range(10**9):
        params = jax.tree.map(lambda leaf: leaf + 1, params)
        recorder.write(k, params=params, batch={"x": jnp.zeros(3)}, loss=1.0)
        if k == 150:
            print("ready", flush=True)
"""


def test_what_a_killed_process_leaves_is_whole_and_goes_on(tmp_path):
    script = tmp_path / "loop.py"
    script.write_text(textwrap.dedent(KILLED))
    process = subprocess.Popen([sys.executable, script, tmp_path / "r"], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    rows = gdlab.open_run(tmp_path / "r").rows("scalars")
    points, moments = (kept.names(tmp_path / "r", kind) for kind in (kept.POINTS, kept.MOMENTS))
    assert points and moments
    for number in points:
        (leaf,) = kept.read(tmp_path / "r", kept.POINTS, number).trees["params"]
        assert np.all(leaf.array == number)
    for number in moments:
        assert kept.read(tmp_path / "r", kept.MOMENTS, number).trees.keys() == {"params", "after", "batch"}
    with gdlab.Recorder(tmp_path / "r", resume=True, strict=True) as recorder:
        recorder.write(rows, params={"w": jnp.full(2000, rows + 1.0)}, loss=1.0)
    assert max(kept.names(tmp_path / "r", kept.POINTS)) == rows + 1


def test_bytes_are_read_as_people_write_them():
    assert [in_bytes(text) for text in ("2 GB", "1.5MiB", "10 kB", "7", 12, 0)] == [
        2 * 10**9, 3 << 19, 10_000, 7, 12, 0
    ]  # fmt: skip
    assert said(1_300_000) == "1.3 MB"
    for wrong in ("two", "1 XB", -1, float("nan"), True, None):
        with pytest.raises(ValueError, match="budget="):
            in_bytes(wrong)


def test_nothing_due_costs_no_copy(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(keeping, "copies", lambda trees: asked.append(1) or pytest.fail("a copy"))
    keeper = keeping.Keeper(10**6)
    keeper.series[kept.POINTS].rule = keeper.series[kept.MOMENTS].rule = None
    keeper._shape = ()
    for k in range(10):
        assert keeper.look(k, 1, {"w": np.zeros(3)}) == []
    assert not asked


@pytest.mark.parametrize("step, metrics", [(-1, {"val_loss": 1.0}), (10**17, {}), (2**53, {}), (1.5, {})])
def test_an_iteration_that_cannot_be_takes_nothing_with_it(tmp_path, step, metrics):
    handed = {} if metrics else {"params": {"w": np.zeros(3)}}
    with pytest.warns(RecordingWarning), gdlab.Recorder(tmp_path / "r") as recorder:
        for k in range(30):
            recorder.write(k, loss=1.0, params={"w": np.full(3, float(k))})
        recorder.write(step, **(metrics or {"loss": 1.0}), **handed)
        recorder.start({"w": np.zeros(3)}, step=-1)
        recorder.write(30, loss=1.0, params={"w": np.zeros(3)})
    run = gdlab.open_run(tmp_path / "r")
    assert (run.rows("scalars"), run.state) == (31, "finished")
    assert kept.names(run.path, kept.POINTS) == [*range(1, 32)]


def test_what_is_not_recorded_gives_nothing_up(tmp_path):
    with pytest.warns(RecordingWarning), gdlab.Recorder(tmp_path / "r") as recorder:
        for k in range(30):
            recorder.write(k, loss=1.0, params={"w": np.zeros(3)})
        gone = jnp.ones(3)
        gone.delete()
        seen = gdlab.recorder.observation.Observation(gone, gdlab.observe(loss=1.0).layout)
        recorder.write(5, seen, params={"w": np.zeros(3)})
        assert not recorder._outbox._waiting and recorder._pen.shelf._waiting >= 0
    assert kept.names(tmp_path / "r", kept.POINTS) == [*range(1, 31)]


@pytest.mark.parametrize(
    "leaf",
    [
        np.ones(1, np.longdouble), np.array(["2020-01-01"], "datetime64[D]"), np.zeros(2, [("x", "f4")]),
        np.zeros(2, jax.dtypes.float0), np.array(["x"], object), "x",
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_kept_end_no_record(tmp_path, leaf):
    with pytest.warns(RecordingWarning, match="params: an? "), gdlab.Recorder(tmp_path / "r") as recorder:
        for k in range(6):
            recorder.write(k, loss=1.0, params={"a": leaf})
    run = gdlab.open_run(tmp_path / "r")
    assert (run.rows("scalars"), run.state, kept.names(run.path, kept.POINTS)) == (6, "finished", [])


@pytest.mark.parametrize("name", ["float8_e4m3", "float8_e5m2fnuz", "float8_e3m4", "int2", "uint4"])
def test_small_numbers_are_kept(tmp_path, name):
    values = jnp.array([1, 0, 1]).astype(name)
    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:
        recorder.write(0, loss=1.0, params={"a": values})
    (leaf,) = kept.read(tmp_path / "r", kept.POINTS, 1).trees["params"]
    assert leaf.array.dtype.name == name and leaf.array.tobytes() == np.asarray(values).tobytes()


def test_a_kind_that_cannot_be_written_ends_alone(tmp_path, monkeypatch):
    write = kept.write

    def refusing(root, kind, name, trees, facts=None):
        if kind == kept.MOMENTS:
            raise ValueError("too many leaves")
        return write(root, kind, name, trees, facts)

    monkeypatch.setattr(kept, "write", refusing)
    with pytest.warns(RecordingWarning, match="no more moments: that of iteration 0: too many leaves"):
        train(tmp_path / "r", 5)
    run = gdlab.open_run(tmp_path / "r")
    assert (run.rows("scalars"), run.state, len(kept.names(run.path, kept.POINTS))) == (5, "finished", 6)


def test_parameters_that_come_with_a_second_part_of_an_iteration_are_kept(tmp_path):
    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:
        recorder.start({"w": jnp.float32(0)})
        for k in range(10):
            recorder.write(k, loss=float(k))
            recorder.write(k, params={"w": jnp.float32(k + 1)}, batch={"x": np.full(2, k)})
            recorder.write(k, accuracy=0.5)
    assert kept.names(tmp_path / "r", kept.POINTS) == [*range(11)]
    assert kept.names(tmp_path / "r", kept.MOMENTS) == [*range(10)]
    found = kept.read(tmp_path / "r", kept.MOMENTS, 7).trees
    assert [float(found[name][0].array.flat[0]) for name in ("params", "after", "batch")] == [7, 8, 7]
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 10


def test_parameters_that_are_changed_in_place_are_those_of_their_iteration(tmp_path):
    weights = np.zeros(3)
    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:
        recorder.start({"w": weights})
        for k in range(601):
            weights += 1
            recorder.write(k, loss=1.0, params={"w": weights})
        weights[:] = -999
    points = kept.names(tmp_path / "r", kept.POINTS)
    assert points[-1] == 601 and 599 not in points  # the end, which nothing but the end had made due
    for k in points:
        (leaf,) = kept.read(tmp_path / "r", kept.POINTS, k).trees["params"]
        np.testing.assert_array_equal(leaf.array, k)


@pytest.mark.parametrize("way", ["a link", "a folder"])
def test_a_folder_that_is_in_the_way_costs_no_iteration(tmp_path, way):
    train(tmp_path / "r", 5)
    points = tmp_path / "r" / "points"
    if way == "a link":
        points.rename(tmp_path / "elsewhere")
        points.symlink_to(tmp_path / "elsewhere")
    else:
        (points / "15000").mkdir()
    with pytest.warns(RecordingWarning, match="nothing is kept of parameters"):
        train(tmp_path / "r", 5, begin=5, resume=True)
    run = gdlab.open_run(tmp_path / "r")
    assert (run.rows("scalars"), run.state) == (10, "finished")
    assert [*(tmp_path / "elsewhere").iterdir()] if way == "a link" else (points / "15000").is_dir()


@pytest.mark.parametrize(
    "arrays", [{"y": [1, 2]}, {"x": 1.0, "y": 1}, {"x": [1.0, 2.0], "y": [1, 2, 3]}], ids=str
)
def test_examples_are_not_believed(tmp_path, arrays):
    predict = lambda params, x: x[:, None] * params["b"][1]  # noqa: E731
    data = {"x": np.ones(4, np.float32), "y": np.zeros(4, np.int32)}
    loss = lambda params, batch: params["b"][1] * batch["x"].sum()  # noqa: E731
    train(tmp_path / "r", 5, loss=loss, predict=predict, examples={"train": data})
    leaves = [kept.Leaf((name,), np.asarray(array, np.float32)) for name, array in arrays.items()]
    kept.write(tmp_path / "r", kept.EXAMPLES, "train", {"examples": leaves})
    if "x" not in arrays:  # others may go by other names
        assert open_replay(tmp_path / "r").assembly.dataset.classes == ()
        return
    with pytest.raises(store.DamagedRun, match="as many examples each"):
        open_replay(tmp_path / "r").assembly.dataset  # noqa: B018


GROWING = {
    "aux": (lambda k: {"aux": {"m": np.zeros(10 if k < 1 else 20_000, np.float32)}}, 400_000),
    "state": (lambda k: {"state": {"h": np.zeros(1 if k < 1 else 50_000, np.float32)}}, 200_000),
    "names": (lambda k: {"params": {"n" * 3000 + str(i): jnp.float32(k) for i in range(5)}}, 200_000),
}


@pytest.mark.parametrize("what", list(GROWING))
def test_the_budget_is_kept_whatever_grows(tmp_path, what):
    given, budget = GROWING[what]
    functions = {"step": lambda state, batch: (state, None)} if what == "state" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        loss = lambda params, batch, aux: 0.0  # noqa: E731
        with gdlab.Recorder(tmp_path / "r", budget=budget, loss=loss, **functions) as recorder:
            for k in range(120):
                recorder.write(k, loss=1.0, **{"params": {"w": jnp.float32(k)}, **given(k)})
    assert 0 < _bytes(tmp_path / "r") <= budget


def test_a_run_that_goes_on_with_a_smaller_budget_keeps_to_it(tmp_path):
    train(tmp_path / "r", 60)
    assert _bytes(tmp_path / "r") > 90_000
    train(tmp_path / "r", 3, begin=60, resume=True, budget=90_000)
    assert 0 < _bytes(tmp_path / "r") <= 90_000
    train(tmp_path / "r", 3, begin=63, resume=True, budget=0)
    assert _bytes(tmp_path / "r") == 0
