"""Files of strangers: damaged, endless, named to lead elsewhere. The whole is imported, the rest named."""

import contextlib
import os
import sqlite3
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gdlab
from benchmarks.importing import event, frame
from gdlab.interchange import crc32c, event_files, source, tensors
from gdlab.interchange.files import Opened
from gdlab.interchange.names import folder_name, metric_names
from gdlab.interchange.source import Unreadable
from gdlab.store.spec import valid_name
from tests.interchange.making import VERSION, event_file, falling, scalars


def rows(run):
    return gdlab.open_run(run).rows("scalars")


def read(path):
    damage: list = []
    with Opened(path) as file:
        found = list(event_files.events(file, damage))
    return found, damage


def test_a_file_that_ends_within_a_record_is_read_up_to_there(tmp_path):
    path = event_file(tmp_path / "logs", scalars(falling(range(10))))
    whole = path.read_bytes()
    for cut in (3, 15, 30):
        path.write_bytes(whole[:-cut])
        done = gdlab.import_runs(tmp_path / "logs", tmp_path / f"run{cut}")
        assert rows(tmp_path / f"run{cut}") == 9
        assert "it ends within a record, at byte" in done.notes[0][1]


def test_a_flipped_bit_ends_a_file_before_it(tmp_path):
    messages = scalars(falling(range(10)))
    whole = event_file(tmp_path / "logs", messages).read_bytes()
    lengths = [len(frame(message)) for message in (VERSION, *messages)]
    begins = np.cumsum([0, *lengths])
    for record, within, what in ((4, 20, "of a record"), (4, 3, "of a length"), (4, 9, "of a length")):
        data = bytearray(whole)
        data[begins[record] + within] ^= 0x10
        path = tmp_path / "logs" / "events.out.tfevents.1700000000.host"
        path.write_bytes(data)
        found, damage = read(path)
        assert [one.step for one in found] == [0, 1, 2], (record, within)
        assert damage and f"the checksum {what} is another, at byte {begins[record]:,}" in damage[0]


def test_a_file_that_is_none_is_named_and_the_others_are_imported(tmp_path):
    event_file(tmp_path / "logs" / "good", scalars(falling(range(5))))
    for name, data in (("zeros", bytes(1000)), ("text", b"not an event file at all" * 9), ("empty", b"")):
        (tmp_path / "logs" / name).mkdir()
        (tmp_path / "logs" / name / "events.out.tfevents.1").write_bytes(data)
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    assert [path.name for path in done.folders] == ["good"] and len(done.skipped) == 3
    said = {os.path.basename(place): why for place, why in done.skipped}
    assert "is no event file" in said["zeros"] and "is no event file" in said["text"]
    assert "it has no numbers" in said["empty"]


def test_a_huge_length_takes_neither_memory_nor_time(tmp_path):
    path = event_file(tmp_path / "logs", scalars(falling(range(5))))
    length = struct.pack("<Q", 1 << 62)
    head = length + struct.pack("<I", crc32c.masked(crc32c.crc(length)))
    path.write_bytes(path.read_bytes() + head + b"x" * 100)
    found, damage = read(path)
    assert len(found) == 5 and "it ends within a record" in damage[0]


def test_records_too_long_to_be_numbers_are_stepped_over(tmp_path):
    long = b"\x2a" + b"\x80\x80\x80\x03" + bytes(6 << 20)
    path = event_file(tmp_path / "logs", [*scalars([(0, 1.0)]), long, *scalars([(1, 0.5)])])
    found, damage = read(path)
    assert [(one.step, one.numbers) for one in found] == [
        (0, [("train/loss", 1.0)]),
        (1, [("train/loss", 0.5)]),
    ]
    assert damage == []


def test_links_and_pipes_are_left_out_and_do_not_block(tmp_path):
    event_file(tmp_path / "logs" / "good", scalars(falling(range(5))))
    elsewhere = event_file(tmp_path / "elsewhere", scalars(falling(range(5))))
    (tmp_path / "logs" / "linked").symlink_to(elsewhere.parent)
    (tmp_path / "logs" / "good" / "events.out.tfevents.2").symlink_to(elsewhere)
    os.mkfifo(tmp_path / "logs" / "good" / "events.out.tfevents.3")
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    assert [path.name for path in done.folders] == ["good"]
    assert done.left == ["3 entries left out: links, pipes and devices are not read"]
    for number, why in ((2, "a link where a file should be"), (3, "not a regular file")):
        path = tmp_path / "logs" / "good" / f"events.out.tfevents.{number}"
        done = gdlab.import_runs(path, tmp_path / "more")
        assert done.folders == [] and why in done.skipped[0][1]


def test_a_million_metrics_keep_the_first_thousand(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MOST_METRICS", 50)
    names = [*(f"m{number}" for number in range(2000)), "m" * 5000]
    event_file(tmp_path / "logs", [event(1.0, 0, tag=name.encode(), value=1.0) for name in names])
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "run")
    assert len(gdlab.open_run(tmp_path / "run").arrays) == 51
    assert "1,951 metrics beyond the first 50 left out" in done.notes[0][1]


def test_more_numbers_than_a_run_may_have_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MOST_POINTS", 100)
    event_file(tmp_path / "logs" / "large", scalars(falling(range(200))))
    event_file(tmp_path / "logs" / "small", scalars(falling(range(20))))
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    assert [path.name for path in done.folders] == ["small"]
    assert "more than 100 numbers in a run: import.metrics=NAME" in done.skipped[0][1]


def test_steps_and_times_that_are_none_are_left_out(tmp_path):
    messages = [
        event(wall, step, tag=b"loss", value=1.0)
        for wall, step in ((float("nan"), 0), (1e300, 1), (-5.0, 2), (1.7e9, 3))
    ]
    minus = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + b"\xff" * 9 + b"\x01"
    messages.append(minus + event(0.0, 0, tag=b"loss", value=2.0)[11:])
    event_file(tmp_path / "logs", messages)
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "run")
    run = gdlab.open_run(tmp_path / "run")
    assert run.rows("scalars") == 4 and run.summary()["started"] == 1.7e9
    assert "1 number at steps below 0" in done.notes[0][1]
    assert np.isfinite(run.array("scalars")[:, run.columns("scalars").index("seconds")]).all()


NAMES = [
    "../../etc",
    "a\nb",
    "/abs",
    "..",
    "con\0x",
    "  ",
    "zarr.json",
    "loss",
    "loss/train",
    "Loss",
    "a" * 400,
]
NAMES += ["x/" * 30 + "y", "é/ü", "a b", "a_b", "-", "c.0.0", ".hidden", "loss.value", "\ud800"]


def test_names_cannot_lead_elsewhere_nor_meet(tmp_path):
    found = metric_names(NAMES)
    kept = list(found.values())
    assert all(valid_name(f"metric/{name}") for name in kept), kept
    assert len({name.lower() for name in kept}) == len(NAMES)
    assert not [one for one in kept for other in kept if other.startswith(f"{one}/")]
    tags = [name.encode("utf-8", "surrogatepass") for name in NAMES]
    event_file(tmp_path / "logs" / "a\nb", [event(1.0, 0, tag=tag, value=1.0) for tag in tags])
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    (folder,) = done.folders
    assert folder.parent == tmp_path / "runs" and "\n" not in folder.name and rows(folder) == 1
    assert all(".." not in part.name for part in (tmp_path / "runs").rglob("*"))


@given(st.lists(st.text(max_size=80), max_size=30, unique=True))
def test_any_names_are_made_names_of_arrays(names):
    kept = list(metric_names(names).values())
    assert all(valid_name(f"metric/{name}") for name in kept)
    assert len({name.lower() for name in kept}) == len(names)
    assert all(name and not name.startswith((".", "/")) for name in map(folder_name, names))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    messages = [*scalars(falling(range(6))), *scalars([(3, 2.0)], tag=b"other")]
    return folder, event_file(folder, messages).read_bytes()


@given(st.data())
def test_any_damage_is_read_to_the_first_wrong_byte_or_refused(written, data):
    folder, whole = written
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    changed = changed[: data.draw(st.integers(0, len(changed)))] + data.draw(st.binary(max_size=40))
    path = folder / "events.out.tfevents.fuzz"
    path.write_bytes(changed)
    true = [(one.step, one.numbers) for one in read(event_file(folder / "true", [], 1))[0]]
    (folder / "true" / "events.out.tfevents.1700000001.host").write_bytes(whole)
    true = [
        (one.step, one.numbers) for one in read(folder / "true" / "events.out.tfevents.1700000001.host")[0]
    ]
    try:
        found, damage = read(path)
    except Unreadable:
        return
    same = [(one.step, one.numbers) for one in found]
    assert same == true[: len(same)]
    assert damage or bytes(changed) == whole or len(same) <= len(true)


@given(st.binary(max_size=300))
def test_any_message_is_an_event_or_nothing(message):
    tags = event_files._Tags({}, {})
    with contextlib.suppress(ValueError, IndexError, struct.error):  # which `events` takes for damage
        found = event_files._event(message, 0, len(message), tags)
        assert found is None or found.numbers or found.hparams or found.restarted


def test_checksums_are_those_of_the_published_vectors():
    vectors = {bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43, bytes(range(32)): 0x46DD794E}  # RFC 3720, B.4
    for data, expected in vectors.items():
        assert crc32c.crc(data) == expected
    many = b"".join(vectors) * 20
    begins = np.arange(60) * 32
    sums = np.array([crc32c.masked(one) for one in vectors.values()] * 20, np.uint32)
    assert crc32c.are_right(many, begins, np.full(60, 32), sums).all()
    assert not crc32c.are_right(many, begins, np.full(60, 32), sums + np.uint32(1)).any()


@pytest.mark.parametrize(
    ("message", "value"),
    [
        (b"\x08\x01\x12\x00\x2a\x04" + struct.pack("<f", 0.5), 0.5),
        (b"\x08\x02\x12\x00\x32\x08" + struct.pack("<d", 1 / 3), 1 / 3),
        (b"\x08\x02\x12\x00\x22\x08" + struct.pack("<d", 1 / 3), 1 / 3),
        (b"\x08\x03\x12\x00\x3a\x0a" + b"\xfd" + b"\xff" * 8 + b"\x01", -3.0),
        (
            b"\x08\x0e\x12\x00\x6a\x03\x80\x80\x01",
            0.0 + struct.unpack("<f", struct.pack("<I", 0x4000 << 16))[0],
        ),
        (b"\x08\x13\x12\x00\x6a\x02\x80\x78", 1.0),
        (b"\x08\x01\x12\x00", 0.0),
        (b"\x08\x01\x12\x04\x12\x02\x08\x02\x2a\x08" + bytes(8), None),
        (b"\x08\x07\x12\x00\x42\x01a", 0.0),
    ],
    ids=["float", "double", "bytes", "int", "bfloat16", "half", "zero", "two", "text"],
)
def test_numbers_of_every_type(message, value):
    assert tensors.number_of(message, 0, len(message)) == value


def test_a_database_with_code_in_it_runs_none(tmp_path):
    path = tmp_path / "p.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE real(id, run_name, step, metrics, timestamp)")
        connection.execute(
            "CREATE VIEW metrics AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
            "SELECT x AS id, 'a' AS run_name, x AS step, '{}' AS metrics, '' AS timestamp FROM n"
        )
    done = gdlab.interchange.finding.search(path, None)
    assert done.sources == [] and "a database of another program" in done.skipped[0][1]
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + bytes(500))
    done = gdlab.interchange.finding.search(tmp_path / "broken.db", None)
    assert "is damaged" in done.skipped[0][1]
    (tmp_path / "q.db").symlink_to(path)
    assert "a link where a file" in gdlab.import_runs(tmp_path / "q.db", tmp_path / "runs").skipped[0][1]
