"""A run as one file, and back; archives of strangers are refused, and nothing half unpacked stays."""

import os
import stat
import zipfile

import numpy as np
import pytest

from gdlab import store
from gdlab.store import packing
from tests.server import make_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_runs.make(tmp_path_factory.mktemp("packed") / "run", iterations=60)


@pytest.fixture(scope="module")
def packed(run, tmp_path_factory):
    file = tmp_path_factory.mktemp("file") / "run.zip"
    packing.pack(run, file)
    return file


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_comes_out_is_what_went_in_and_takes_no_more_room(run, packed, tmp_path):
    back = packing.unpack(packed, tmp_path / "back")
    there, here = contents(run), contents(tmp_path / "back")
    there.pop("LOCK", None)
    assert here == there
    np.testing.assert_array_equal(back.array("scalars"), store.open_run(run).array("scalars"))
    blocks = sum(path.stat().st_blocks for path in (tmp_path / "back").rglob("*") if path.is_file())
    assert 512 * blocks < 2 * sum(p.stat().st_blocks for p in run.rglob("*") if p.is_file()) * 512
    assert packed.stat().st_size < sum(map(len, there.values())) / 4  # chunk files are mostly holes


def test_a_run_that_is_trained_is_not_packed(tmp_path):
    with make_runs.begin(tmp_path / "live") as writer:
        make_runs.append(writer, 0, 5)
        with pytest.raises(store.RunLocked, match="is being trained"):
            packing.pack(tmp_path / "live", tmp_path / "live.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live"]


def test_damage_is_not_passed_on(tmp_path):
    folder = make_runs.make(tmp_path / "run")
    chunk = folder / "log.zarr" / "scalars" / "c.0.0"
    data = bytearray(chunk.read_bytes())
    data[np.flatnonzero(np.frombuffer(data, np.uint8))[3]] ^= 4
    chunk.write_bytes(data)
    with pytest.raises(store.DamagedRun):
        packing.pack(folder, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()


def test_what_is_there_is_not_written_over(run, packed, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(store.NotWritable, match="is there already"):
        packing.unpack(packed, tmp_path / "there")
    with pytest.raises(store.NotWritable, match="is there already"):
        packing.pack(run, packed)
    os.symlink("nowhere", tmp_path / "link")
    with pytest.raises(store.NotWritable, match="is there already"):
        packing.unpack(packed, tmp_path / "link")


def test_links_and_pipes_of_a_folder_are_left_out(tmp_path):
    folder = make_runs.make(tmp_path / "run")
    (folder / "link").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe")
    packing.pack(folder, tmp_path / "run.zip")
    assert not {"link", "pipe"} & set(zipfile.ZipFile(tmp_path / "run.zip").namelist())


def altered(packed, file, change):
    """The archive with other entries: change(name, data) -> [(ZipInfo or name, data)]."""
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            for name, data in change(entry.filename, old.read(entry)):
                new.writestr(name, data)
    return file


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    "name",
    ["../outside", "/absolute", "a/../../outside", "a//b", "./a", "a\\..\\b", "LOCK", link("linked")],
    ids=str,
)
def test_names_that_lead_elsewhere_and_links_unpack_nothing(packed, tmp_path, name):
    more = iter([(name, b"x")])
    file = altered(packed, tmp_path / "bad.zip", lambda own, data: [(own, data), *more])
    (tmp_path / "into").mkdir()
    with pytest.raises(store.DamagedRun, match="is no file of a run"):
        packing.unpack(file, tmp_path / "into" / "run")
    assert [path.name for path in tmp_path.iterdir() if path.name != "bad.zip"] == ["into"]
    assert not list((tmp_path / "into").iterdir())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(packed, tmp_path):
    file = altered(packed, tmp_path / "bad.zip", lambda own, data: [(own, data)] * 2)
    with pytest.raises(store.DamagedRun, match="two files have one name"):
        packing.unpack(file, tmp_path / "run")


def test_rows_that_were_altered_are_damage_of_the_file_that_is_named(packed, tmp_path):
    def change(name, data):
        data = bytearray(data)
        if name.endswith("scalars/c.0.0"):
            data[np.flatnonzero(np.frombuffer(data, np.uint8))[3]] ^= 4
        return [(name, bytes(data))]

    with pytest.raises(store.DamagedRun, match="scalars"):
        packing.unpack(altered(packed, tmp_path / "bad.zip", change), tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_or_flipped_archive_is_refused_in_words(packed, tmp_path, at):
    data = packed.read_bytes()
    place = int(at * len(data))
    (tmp_path / "cut.zip").write_bytes(data[:place])
    (tmp_path / "flipped.zip").write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
    with pytest.raises(store.StoreError):
        packing.unpack(tmp_path / "cut.zip", tmp_path / "run")
    try:  # a bit of a time or of a flag may say nothing
        packing.unpack(tmp_path / "flipped.zip", tmp_path / "flipped")
    except store.StoreError:
        assert not (tmp_path / "flipped").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"cut.zip", "flipped.zip", "flipped"}


def test_an_archive_of_something_else_is_no_run(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(store.StoreError):
        packing.unpack(tmp_path / "other.zip", tmp_path / "run")
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(store.NotARun, match="is no packed run"):
        packing.unpack(tmp_path / "text.zip", tmp_path / "run")
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(store.DamagedRun, match="not a regular file"):
        packing.unpack(tmp_path / "pipe.zip", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_than_a_run_can_have_is_not_unpacked(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MOST_BYTES", 100_000)
    with pytest.raises(store.DamagedRun, match="more than"):
        packing.unpack(packed, tmp_path / "run")


def test_the_commands(run, tmp_path, monkeypatch, capsys):
    from gdlab.commands.packing_tasks import pack_task, unpack_task
    from gdlab.plan.builder import ConfigError

    monkeypatch.chdir(tmp_path)
    assert pack_task({"run": str(run)}, progress=False).name == "run.zip"
    assert unpack_task({"from": "run.zip", "into": "theirs"}).name == "theirs"
    assert "every checksum right" in capsys.readouterr().err
    for config, words in (
        ({"run": None}, "needs the folder of a run"), ({"run": str(run), "output": "x.tar"}, "ends in .zip"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            pack_task(config)
    with pytest.raises(ConfigError, match="needs the file"):
        unpack_task({})


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_only_what_pack_writes_is_unpacked(packed, tmp_path, method):
    """LZMA's errors are no zip's, and its header says how much memory unpacking takes."""
    with zipfile.ZipFile(packed) as found, zipfile.ZipFile(tmp_path / "other.zip", "w", method) as other:
        for entry in found.infolist():
            other.writestr(entry.filename, found.read(entry))
    with pytest.raises(store.DamagedRun, match="another method than deflate"):
        packing.unpack(tmp_path / "other.zip", tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("name", [b"back\\slash", b"\xff"])
def test_what_could_not_be_unpacked_is_not_packed(tmp_path, name):
    folder = make_runs.make(tmp_path / "run", iterations=5)
    with open(os.path.join(os.fsencode(folder), name), "wb"):
        pass
    with pytest.raises(store.DamagedRun, match="is no file of a run"):
        packing.pack(folder, tmp_path / "run.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_an_endless_list_of_files_is_not_read(packed, tmp_path, monkeypatch):
    """Neither of a plain archive nor of one whose numbers have 64 bits."""
    names = [f"file{number:05}" for number in range(70_000)]
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    monkeypatch.setattr(packing, "MOST_LISTED", 1 << 20)
    made = []
    monkeypatch.setattr(zipfile, "ZipFile", lambda *given, **named: made.append(given))
    for file in (tmp_path / "many.zip", large(tmp_path / "many.zip", tmp_path / "large.zip")):
        with pytest.raises(store.DamagedRun, match="a list of files of"):
            packing.unpack(file, tmp_path / "run")
    assert not made and not (tmp_path / "run").exists()


def large(file, other):
    """The archive with the size of its list in the record of 64 bits alone."""
    data = bytearray(file.read_bytes())
    end = data.rfind(b"PK\5\6")
    assert data.rfind(b"PK\6\6") > 0  # more than 65,535 files
    data[end + 12 : end + 16] = b"\xff" * 4
    other.write_bytes(data)
    return other


def test_what_the_disk_cannot_hold_is_not_begun(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(packing.files, "HOLLOW", 1000)
    monkeypatch.setattr(packing, "_free", lambda folder: 5000)
    with pytest.raises(store.DiskFull, match="5,000 left"):
        packing.unpack(packed, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_link_in_the_place_where_it_is_unpacked_is_not_followed(packed, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f".run.{os.getpid()}.part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(store.NotWritable):
        packing.unpack(packed, tmp_path / "run")
    assert not list((tmp_path / "elsewhere").iterdir())
