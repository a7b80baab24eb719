"""Arbitrary documents in a run folder: a run or an error of the store's own, numbers where numbers belong."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab import store
from gdlab.store import checksums
from tests.store import runs

NESTED: list = []
for _ in range(900):
    NESTED = [NESTED]
ODD = (None, True, -1, 0, 3, 10**400, 1e308, 5e-324, "", "NaN", "x" * 5000, [], {}, [[]], NESTED, {"a": None})
VALUES = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NUMBERS = ("started", "updated", "seconds", "first_loss", "final_loss", "best_loss", "iterations")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder of runs, of which "run" will be damaged, and the bytes of its documents."""
    root = tmp_path_factory.mktemp("fuzz")
    for name in ("run", "whole"):
        runs.record(root / name, 20)
    files = [root / "run" / name for name in ("log.zarr/zarr.json", "run.json", ".hydra/config.yaml")]
    return root, {file: file.read_bytes() for file in files}


def places(value, path=()):
    """Every path into a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield path
    for key, item in items:
        yield from places(item, (*path, key))


def put(document, path, value):
    """A copy of `document` with `value` at `path`."""
    if not path:
        return value
    changed = document.copy()
    changed[path[0]] = put(document[path[0]], path[1:], value)
    return changed


def resealed(file, document):
    if not isinstance(document, dict):
        return json.dumps(document).encode()
    if file.name == "zarr.json":
        return runs.resealed(document)
    if "checksum" not in document:
        return json.dumps(document).encode()
    kept = {key: value for key, value in document.items() if key != "checksum"}
    return checksums.sealed(checksums.placed(kept))


def look(root):
    """List and open, as a page would; whatever can be had of the run is of the kind it should be."""
    listed = dict(store.list_runs(root))
    assert isinstance(listed["whole"], dict)
    summary = listed["run"]
    if isinstance(summary, store.StoreError):
        assert len(str(summary)) < 1000
        return
    for key in NUMBERS:
        assert summary[key] is None or math.isnan(float(summary[key])) or float(summary[key]) == summary[key]
    assert isinstance(summary["state"], str) and isinstance(summary["hyperparameters"], dict)
    assert isinstance(summary["reason"], str | None)
    try:
        run = store.open_run(root / "run")
        _ = run.key, run.summary(), run.refresh(), run.replaced()
        runs.check(run)
        _ = run.config, run.identity, run.sessions
    except store.StoreError as error:
        assert len(str(error)) < 1000


@given(data=st.data(), value=VALUES)
@pytest.mark.parametrize("number", [0, 1], ids=["commit record", "run.json"])
def test_any_value_anywhere(recorded, number, data, value):
    root, files = recorded
    file = list(files)[number]
    document = json.loads(files[file])
    path = data.draw(st.sampled_from(list(places(document))))
    try:
        try:
            file.write_bytes(resealed(file, put(document, path, value)))
        except (ValueError, RecursionError):
            return  # no JSON
        look(root)
    finally:
        file.write_bytes(files[file])


@given(st.data())
def test_any_bytes_anywhere(recorded, data):
    root, files = recorded
    file = data.draw(st.sampled_from(list(files)))
    whole = files[file]
    at = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(at, min(len(whole), at + 50)))
    try:
        file.write_bytes(whole[:at] + data.draw(st.binary(max_size=20)) + whole[stop:])
        look(root)
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1" * 400, "1" * 5000, "[" * 900 + "]" * 900, "1e999"])
def test_what_json_can_say_and_a_number_cannot(recorded, text):
    root, files = recorded
    for file in list(files)[:2]:
        key = b'"started": ' if file.name == "zarr.json" else b'"created": '
        before, _, after = files[file].partition(key)
        rest = after[after.index(b",") :]
        changed = before + key + text.encode() + rest
        at = changed.rindex(b'"checksum": "') + len(b'"checksum": "')
        sealed = changed[:at] + checksums.to_text(checksums.crc(changed[:at])).encode() + changed[at + 8 :]
        try:
            file.write_bytes(sealed)
            look(root)
            with pytest.raises(store.DamagedRun, match=file.name):
                _ = store.open_run(root / "run").identity
        finally:
            file.write_bytes(files[file])
