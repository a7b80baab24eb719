"""A continued run equals one that was never stopped; another configuration is refused by name."""

import numpy as np
import pytest
import zarr

from gdlab import store
from gdlab.store import config as configs
from gdlab.store import spec
from tests.store import runs


def cursors_at(step):
    return dict.fromkeys(runs.ARRAYS, step) | {"ls_eval": runs.ends(step)}


@pytest.mark.parametrize("chunk_bytes", [1024, 4 << 20])
@pytest.mark.parametrize("cut", [0, 16, 255, 256, 300])
def test_resume_equals_an_uninterrupted_run(tmp_path, monkeypatch, cut, chunk_bytes):
    monkeypatch.setattr(spec.layout, "__defaults__", (chunk_bytes,))
    runs.record(tmp_path / "whole", 500)
    runs.record(tmp_path / "run", 300, state="interrupted")
    with store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG, cursors=cursors_at(cut)) as writer:
        assert writer.cursors() == cursors_at(cut)
        assert store.open_run(tmp_path / "run").rows("scalars") == cut
        writer.append(runs.rows(cut, 500))
        writer.set_status("finished")
    whole, run = store.open_run(tmp_path / "whole"), store.open_run(tmp_path / "run")
    assert (run.generation, run.state) == (1, "finished")
    runs.check(run)
    for name in whole._manifest.layouts:
        np.testing.assert_array_equal(run.array(name), whole.array(name))
        np.testing.assert_array_equal(
            zarr.open_group(run.path / "log.zarr", mode="r")[name][:], whole.array(name)
        )
    same = ("iterations", "first_loss", "final_loss", "best_loss")
    assert [run.summary()[key] for key in same] == [whole.summary()[key] for key in same]


def test_resume_without_cursors_keeps_everything(tmp_path):
    runs.record(tmp_path / "run", 50, state="interrupted")
    identity = {"numpy": "another"}
    with store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG, identity=identity) as writer:
        writer.append(runs.rows(50, 60))
    run = store.open_run(tmp_path / "run")
    assert runs.check(run) == 60
    assert run.identity == {"numpy": np.__version__} and run.sessions == (identity,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scalars": 51}, "cursor 51 for array 'scalars', of which 50 rows are committed"),
        ({"scalars": -1}, "cursor -1"),
        ({"scalers": 1}, "did you mean 'scalars'"),
    ],
)
def test_cursors_that_do_not_fit_are_refused(tmp_path, change, message):
    runs.record(tmp_path / "run", 50)
    with pytest.raises(store.BadCursor, match=message):
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG, cursors=cursors_at(40) | change)
    missing = cursors_at(40)
    del missing["path"]
    with pytest.raises(store.BadCursor, match="no cursor for array 'path'"):
        store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG, cursors=missing)
    run = store.open_run(tmp_path / "run")
    assert (runs.check(run), run.state, run.generation) == (50, "finished", 0)
    assert not (tmp_path / "run" / "LOCK").exists()


def test_the_folder_of_a_run_is_not_used_again(tmp_path):
    runs.record(tmp_path / "run", 5)
    with pytest.raises(store.RunExists, match="resume it"):
        runs.begin(tmp_path / "run")
    assert runs.check(store.open_run(tmp_path / "run")) == 5


def test_hydras_log_is_no_obstacle(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "__main__.log").write_text("x")
    runs.record(tmp_path / "run", 3)
    assert (tmp_path / "run" / "__main__.log").exists()


@pytest.mark.parametrize("begin", [store.RunWriter.create, store.RunWriter.resume])
def test_another_configuration_names_each_difference(tmp_path, begin):
    runs.record(tmp_path / "run", 5)
    changed = {"optimizer": {"sigma": 0.2}, "train": {"steps": 200}, "seed": 0, "new": None}
    options = {} if begin == store.RunWriter.resume else {"identity": {}, "arrays": runs.ARRAYS}
    with pytest.raises(store.ConfigMismatch) as caught:
        begin(tmp_path / "run", config=changed, **options)
    message = str(caught.value)
    assert "optimizer.sigma: the folder has 0.1, asked for 0.2" in message
    assert "optimizer.beta: the folder has 'polak_ribiere', asked for '(absent)'" in message
    assert "new: the folder has '(absent)', asked for None" in message
    assert "train.steps: the folder has 100, asked for 200" in message
    assert "a finished run is trained on by: python -m gdlab task=extend" in message
    assert "seed" not in message
    assert runs.check(store.open_run(tmp_path / "run")) == 5


@pytest.mark.parametrize("key", [key for key in store.IGNORED_KEYS if key != "version"])
def test_keys_that_do_not_alter_the_training_are_ignored(tmp_path, key):
    runs.record(tmp_path / "run", 5, config={**runs.CONFIG, key: "here"})
    store.RunWriter.resume(tmp_path / "run", config={**runs.CONFIG, key: {"now": "there"}}).close()
    assert store.config_hash(runs.CONFIG) == store.config_hash({**runs.CONFIG, key: 1})
    # Only at the top: an optimizer's own option of that name counts.
    assert store.config_hash(runs.CONFIG) != store.config_hash({**runs.CONFIG, "optimizer": {key: 1}})


@pytest.mark.parametrize(
    "value", [0.1, 1e-05, 1e22, float("nan"), True, None, "1", "", "no", "a: b", [1, [2.0]], {}, "é\n"]
)
def test_values_survive_yaml(tmp_path, value):
    runs.record(tmp_path / "run", 1, config={"a": {"b": value}})
    assert configs.differences(store.open_run(tmp_path / "run").config, {"a": {"b": value}}) == []


@pytest.mark.parametrize(
    ("old", "new"), [(1, 1.0), (1, True), (0, None), ("1", 1), ([1], [1, 2]), ({}, None)]
)
def test_values_of_another_kind_differ(old, new):
    assert configs.differences({"a": old}, {"a": new}) == [("a", old, new)]
    assert configs.config_hash({"a": old}) != configs.config_hash({"a": new})


def test_configurations_become_plain(tmp_path):
    given = {"a": (1, np.float32(0.5)), 3: tmp_path, "b": np.int64(7)}
    assert configs.plain(given) == {"a": [1, 0.5], "3": str(tmp_path), "b": 7}
    with pytest.raises(ValueError, match=r"config.a\[1\].f is a function"):
        configs.plain({"a": [0, {"f": lambda: 0}]})


def test_derived_values_of_the_former_generation_are_removed(tmp_path):
    runs.record(tmp_path / "run", 5)
    cache = store.Derived(store.open_run(tmp_path / "run"), "x", {}, 5, {"v": store.ArraySpec()})
    cache.write(0, {"v": np.zeros(5)})
    store.RunWriter.resume(tmp_path / "run", config=runs.CONFIG).close()
    assert not (tmp_path / "run" / "derived").exists()
    again = store.Derived(store.open_run(tmp_path / "run"), "x", {}, 5, {"v": store.ArraySpec()})
    assert not again.done(0, 5).any()
