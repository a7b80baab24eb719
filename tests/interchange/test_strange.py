"""A strange run costs itself and no other: what libraries raise of it, and what it would take of time and
memory."""

import json
import sqlite3
import struct
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gdlab
from gdlab.interchange import finding, mlflow_database, readers, tables, trackio_database, wandb_files
from gdlab.interchange.source import Collector
from tests.interchange.making import event_file, falling, scalars


def rows(run):
    return gdlab.open_run(run).rows("scalars")


def part(field, data):
    """A field of a message with its bytes."""
    length = bytes((len(data) & 0x7F | 0x80, len(data) >> 7))
    key = bytes((field << 3 | 2,)) if field < 16 else bytes((field << 3 & 0x7F | 2 | 0x80, field >> 4))
    return key + length + data


def wandb_file(path, records):
    """A file of W&B with these records, pairs of (kind, bytes), one to the block of LevelDB's log."""
    data = b":W&B\xe1\xbe\0"
    for kind, one in records:
        left = -len(data) % 32768
        data += bytes(left) if left < 7 else b""
        data += struct.pack("<IHB", zlib.crc32(one, zlib.crc32(bytes((kind,)))), len(one), kind) + one
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def history(**items):
    """A message of W&B with the numbers of a step, as JSON texts."""
    found = [part(1, part(1, key.encode()) + part(16, value.encode())) for key, value in items.items()]
    return part(2, b"".join(found))


def mlflow_run(folder, meta="status: 3\n", line="1700000000000 0.5 0\n"):
    (folder / "metrics").mkdir(parents=True)
    (folder / "meta.yaml").write_text(meta)
    (folder / "metrics" / "loss").write_text(line)


@pytest.mark.parametrize(
    "meta",
    [
        'status: !!int ""\n',
        "status: !!bool maybe\n",
        "status: !!timestamp x\n",
        "run_name: !!float a\n",
        "- " * 30_000 + "x\n",  # the loader in C would end the process
        "a: [" * 100,
    ],
    ids=["int", "bool", "time", "float", "nested", "brackets"],
)
def test_a_run_of_mlflow_with_strange_yaml_is_named_and_the_others_are_imported(tmp_path, meta):
    mlflow_run(tmp_path / "mlruns" / "0" / "good")
    mlflow_run(tmp_path / "mlruns" / "0" / "bad", meta)
    done = gdlab.import_runs(tmp_path / "mlruns", tmp_path / "runs")
    assert [rows(folder) for folder in done.folders] == [1]
    ((place, why),) = done.skipped
    assert place.endswith("bad") and "meta.yaml is " in why


def test_numbers_without_end_in_a_run_of_mlflow_end_no_import(tmp_path):
    for name, meta, line in (
        ("time", "status: 3\n", f"1{'0' * 400} 0.5 0\n"),
        ("state", f"status: 0x{'f' * 9000}\nrun_name: 0x{'f' * 9000}\n", "1 0.5 0\n"),
        ("begun", f"start_time: 0x{'f' * 9000}\n", "1 0.5 0\n"),
    ):
        mlflow_run(tmp_path / "mlruns" / "0" / name, meta, line)
    done = gdlab.import_runs(tmp_path / "mlruns", tmp_path / "runs")
    assert [rows(folder) for folder in done.folders] == [1, 1, 1] and done.skipped == []


def test_what_a_run_raises_ends_no_import(tmp_path, monkeypatch):
    event_file(tmp_path / "logs" / "bad", scalars(falling(range(5))))
    event_file(tmp_path / "logs" / "good", scalars(falling(range(5))))
    of = gdlab.interchange.importing.arrays
    seen = []

    def strange(*given):
        seen.append(given)
        return {}["a key"] if len(seen) == 1 else of(*given)

    monkeypatch.setattr(gdlab.interchange.importing, "arrays", strange)
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    assert [path.name for path in done.folders] == ["good"]
    assert "holds what cannot be read (KeyError: 'a key')" in done.skipped[0][1]


def test_a_time_without_end_in_a_file_of_wandb_is_no_time(tmp_path):
    messages = [history(_step="0", _timestamp=f"1{'0' * 350}", loss="1.0"), history(_step="1", loss="0.5")]
    wandb_file(tmp_path / "wandb" / "run-a.wandb", [(1, one) for one in messages])
    wandb_file(tmp_path / "wandb" / "run-b.wandb", [(1, one) for one in messages[1:]])
    done = gdlab.import_runs(tmp_path / "wandb", tmp_path / "runs")
    assert [rows(folder) for folder in done.folders] == [2, 1] and done.skipped == []


def test_a_text_that_every_row_of_parquet_has_is_held_once(tmp_path, monkeypatch):
    texts = pa.array(["A" * 400_000, "lr", "B" * 600_000])
    columns = {
        "step": range(300),
        "loss": [1 / (1 + step) for step in range(300)],
        "run": pa.DictionaryArray.from_arrays(pa.array([0] * 299 + [1], pa.int32()), texts),
        "note": pa.DictionaryArray.from_arrays(pa.array([2, None, 1] * 100, pa.int32()), texts),
        "bytes": pa.array([b"abcd"] * 300, pa.binary(4)),
    }
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path, compression="zstd", write_statistics=False)
    found = list(readers.READERS[".parquet"].rows(path))
    assert len(found[0]["run"]) == 400_000 and len({id(row["run"]) for row in found[:299]}) == 1
    assert [row["run"] for row in found[-1:]] == ["lr"] and "bytes" not in found[0]
    assert [row["note"] for row in found[:3]] == [None, None, "lr"]  # the longest is left out
    done = gdlab.import_runs(path, tmp_path / "runs")
    assert sorted(map(rows, done.folders)) == [1, 299]
    monkeypatch.setattr(readers, "MOST_TEXTS", 1 << 16)
    done = gdlab.import_runs(path, tmp_path / "more")
    assert done.folders == [] and "bytes of texts in 300 rows: 65,536 are read" in done.skipped[0][1]


def test_hyper_parameters_beside_a_table_have_a_bound_for_all_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_MOST_CONFIGS", 1000)
    names = [f"r{number}" for number in range(4)]
    (tmp_path / "a.csv").write_text("run_name,step,loss\n" + "".join(f"{name},0,1\n" for name in names))
    (tmp_path / "a_configs.csv").write_text(
        "run_name,note\n" + "".join(f"{name},{'x' * 300}\n" for name in names)
    )
    done = gdlab.import_runs(tmp_path, tmp_path / "runs")
    configs = [gdlab.open_run(folder).config["config"] for folder in done.folders]
    assert [len(config.get("note", "")) for config in configs] == [300, 300, 300, 0]
    assert "hyper-parameters beyond 1,000 characters of all runs left out" in done.notes[0][1]


def test_long_texts_in_a_database_are_cut_before_they_are_held(tmp_path, monkeypatch):
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.executescript(
            "CREATE TABLE runs(run_uuid, name, status, start_time, experiment_id);"
            "CREATE TABLE metrics(key, value REAL, timestamp INT, run_uuid, step INT, is_nan);"
            "CREATE TABLE params(key, value, run_uuid);"
            "INSERT INTO metrics VALUES('loss', 0.5, 1700000000000, 'u', 3, 0)"
        )
        connection.execute("INSERT INTO runs VALUES('u', ?, 'FINISHED', 1700000000000, 7)", ("n" * 100_000,))
        texts = [(f"p{number}", "x" * 100_000) for number in range(20)]
        connection.executemany("INSERT INTO params VALUES(?, ?, 'u')", [("lr", "0.5"), *texts])
    (source,) = finding.search(tmp_path, None).sources
    assert source.name == f"7/{'n' * 200}"
    found = source.read()
    assert found.config["lr"] == 0.5 and {len(found.config[name]) for name, _ in texts} == {10_000}
    assert (found.series["loss"].step, found.series["loss"].value) == ([3], [0.5]) and found.notes == []
    monkeypatch.setattr(mlflow_database, "_MOST_TEXTS", 50_000)
    found = source.read()
    assert len(found.config) == 5 and found.notes == ["parameters beyond 50,000 characters left out"]


def test_rows_of_a_database_that_share_their_bytes_are_refused(tmp_path, monkeypatch):
    with sqlite3.connect(tmp_path / "p.db") as connection:
        connection.execute("CREATE TABLE metrics(id INTEGER PRIMARY KEY, run_name, step, metrics, timestamp)")
        line = json.dumps({"loss": 1.0, "note": "x" * 5000})
        for step in range(9):
            connection.execute("INSERT INTO metrics VALUES(NULL, 'a', ?, ?, '')", (step, line))
    assert [rows(run) for run in gdlab.import_runs(tmp_path, tmp_path / "runs").folders] == [9]
    monkeypatch.setattr(trackio_database, "lying", lambda path: 8 * len(line))  # as if eight were all
    done = gdlab.import_runs(tmp_path, tmp_path / "more")
    assert done.folders == [] and "rows that share their bytes" in done.skipped[0][1]


def test_a_message_of_wandb_in_many_parts_takes_time_in_proportion(tmp_path, monkeypatch):
    first = history(_step="0", loss="1.0")
    path = wandb_file(tmp_path / "run-a.wandb", [(1, first), (2, b""), *[(3, b"")] * 9, (4, first)])
    done = gdlab.import_runs(path, tmp_path / "empty")
    assert rows(tmp_path / "empty") == 1 and "an empty part within a record, at byte" in done.notes[0][1]
    added = []

    class Bytes(bytearray):
        def __iadd__(self, part):
            added.append(len(part))
            return super().__iadd__(part)

    monkeypatch.setattr(wandb_files, "bytearray", Bytes, raising=False)
    monkeypatch.setattr(wandb_files, "MOST_MESSAGE", 100)
    # A message that is too long is stepped over as a whole, its end too.
    long = [(2, b""), *[(3, bytes(10))] * 50, (4, history(_step="7", loss="1.0"))]
    next_one = history(_step="1", loss="0.5")
    path = wandb_file(tmp_path / "run-b.wandb", [(1, first), *long, (2, next_one[:5]), (4, next_one[5:])])
    done = gdlab.import_runs(path, tmp_path / "long")
    assert rows(tmp_path / "long") == 2 and done.notes == []
    assert sum(added) == len(first) + 110 + len(first)


NAMES = ("train/a", "train/b", "a", "test/a")
WRITTEN = st.tuples(st.sampled_from(NAMES), st.integers(-1, 9))
BEGUN = st.tuples(st.sampled_from(["", "train/", "test/"]), st.integers(-2, 9), st.just(True))


@given(st.lists(WRITTEN | BEGUN, max_size=40))
def test_restarts_give_up_what_one_after_another_would(events):
    collector, naive = Collector(), []
    for place, (name, step, *begun) in enumerate(events):
        if begun:
            collector.restart(step, name)
            naive = [one for one in naive if not (one[0].startswith(name) and one[1] >= step)]
        else:
            collector.add(name, step, float(place), -float(place))
            naive += [(name, step, float(place))] if step >= 0 else []
    found = collector.series()
    for name in NAMES:
        own = [(step, value, -value) for of, step, value in naive if of == name]
        assert list(zip(*found[name], strict=True)) == own if own else name not in found


def test_restarts_take_no_time_for_each_metric():
    collector, seen = Collector(), []

    class Name(str):
        __slots__ = ()

        def startswith(self, *given):
            seen.append(self)
            return super().startswith(*given)

    for number in range(100):
        collector.add(Name(f"m{number}"), 0, 1.0)
    for step in range(5, 500):
        collector.restart(step)
        collector.add("m0", step, 1.0)
    assert seen == [] and len(collector.series()) == 100 and len(seen) <= 100
