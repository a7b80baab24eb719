"""A run is known by its ids: another one under its name is another, for readers and for what is derived."""

import json
import shutil

import numpy as np
import pytest

from gdlab import store
from tests.store import runs

ARRAYS = {"v": store.ArraySpec()}


def cache(run):
    return store.Derived(run, "x", {}, 5, ARRAYS)


def swap(path, other):
    """Put the run `other` in the place of the one in `path`."""
    shutil.rmtree(path)
    other.rename(path)


def before_schema_2(path, created):
    """Make a run one of schema 1, as it was recorded before runs had ids."""

    def forget(document):
        facts = document["attributes"]["gdlab"]
        for key in ("id", "session", "config_hash", "checksum"):
            facts.pop(key, None)
        facts |= {"schema": 1, "started": created}

    runs.edit(path, forget)
    kept = json.loads((path / "run.json").read_text())
    for key in ("id", "session_ids", "checksum"):
        kept.pop(key)
    (path / "run.json").write_text(json.dumps({**kept, "schema": 1, "created": created}))


def test_ids_are_in_both_documents(tmp_path):
    runs.record(tmp_path / "a", 5)
    runs.record(tmp_path / "b", 5)
    a, b = store.open_run(tmp_path / "a"), store.open_run(tmp_path / "b")
    assert a.key.id != b.key.id and a.key.session != b.key.session and a.key.generation == 0
    document = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (document["id"], document["session_ids"]) == (a.key.id, [a.key.session])


def test_a_resume_keeps_the_id_and_begins_a_session(tmp_path):
    runs.record(tmp_path / "a", 5)
    run = store.open_run(tmp_path / "a")
    first = run.key
    with store.RunWriter.resume(tmp_path / "a", config=runs.CONFIG):
        pass
    assert not run.refresh() or run.key != first
    assert run.key.id == first.id and run.key.session != first.session and run.key.generation == 1
    document = json.loads((tmp_path / "a" / "run.json").read_text())
    assert document["session_ids"] == [first.session, run.key.session]


@pytest.mark.parametrize("old", [False, True])
def test_a_run_in_the_place_of_another(tmp_path, old):
    """Same name, same configuration, same generation, same number of rows."""
    runs.record(tmp_path / "run", 50)
    runs.record(tmp_path / "other", 50, config={**runs.CONFIG, "seed": 1})
    if old:
        before_schema_2(tmp_path / "run", 100.0)
        before_schema_2(tmp_path / "other", 200.0)
    run = store.open_run(tmp_path / "run")
    key, results = run.key, cache(run)
    results.write(0, {"v": np.ones(2)})
    assert run.config["seed"] == 0 and cache(run).done(0, 5).sum() == 2
    swap(tmp_path / "run", tmp_path / "other")
    assert run.replaced()
    with pytest.raises(store.Replaced, match="another run"):
        results.write(2, {"v": np.ones(1)})
    assert run.refresh() and run.key != key and not run.replaced()
    assert run.config["seed"] == 1
    assert not (tmp_path / "run" / "derived").exists()
    with pytest.raises(store.Replaced, match="another run"):
        results.write(2, {"v": np.ones(1)})
    assert not cache(run).done(0, 5).any()


def test_derived_results_do_not_follow_into_another_run(tmp_path):
    runs.record(tmp_path / "a", 5)
    runs.record(tmp_path / "b", 5)
    cache(store.open_run(tmp_path / "a")).write(0, {"v": np.ones(5)})
    shutil.copytree(tmp_path / "a" / "derived", tmp_path / "b" / "derived")
    assert not cache(store.open_run(tmp_path / "b")).done(0, 5).any()


def test_a_copy_is_the_same_run(tmp_path):
    runs.record(tmp_path / "a", 5)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert store.open_run(tmp_path / "a").key == store.open_run(tmp_path / "b").key


def test_a_run_of_before_has_an_id_that_stays(tmp_path):
    runs.record(tmp_path / "a", 5)
    before_schema_2(tmp_path / "a", 100.0)
    run = store.open_run(tmp_path / "a")
    assert run.key.session == "" and store.open_run(tmp_path / "a").key == run.key
    with store.RunWriter.resume(tmp_path / "a", config=runs.CONFIG):
        pass
    assert store.open_run(tmp_path / "a").key.id == run.key.id
    assert store.open_run(tmp_path / "a").key.session


def test_a_configuration_that_was_not_recorded(tmp_path):
    for name, old in (("new", False), ("old", True)):
        path = tmp_path / name
        runs.record(path, 5)
        if old:
            before_schema_2(path, 100.0)
        file = path / ".hydra" / "config.yaml"
        file.write_text(file.read_text().replace("sigma: 0.1", "sigma: 0.3"))
        with pytest.raises(store.DamagedRun, match=r"not the configuration that was recorded.*config\.yaml"):
            _ = store.open_run(path).config
        with pytest.raises(store.DamagedRun, match="not the configuration"):
            store.RunWriter.resume(path, config=runs.CONFIG)
        assert len(store.open_run(path).array("scalars")) == 5


@pytest.mark.parametrize("name", ["run.json", "log.zarr/zarr.json"])
def test_every_flipped_bit_of_a_document_is_found(tmp_path, name):
    runs.record(tmp_path / "run", 5)
    file = tmp_path / "run" / name
    whole = file.read_bytes()
    for at in range(0, len(whole), 11):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        with pytest.raises(store.StoreError, match="zarr.json" if "/" in name else "run.json"):
            run = store.open_run(tmp_path / "run")
            _ = run.identity
    file.write_bytes(whole)
    assert runs.check(store.open_run(tmp_path / "run")) == 5
