"""Folders that are empty, half written, from the future, damaged or hostile: a clear error, nothing lost."""

import os
import shutil
from itertools import pairwise

import numpy as np
import pytest

from gdlab import store
from gdlab.store import checksums, files
from tests.store import runs


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "run"
    runs.record(path, 100)
    return path


@pytest.fixture
def path(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


def everything(path):
    """{relative name: bytes} of a folder."""
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def arrays(document):
    return document["consolidated_metadata"]["metadata"]


def damaged(path):
    """Open the run, which must fail as damaged, also in the list and for writers; returns the message."""
    before = everything(path)
    with pytest.raises(store.DamagedRun) as caught:
        run = store.open_run(path)
        _ = run.config
    for begin in (runs.begin, lambda path: store.RunWriter.resume(path, config=runs.CONFIG)):
        with pytest.raises(store.StoreError):
            begin(path)
    assert everything(path) == before
    return str(caught.value)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("x")])
def test_no_run(tmp_path, make):
    make(tmp_path / "run")
    with pytest.raises(store.NotARun, match=r"does not exist|is empty|is a file") as caught:
        store.open_run(tmp_path / "run")
    assert isinstance(caught.value, FileNotFoundError)


def test_other_peoples_files_are_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    for begin in (store.open_run, runs.begin):
        with pytest.raises(store.NotARun, match=r"not a run: it has no log\.zarr"):
            begin(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == ["thesis.tex"]


@pytest.mark.parametrize("left", [("run.json",), (".hydra",)])
def test_half_written(path, left):
    for name in ("run.json", "log.zarr", ".hydra"):
        target = path / name
        if name in left:
            continue
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(store.HalfWritten, match="never committed"):
        store.open_run(path)
    with pytest.raises(store.HalfWritten):
        store.RunWriter.resume(path, config=runs.CONFIG)
    # Nothing was ever committed there, so the training simply begins.
    runs.record(path, 20)
    assert runs.check(store.open_run(path)) == 20


@pytest.mark.parametrize("left", ["rows", "checkpoints", "derived"])
def test_a_lost_commit_record_is_no_run_that_was_never_begun(path, left):
    """Nobody is told to start a finished run again, and nothing of it is overwritten."""
    (path / "log.zarr" / "zarr.json").unlink()
    if left != "rows":
        shutil.rmtree(path / "log.zarr")
        (path / left / "100").mkdir(parents=True)
    assert "the commit record is gone" in damaged(path)
    assert "zarr.json" in str(dict(store.list_runs(path.parent))["run"])


def test_a_lost_configuration(path):
    shutil.rmtree(path / ".hydra")
    assert "the configuration is missing" in damaged(path)


def test_newer_schema(path):
    runs.edit(path, lambda document: document["attributes"]["gdlab"].update(schema=3))
    for begin in (store.open_run, runs.begin, lambda path: store.RunWriter.resume(path, config=runs.CONFIG)):
        with pytest.raises(store.NewerSchema, match="schema version 3, this gdlab reads up to 2"):
            begin(path)


def test_truncated_chunk_names_file_and_sizes(path):
    chunk = path / "log.zarr" / "scalars" / "c.0.0"
    size = chunk.stat().st_size
    os.truncate(chunk, 1000)
    message = damaged(path)
    assert f"{chunk}" in message and "1,000 bytes" in message and f"{size:,} are expected" in message
    assert isinstance(dict(store.list_runs(path.parent))["run"], store.DamagedRun)


@pytest.mark.parametrize("name", ["scalars/c.0.0", "envelope/scalars/L1/c.0.0.0", "ls_end/c.0"])
def test_missing_chunk(path, name):
    (path / "log.zarr" / name).unlink()
    assert "chunk file is missing" in damaged(path)


def test_a_chunk_lost_while_the_run_is_open(path):
    run = store.open_run(path)
    assert len(run.array("path")) == 100
    os.truncate(path / "log.zarr" / "path" / "c.0.0", 0)
    with pytest.raises(store.DamagedRun, match="chunk of 'path' has 0 bytes"):
        run.array("path")
    assert len(run.array("scalars")) == 100


NONSENSE = (
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b"null",
    b"{}",
    b'{"attributes": 3}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
)


@pytest.mark.parametrize("content", NONSENSE)
def test_damaged_commit_record(path, content):
    (path / "log.zarr" / "zarr.json").write_bytes(content)
    assert str(path / "log.zarr" / "zarr.json") in damaged(path)


def test_commit_record_cut_short(path):
    file = path / "log.zarr" / "zarr.json"
    whole = file.read_bytes()
    for cut in range(0, len(whole), 397):
        file.write_bytes(whole[:cut])
        damaged(path)
    file.write_bytes(whole)
    assert runs.check(store.open_run(path)) == 100


def test_an_endless_commit_record_is_not_read(path):
    os.truncate(path / "log.zarr" / "zarr.json", files.MAX_DOCUMENT_BYTES + 1)
    assert "at most" in damaged(path)


HOSTILE = {
    "more rows": lambda d: arrays(d)["scalars"]["shape"].__setitem__(0, 10**9),
    "rows beyond counting": lambda d: arrays(d)["scalars"]["shape"].__setitem__(0, 10**30),
    "negative rows": lambda d: arrays(d)["scalars"]["shape"].__setitem__(0, -1),
    "rows as float": lambda d: arrays(d)["scalars"]["shape"].__setitem__(0, 100.0),
    "rows as bool": lambda d: arrays(d)["scalars"]["shape"].__setitem__(0, True),
    "no shape": lambda d: arrays(d)["scalars"].pop("shape"),
    "no axis": lambda d: arrays(d)["scalars"].update(shape=[]),
    "wider rows": lambda d: arrays(d)["scalars"]["shape"].__setitem__(1, 15),
    "pickled objects": lambda d: arrays(d)["scalars"].update(data_type="object"),
    "big endian": lambda d: arrays(d)["scalars"]["codecs"][0]["configuration"].update(endian="big"),
    "a codec": lambda d: arrays(d)["scalars"].update(codecs=[{"name": "pickle"}]),
    "no chunks": lambda d: arrays(d)["ls_end"]["chunk_grid"]["configuration"].update(chunk_shape=[0]),
    "vast chunks": lambda d: arrays(d)["ls_end"]["chunk_grid"]["configuration"].update(chunk_shape=[2**47]),
    "parent folder": lambda d: arrays(d).update({"../../outside": arrays(d)["ls_end"]}),
    "root folder": lambda d: arrays(d).update({"/etc": arrays(d)["ls_end"]}),
    "dots inside": lambda d: arrays(d).update({"a/../../b": arrays(d)["ls_end"]}),
    "an array that is none": lambda d: arrays(d).update(x=3),
    "arrays as a list": lambda d: d["consolidated_metadata"].update(metadata=[]),
    "no arrays": lambda d: d.pop("consolidated_metadata"),
    "too many arrays": lambda d: arrays(d).update({f"a{i}": arrays(d)["ls_end"] for i in range(5000)}),
    "columns of numbers": lambda d: arrays(d)["scalars"]["attributes"].update(columns=[1] * 14),
    "nested columns": lambda d: arrays(d)["scalars"]["attributes"].update(columns=[["a"]] * 14),
    "schema as text": lambda d: d["attributes"]["gdlab"].update(schema="1"),
    "generation as text": lambda d: d["attributes"]["gdlab"].update(generation="1"),
    "no attributes": lambda d: d.pop("attributes"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_commit_record_that_lies(path, change):
    runs.edit(path, change)
    damaged(path)


WRONG_FACTS = (
    {"summary": 3},
    {"summary": {"best_loss": "low"}},
    {"state": []},
    {"state": "sleeping"},
    {"hyperparameters": [1]},
    {"pyramids": 7},
    {"pyramids": ["nothing"]},
    {"status": "x"},
    {"started": "yesterday"},
)


@pytest.mark.parametrize("facts", WRONG_FACTS)
def test_facts_of_the_wrong_kind(path, facts):
    runs.edit(path, lambda document: document["attributes"]["gdlab"].update(facts))
    assert "attributes" in damaged(path)
    assert isinstance(dict(store.list_runs(path.parent))["run"], store.DamagedRun)


LINKED = ("log.zarr/scalars/c.0.0", "log.zarr/zarr.json", "run.json", ".hydra/config.yaml")


@pytest.mark.parametrize("name", LINKED)
def test_links_are_not_followed(path, tmp_path, name):
    (path / name).rename(tmp_path / "outside")
    (path / name).symlink_to(tmp_path / "outside")
    with pytest.raises(store.DamagedRun, match=r"link where a file|not a regular file|leads out of the run"):
        run = store.open_run(path)
        _ = run.config, run.identity


@pytest.mark.parametrize("name", ["log.zarr/scalars", "log.zarr", ".hydra"])
def test_linked_folders_are_not_followed(path, tmp_path, name):
    (path / name).rename(tmp_path / "outside")
    (path / name).symlink_to(tmp_path / "outside")
    with pytest.raises(store.DamagedRun, match="a link leads out of the run folder"):
        run = store.open_run(path)
        _ = run.config, run.array("scalars")
    with pytest.raises(store.DamagedRun):
        store.RunWriter.resume(path, config=runs.CONFIG)


@pytest.mark.parametrize("name", [".hydra", "log.zarr"])
def test_a_new_run_is_not_written_through_a_link(tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "outside")
    with pytest.raises(store.DamagedRun, match="a link leads out of the run folder"):
        runs.begin(tmp_path / "run")
    assert not os.listdir(tmp_path / "outside")


def test_a_pipe_does_not_block(path):
    for name in ("log.zarr/scalars/c.0.0", "log.zarr/zarr.json"):
        (path / name).unlink()
        os.mkfifo(path / name)
        with pytest.raises(store.DamagedRun, match="not a regular file"):
            store.open_run(path)


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghi"))


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [exit]",
        BOMB,
        "[" * 50_000,
        "{a: " * 50_000,
        "- 1",
        "a: [",
        "\0",
        "x" * (2 << 20),
    ],
    ids=["code", "aliases", "lists", "maps", "no mapping", "cut", "zero byte", "long"],
)
def test_hostile_configuration(path, text):
    (path / ".hydra" / "config.yaml").write_text(text)
    assert "config.yaml" in damaged(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": 3}'])
def test_damaged_identity_leaves_the_rest(path, text):
    (path / "run.json").write_text(text)
    run = store.open_run(path)
    with pytest.raises(store.DamagedRun, match=r"run\.json"):
        _ = run.identity
    assert runs.check(run) == 100


def test_a_damaged_envelope_is_not_continued(path):
    name = "envelope/scalars/L1"

    def forget_a_level(document):
        item = arrays(document)[name]
        item["shape"][0] = 2
        two = (path / "log.zarr" / name / "c.0.0.0").read_bytes()[: 8 * np.prod(item["shape"])]
        document["attributes"]["gdlab"]["sums"][name] = checksums.to_text(checksums.crc(two))

    runs.edit(path, forget_a_level)
    with pytest.raises(store.BadCursor, match="envelopes are damaged"):
        store.RunWriter.resume(path, config=runs.CONFIG)
    # Reading does not depend on it: what the level lacks is taken from the rows.
    table = store.open_run(path).envelope("slope", points=5)
    assert table.columns["minimum"].min() == runs.scalars(np.arange(100))[:, 4].min()
