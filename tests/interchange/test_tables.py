"""Exports as tables: CSV, JSON lines and Parquet, of one run and of several; wrong and endless ones."""

import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gdlab
from gdlab.interchange import mlflow_files, readers, wandb_files
from tests.interchange.make_fixtures import FILES

STEPS = range(6)
ROWS = [
    {"_step": 2 * step, "_timestamp": 1.7e9 + step, "_runtime": step, "loss": 1 / (1 + step), "note": "text"}
    | ({"val/accuracy": step / 10} if step % 2 else {})
    for step in STEPS
]


def column(run, name):
    return np.array(run.array("scalars")[:, run.columns("scalars").index(name)])


def write(path, rows=ROWS):
    """The rows as a table of the kind that the suffix says."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), path)
    else:
        mark = "\t" if path.suffix == ".tsv" else ","
        lines = [mark.join(names), *(mark.join(str(row.get(name, "")) for name in names) for row in rows)]
        path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("falls", [False, True])
def test_a_history_of_one_run(tmp_path, suffix, falls):
    path = write(tmp_path / f"history.{suffix}", ROWS[::-1] if falls else ROWS)
    done = gdlab.import_runs(path, tmp_path / "run")
    run = gdlab.open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.array("iteration"), [2 * step for step in STEPS])
    np.testing.assert_array_equal(column(run, "loss"), [1 / (1 + step) for step in STEPS])
    np.testing.assert_array_equal(column(run, "seconds"), STEPS)
    assert run.array("metric/val/accuracy").tolist() == [[2, 0.1], [6, 0.3], [10, 0.5]]
    assert set(run.arrays) == {"scalars", "iteration", "metric/val/accuracy", "validation"}
    assert (done.skipped, done.notes) == ([], [])


def test_times_that_are_no_dates_count_from_the_beginning(tmp_path):
    path = write(tmp_path / "log.csv", [{"step": k, "time": 1.5 + 2 * k, "loss": 1.0} for k in STEPS])
    gdlab.import_runs(path, tmp_path / "run")
    run = gdlab.open_run(tmp_path / "run")
    np.testing.assert_array_equal(column(run, "seconds"), [1.5 + 2 * k for k in STEPS])
    assert run.summary()["started"] > 1.7e9  # not in 1970
    assert run.summary()["seconds"] == 1.5 + 2 * 5


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_several_runs_in_a_table_are_told_apart_and_what_is_constant_tells_them(tmp_path, suffix):
    rows = [
        {"run": f"r{run}", "step": step, "lr": 0.1 * (1 + run), "name": "sgd", "loss": run + 1 / (1 + step)}
        for step in STEPS
        for run in range(3)
    ]
    done = gdlab.import_runs(write(tmp_path / f"sweep.{suffix}", rows), tmp_path / "runs")
    assert [path.name for path in done.folders] == ["r0", "r1", "r2"]
    for number, path in enumerate(done.folders):
        run = gdlab.open_run(path)
        np.testing.assert_array_equal(column(run, "loss"), [number + 1 / (1 + step) for step in STEPS])
        assert run.config["config"] == {"lr": 0.1 * (1 + number), "name": "sgd"}
    write(tmp_path / f"sweep.{suffix}", [*rows, {**rows[0], "step": 6, "loss": 9.0}])
    counts = gdlab.import_runs(tmp_path / f"sweep.{suffix}", tmp_path / "runs").counts
    assert (counts["extended"], counts["already there"]) == (1, 2)


def test_a_chart_of_wandb_and_a_table_of_numbers_are_turned_into_steps(tmp_path):
    chart = (
        "Step,sun-1 - loss,sun-1 - loss__MIN,sun-1 - loss__MAX,sea - 2 - loss\n0,1.0,1,1,2.0\n5,0.5,0,1,\n"
    )
    (tmp_path / "chart.csv").write_text(chart)
    done = gdlab.import_runs(tmp_path / "chart.csv", tmp_path / "chart")
    found = {path.name: gdlab.open_run(path) for path in done.folders}
    assert len(found) == 2 and column(found["sun-1"], "loss").tolist() == [1.0, 0.5]
    assert found["sun-1"].array("iteration").tolist() == [0, 5] and set(found["sun-1"].arrays) == {
        "scalars",
        "iteration",
    }
    rows = [
        {"run": run, "tag": tag, "step": step, "value": step + place}
        for place, run in enumerate("ab")
        for tag in ("loss", "val/accuracy")
        for step in (0, 1)
    ]
    done = gdlab.import_runs(write(tmp_path / "long.csv", rows), tmp_path / "long")
    runs = [gdlab.open_run(path) for path in done.folders]
    assert [column(run, "loss").tolist() for run in runs] == [[0.0, 1.0], [1.0, 2.0]]
    assert [run.array("metric/val/accuracy").tolist() for run in runs] == [
        [[0, 0], [1, 1]],
        [[0, 1], [1, 2]],
    ]


def test_columns_can_be_named(tmp_path):
    rows = [{"t": step, "who": step % 2, "loss": 1.0, "step": 0.5} for step in STEPS]
    path = write(tmp_path / "odd.csv", rows)
    done = gdlab.import_runs(path, tmp_path / "runs", step="t", run="who")
    assert [gdlab.open_run(folder).rows("scalars") for folder in done.folders] == [3, 3]
    (why,) = [why for _, why in gdlab.import_runs(path, tmp_path / "more").skipped]
    assert "step='0.5' is no whole number: import.step=NAME" in why
    (why,) = [why for _, why in gdlab.import_runs(path, tmp_path / "more", step="tt").skipped]
    assert "has no column 'tt' (import.step=tt); there is 't'" in why


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.csv", b"", "no line with the names of its columns"),
        ("a.csv", b"x,loss\n1,2\n", "no column of steps"),
        ("a.csv", b"step,loss,loss\n1,2,3\n", "two columns 'loss'"),
        ("a.csv", b"step,loss\n1,2\n2\n", "row 3 has 1 cells, where 2 columns"),
        ("a.csv", b"step,loss\n", "no row with a step"),
        ("a.csv", b"step,loss\n1e300,2\n", "no whole number"),
        ("a.csv", b'step,loss\n1,"2\n' + b"x" * 3_000_000, "a line of more than"),
        ("a.csv", b"\xff\xfe\x00\x01" * 100, "no column of steps"),
        ("a.jsonl", b"[1]\n", "line 1 is no object"),
        ("a.jsonl", b'{"step": 1, "loss": 2}\n{"step": \n', "line 2 is no JSON"),
        ("a.jsonl", b'{"step": 1, "x": ' + b"[" * 100_000 + b"\n", "nested deeper"),
        ("a.jsonl", b'{"step": 1' + b"0" * 5000 + b', "loss": 1}\n', "no whole number"),
        ("a.parquet", b"PAR1" + bytes(100) + b"PAR1", "no Parquet file"),
        ("a.parquet", b"not at all", "no Parquet file"),
    ],
)
def test_tables_that_are_none_are_named_with_the_place(tmp_path, name, data, why):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / name).write_bytes(data)
    write(tmp_path / "tables" / "good.csv")
    done = gdlab.import_runs(tmp_path / "tables", tmp_path / "runs")
    assert [path.name for path in done.folders] == ["good"]
    assert why in done.skipped[0][1] and name in done.skipped[0][0]


def test_a_table_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    zeros = pa.table({"step": np.arange(1 << 20), "loss": np.zeros(1 << 20)})
    pq.write_table(zeros, tmp_path / "bomb.parquet", use_dictionary=False, compression="zstd")
    monkeypatch.setattr(readers, "MOST_UNPACKED", 1 << 20)
    done = gdlab.import_runs(tmp_path / "bomb.parquet", tmp_path / "runs")
    assert "would unpack to 16," in done.skipped[0][1] and done.folders == []


def test_damaged_parquet_is_named(tmp_path):
    path = write(tmp_path / "a.parquet", ROWS * 50)
    data = bytearray(path.read_bytes())
    data[4:200] = bytes(196)
    path.write_bytes(data)
    assert gdlab.import_runs(path, tmp_path / "run").folders == []


def test_damage_in_a_file_of_wandb_keeps_what_is_before_it(tmp_path):
    whole = (FILES / "wandb" / "offline-run-20260101_120000-abc" / "run-abc.wandb").read_bytes()
    path = tmp_path / "run-abc.wandb"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    done = gdlab.import_runs(path, tmp_path / "cut")
    run = gdlab.open_run(tmp_path / "cut")
    assert (run.state, run.reason) == ("interrupted", "it has no end") and 0 < run.rows("scalars") < 10
    assert "it ends within a record" in done.notes[0][1]
    changed = bytearray(whole)
    changed[len(whole) * 2 // 3] ^= 1
    path.write_bytes(changed)
    assert "checksum" in gdlab.import_runs(path, tmp_path / "flipped").notes[0][1]
    for data in (b"", b"PK\x03\x04" + bytes(100), wandb_files._IDENT):
        path.write_bytes(data)
        assert gdlab.import_runs(path, tmp_path / "none").folders == []


def test_a_message_of_wandb_without_end_takes_no_memory(tmp_path, monkeypatch):
    import zlib

    monkeypatch.setattr(wandb_files, "MOST_MESSAGE", 1000)
    data = wandb_files._IDENT + b"\0"
    for place in range(200):
        part = bytes(100)
        kind = 2 if place == 0 else 3
        data += struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes((kind,)))), 100, kind) + part
    (tmp_path / "run-a.wandb").write_bytes(data)
    done = gdlab.import_runs(tmp_path / "run-a.wandb", tmp_path / "run")
    assert "it has no numbers" in done.skipped[0][1]


def test_a_damaged_metric_of_mlflow_is_named_and_the_others_are_read(tmp_path):
    run = tmp_path / "mlruns" / "1" / "abc"
    (run / "metrics").mkdir(parents=True)
    (run / "params").mkdir()
    (run / "meta.yaml").write_text("status: 4\nstart_time: 1700000000000\nrun_name: ../up\n")
    (run / "metrics" / "loss").write_text("".join(f"170000000{k}000 {1 / (1 + k)} {k}\n" for k in STEPS))
    (run / "metrics" / "broken").write_text("1 2 3\nnot a line\n")
    (run / "params" / "lr").write_text("0.5")
    (run / "params" / "secret").symlink_to("/etc/hostname")
    done = gdlab.import_runs(tmp_path / "mlruns", tmp_path / "runs")
    (folder,) = done.folders
    assert folder.is_relative_to(tmp_path / "runs") and ".." not in str(folder.relative_to(tmp_path))
    found = gdlab.open_run(folder)
    assert (found.state, found.config["config"]) == ("failed", {"lr": 0.5})
    np.testing.assert_array_equal(column(found, "loss"), [1 / (1 + k) for k in STEPS])
    assert "line 2 is not 'milliseconds value step'" in done.notes[0][1]
    (run / "meta.yaml").write_text("a: &a [1]\nb: *a\n")
    assert "has aliases" in gdlab.import_runs(tmp_path / "mlruns", tmp_path / "more").skipped[0][1]
    assert mlflow_files.value_of("1e5") == 1e5 and mlflow_files.value_of("a" * 100) == "a" * 100
