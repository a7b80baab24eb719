"""Checkpoints that are damaged or hostile: passed over, never trained from, never followed or waited for."""

import os
import shutil
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import experiment, store
from gdlab.execution.checkpoints import Checkpoints
from gdlab.training.loop import TrainState
from tests.composing import composed
from tests.recording import assert_same_record, rosenbrock
from tests.store.test_checksums import flip


def state(step):
    params = {"w": jnp.arange(6.0).reshape(2, 3) + step}
    return TrainState(params, {"key": jax.random.key(step)}, jnp.int32(step), jnp.int32(0))


@pytest.fixture(params=[False, True], ids=["orbax", "npz"])
def kept(tmp_path, request):
    checkpoints = Checkpoints(tmp_path, plain=request.param)
    for step in (0, 4, 8):
        checkpoints.save(state(step), {"scalars": step})
    return checkpoints


def every_file(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_is_restored(kept):
    found = kept.latest(state(0))
    assert (found.step, found.cursors, found.damaged) == (8, {"scalars": 8}, [])
    np.testing.assert_array_equal(found.state.params["w"], state(8).params["w"])
    assert kept.latest(state(0), 7).step == 4 and kept.latest(state(0), 3).step == 0
    assert kept.steps() == [0, 4, 8]
    kept.save(state(8), {"scalars": 99})
    assert kept.latest(state(0)).cursors == {"scalars": 8}, "kept already"


DAMAGE = {
    "truncated": lambda file, other: os.truncate(file, file.stat().st_size // 2),
    "emptied": lambda file, other: os.truncate(file, 0),
    "one bit": lambda file, other: flip(file, file.stat().st_size // 2),
    "removed": lambda file, other: file.unlink(),
    "folder": lambda file, other: (file.unlink(), file.mkdir()),
    "pipe": lambda file, other: (file.unlink(), os.mkfifo(file)),
    "dangling link": lambda file, other: (file.unlink(), file.symlink_to("nowhere")),
    "link elsewhere": lambda file, other: (shutil.copy(file, other), file.unlink(), file.symlink_to(other)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_one_is_passed_over(kept, damage, tmp_path):
    for file in every_file(kept.folder / "8"):
        if file.stat().st_size == 0 or (damage is DAMAGE["removed"] and file.name == "checksums.json"):
            continue  # nothing to damage; without its list a checkpoint is one of before
        shutil.copytree(kept.folder / "8", tmp_path / "copy")
        damage(file, tmp_path / "other")
        found = kept.latest(state(0))
        assert found.step == 4, file
        ((step, error),) = found.damaged
        assert step == 8 and str(kept.folder / "8") in error.where
        shutil.rmtree(kept.folder / "8")
        (tmp_path / "copy").rename(kept.folder / "8")


@pytest.mark.parametrize("old", [False, True], ids=["with checksums", "of before"])
def test_a_folder_that_is_no_checkpoint(kept, tmp_path, old):
    if old:
        (kept.folder / "8" / "checksums.json").unlink()
        assert kept.latest(state(0)).step == 8, "checkpoints of before have no checksums"
    file = (
        kept.folder
        / "8"
        / ("state.npz" if (kept.folder / "8" / "state.npz").exists() else "_CHECKPOINT_METADATA")
    )
    file.unlink()
    os.mkfifo(file)
    assert kept.latest(state(0)).step == 4
    shutil.rmtree(kept.folder / "8")
    (kept.folder / "8").symlink_to(kept.folder / "4")
    assert kept.latest(state(0)).step == 4
    kept.remove([8])
    assert kept.steps() == [0, 4] and (kept.folder / "4").is_dir()
    kept.save(state(8), {"scalars": 8})
    assert kept.latest(state(0)).step == 8


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "other")
    checkpoints = Checkpoints(tmp_path / "run")
    for act in (lambda: checkpoints.save(state(0), {}), checkpoints.check_place):
        with pytest.raises(store.DamagedRun, match="a link leads out of the run folder"):
            act()
    assert checkpoints.steps() == [] and not os.listdir(tmp_path / "other")


def test_a_packed_archive_is_not_unpacked(tmp_path):
    """300 kB that hold 300 MB."""
    checkpoints = Checkpoints(tmp_path, plain=True)
    checkpoints.save(state(0), {"scalars": 0})
    file = tmp_path / "checkpoints" / "0" / "state.npz"
    (file.parent / "checksums.json").unlink()
    names = zipfile.ZipFile(file).namelist()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, bytes(300 << 20 if name == names[0] else 10))
    ((_, error),) = checkpoints.latest(state(0)).damaged
    assert "is packed" in str(error)


def test_what_a_killed_writer_left_is_removed(tmp_path):
    for name in ("4.part", "4.part.orbax-checkpoint-tmp", "3.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.steps() == []
    checkpoints.save(state(4), {})
    assert os.listdir(tmp_path / "checkpoints") == ["4"]


def test_a_training_goes_on_from_the_one_before_and_says_so(tmp_path, capsys):
    """From the last whole state, to the same bits; the damaged state is kept anew."""
    whole = rosenbrock(tmp_path / "whole", checkpoint_seconds=1e-6)
    config = composed("experiment=rosenbrock")
    config["record"]["checkpoint_seconds"] = 1e-6
    shutil.copytree(whole.path, tmp_path / "run")
    with store.RunWriter.resume(tmp_path / "run", config=config):
        pass
    steps = whole.checkpoints
    flip(next((tmp_path / "run" / "checkpoints" / str(steps[-1]) / "state" / "d").iterdir()), 100)
    experiment.run(config, tmp_path / "run")
    said = capsys.readouterr().err
    assert f"checkpoint {steps[-1]}: it cannot be used" in said
    assert f"cuts {steps[-1] - steps[-2]} of {steps[-1]} recorded iterations" in said
    assert_same_record(tmp_path / "whole", tmp_path / "run")
    assert Checkpoints(tmp_path / "run").steps()[-1] == steps[-1]
    assert not (tmp_path / "run" / "checkpoints" / str(steps[-1])).is_symlink()
    assert store.open_run(tmp_path / "run").verify() == []


def test_nothing_is_cut_where_no_state_is_whole(tmp_path, capsys):
    """Neither behind a link nor where all states are damaged; without any, the training begins anew."""
    config = composed("experiment=rosenbrock", "train.steps=10")
    run = experiment.run(config, tmp_path / "run", progress=False)
    with store.RunWriter.resume(run.path, config=config):
        pass
    shutil.copytree(run.path / "checkpoints", tmp_path / "kept")
    for step in run.checkpoints:
        (run.path / "checkpoints" / str(step) / "_CHECKPOINT_METADATA").unlink()
    with pytest.raises(store.DamagedRun, match="no state is whole"):
        experiment.run(config, run.path, progress=False)
    shutil.rmtree(run.path / "checkpoints")
    (run.path / "checkpoints").symlink_to(tmp_path / "kept")
    with pytest.raises(store.DamagedRun, match="a link leads out"):
        experiment.run(config, run.path, progress=False)
    assert store.open_run(run.path).rows("scalars") == 10
    (run.path / "checkpoints").unlink()
    capsys.readouterr()
    assert experiment.run(config, run.path).state == "finished"
    assert "cuts 10 of 10 recorded iterations" in capsys.readouterr().err
    assert_same_record(run.path, experiment.run(config, tmp_path / "other", progress=False).path)


def test_a_whole_state_of_another_program_is_not_passed_over(kept):
    """Another version of a library, say: nothing must be cut for that."""
    like = state(0)._replace(params={"w": jnp.zeros((2, 3)), "b": jnp.zeros(1)})
    with pytest.raises(store.StoreError, match="is whole, but no state of this training") as caught:
        kept.latest(like)
    assert not isinstance(caught.value, store.DamagedRun)
