"""Files of what is kept of parameters: what comes out is what was put in, or what is wrong is said."""

import os

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gdlab.store import DamagedRun, checksums, kept, requests
from tests.damage_matrix import DAMAGE

DTYPES = ("bool", "int8", "uint32", "int64", "float16", "float32", "float64", "complex64")
LEAVES = [
    kept.Leaf(("conv", "kernel"), np.arange(12, dtype=np.float32).reshape(3, 4)),
    kept.Leaf(("conv", "half"), np.array([1.5, np.nan, -np.inf], ml_dtypes.bfloat16)),
    kept.Leaf(("count",), np.array(7, np.int32)),
    kept.Leaf(("none",), np.zeros((0, 3), np.float64)),
    kept.Leaf(("key",), np.array([1, 2], np.uint32), "threefry2x32"),
    kept.Leaf((), np.zeros((0,), np.float32)),
]


def same(one, other):
    """Whether two lists of leaves are the same to the last bit."""
    assert [(leaf.place, leaf.key, leaf.array.dtype, leaf.array.shape) for leaf in one] == [
        (leaf.place, leaf.key, leaf.array.dtype, leaf.array.shape) for leaf in other
    ]
    assert [leaf.array.tobytes() for leaf in one] == [leaf.array.tobytes() for leaf in other]


def test_what_is_kept_is_read_again(tmp_path):
    trees = {"params": LEAVES, "aux": LEAVES[:1], "nothing": []}
    size = kept.write(tmp_path, kept.MOMENTS, 12, trees, {"asked": True})
    assert size == kept.size(tmp_path, kept.MOMENTS, 12) == (tmp_path / "moments" / "12").stat().st_size
    found = kept.read(tmp_path, kept.MOMENTS, 12)
    assert found.facts == {"asked": True} and found.trees.keys() == trees.keys()
    for name, leaves in trees.items():
        same(found.trees[name], leaves)
    shapes, _ = kept.shapes(tmp_path, kept.MOMENTS, 12)
    assert shapes["aux"] == [(("conv", "kernel"), np.dtype("f4"), (3, 4), None)]
    kept.write(tmp_path, kept.MOMENTS, 3, {})
    assert kept.read(tmp_path, kept.MOMENTS, 3).trees == {}
    assert kept.names(tmp_path, kept.MOMENTS) == [3, 12] and kept.names(tmp_path, kept.POINTS) == []
    kept.remove(tmp_path, kept.MOMENTS, 12)
    kept.remove(tmp_path, kept.MOMENTS, 12)
    assert os.listdir(tmp_path / "moments") == ["3"]


@given(st.data())
def test_any_array_is_kept(tmp_path_factory, data):
    dtype = data.draw(st.sampled_from(DTYPES))
    array = data.draw(arrays.arrays(np.dtype(dtype), arrays.array_shapes(min_dims=0, min_side=0)))
    root = tmp_path_factory.mktemp("kept")
    kept.write(root, kept.EXAMPLES, "train", {"examples": [kept.Leaf(("x",), array)] * 2})
    same(kept.read(root, kept.EXAMPLES, "train").trees["examples"], [kept.Leaf(("x",), array)] * 2)


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(tmp_path, name):
    kept.write(tmp_path, kept.POINTS, 5, {"params": LEAVES})
    file = tmp_path / "points" / "5"
    DAMAGE[name](file, tmp_path / "other")
    expected = FileNotFoundError if name == "removed" else DamagedRun
    with pytest.raises(expected) as said:
        kept.read(tmp_path, kept.POINTS, 5)
    assert "points/5" in str(said.value)


def test_any_flipped_bit_is_found_or_changes_nothing(tmp_path):
    kept.write(tmp_path, kept.POINTS, 5, {"params": LEAVES})
    file = tmp_path / "points" / "5"
    whole = file.read_bytes()
    padding = []
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            same(kept.read(tmp_path, kept.POINTS, 5).trees["params"], LEAVES)
        except DamagedRun:
            continue
        padding.append(whole[at])
    assert set(padding) <= {0} and len(padding) < 6 * kept.ALIGN


def test_a_file_in_the_place_of_another_is_found(tmp_path):
    kept.write(tmp_path, kept.POINTS, 5, {"params": LEAVES})
    os.rename(tmp_path / "points" / "5", tmp_path / "points" / "6")
    with pytest.raises(DamagedRun, match="it is that of points/5"):
        kept.read(tmp_path, kept.POINTS, 6)


FORGED = {
    "larger than the file": {"shape": [1 << 30]},
    "endless": {"shape": [1 << 35, 1 << 35]},
    "negative": {"shape": [-1]},
    "nothing of too many": {"shape": [0, 1 << 36, 1 << 36], "crc": "00000000"},
    "no dtype": {"dtype": "object"},
    "a class": {"dtype": "builtins.eval"},
    "a text as shape": {"shape": "3"},
    "many axes": {"shape": [1] * 100},
    "no place": {"place": 3},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_header_is_not_believed(tmp_path, name):
    """Whoever forges a header can forge its checksum."""
    kept.write(tmp_path, kept.POINTS, 5, {"params": LEAVES[:1]})
    file = tmp_path / "points" / "5"
    item = {"place": ["w"], "dtype": "float32", "shape": [12], "crc": "00000000", **FORGED[name]}
    document = {"schema": 1, "kind": "points", "name": "5", "facts": {}, "trees": {"params": [item]}}
    header = checksums.sealed(checksums.placed(document))
    data = (b"gdlab tree %010d\n" % len(header)) + header
    file.write_bytes(data.ljust(-(-len(data) // 64) * 64, b"\0") + bytes(48))
    with pytest.raises(DamagedRun):
        kept.read(tmp_path, kept.POINTS, 5)


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path):
    for name in ("elsewhere", "run"):
        (tmp_path / name).mkdir()
    kept.write(tmp_path / "elsewhere", kept.POINTS, 5, {"params": LEAVES})
    (tmp_path / "run" / "points").symlink_to(tmp_path / "elsewhere" / "points")
    for act in (
        lambda: kept.read(tmp_path / "run", kept.POINTS, 5),
        lambda: kept.names(tmp_path / "run", kept.POINTS),
        lambda: kept.write(tmp_path / "run", kept.POINTS, 5, {}),
        lambda: kept.remove(tmp_path / "run", kept.POINTS, 5),
    ):
        with pytest.raises(DamagedRun, match="link"):
            act()
    assert kept.names(tmp_path / "elsewhere", kept.POINTS) == [5]


def test_names_that_lead_elsewhere_are_none(tmp_path):
    for kind, name in (
        ("points", "../5"),
        ("..", 5),
        ("points", -1),
        ("examples", "other"),
        ("points", "05"),
    ):
        with pytest.raises(ValueError, match="is nothing that a run keeps"):
            kept.read(tmp_path, kind, name)
    (tmp_path / "points").mkdir()
    for name in ("05", "x", "-1", "5.tmp", "9" * 40):
        (tmp_path / "points" / name).write_bytes(b"")
    assert kept.names(tmp_path, kept.POINTS) == []


def test_what_is_asked_for_is_answered_once(tmp_path):
    assert requests.asked(tmp_path) == 0
    requests.ask(tmp_path, 20)
    assert requests.asked(tmp_path) == 20
    requests.answered(tmp_path)
    assert requests.asked(tmp_path) == 0
    for wrong in (0, 101, True, 2.0):
        with pytest.raises(ValueError, match="allowed: 1 to 100"):
            requests.ask(tmp_path, wrong)
    (tmp_path / requests.FILE).write_text('{"iterations": 1000000}')
    with pytest.raises(DamagedRun):
        requests.asked(tmp_path)


def test_a_file_of_holes_takes_no_memory(tmp_path, monkeypatch):
    """4 KB on the disk that call themselves 32 GB; whoever knows what comes refuses at once."""
    kept.write(tmp_path, kept.POINTS, 5, {"params": LEAVES[:1]})
    file = tmp_path / "points" / "5"
    item = {"place": ["w"], "dtype": "float32", "shape": [1 << 33], "crc": "00000000"}
    document = {"schema": 1, "kind": "points", "name": "5", "facts": {}, "trees": {"params": [item]}}
    header = checksums.sealed(checksums.placed(document))
    data = (b"gdlab tree %010d\n" % len(header)) + header
    file.write_bytes(data.ljust(-(-len(data) // 64) * 64, b"\0"))
    with open(file, "r+b") as stream:
        stream.truncate(file.stat().st_size + (1 << 35))
    monkeypatch.setattr(kept.np, "empty", None)
    with pytest.raises(DamagedRun, match="were written"):
        kept.read(tmp_path, kept.POINTS, 5)
    small = [kept.Leaf(("w",), np.zeros(3, np.float32)).array]
    wanted = [type("Leaf", (), {"shape": one.shape, "dtype": one.dtype.name}) for one in small]
    with pytest.raises(DamagedRun, match="not what the functions of the run take"):
        kept.read(tmp_path, kept.POINTS, 5, {"params": wanted})
