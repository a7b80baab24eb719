"""A short form of `tests.damage_matrix`: every kind of file and every kind of damage once, of a plain run."""

import random

import pytest

from tests import damage_matrix

# Kinds of files, by a part of their path; of each, one file is damaged.
KINDS = (
    "run.json", "config.yaml", "log.zarr/zarr.json", "log.zarr/scalars/c.", "log.zarr/path/c.",
    "log.zarr/envelope", "checkpoints/20/state", "derived/",
)  # fmt: skip


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return damage_matrix.plain(tmp_path_factory.mktemp("matrix"))


@pytest.mark.parametrize(("kind", "damage"), list(zip(KINDS, damage_matrix.DAMAGE, strict=True)))
def test_no_wrong_numbers_no_hangs_no_raw_errors(subject, tmp_path, kind, damage):
    files = [
        file
        for file in subject.files
        if kind in str(file) and (file.name != "zarr.json" or "zarr.json" in kind)
    ]
    file = random.Random(kind).choice(files)
    found = damage_matrix.case(subject, file, damage, tmp_path)
    assert set(found.values()) <= {"right", "said"}, (file, found)


def test_undamaged_everything_is_right(subject, tmp_path):
    """The matrix sees what is whole as whole."""
    damage_matrix.DAMAGE["none"] = lambda file, other: None
    try:
        found = damage_matrix.case(subject, subject.files[0], "none", tmp_path)
    finally:
        del damage_matrix.DAMAGE["none"]
    assert set(found.values()) == {"right"}
