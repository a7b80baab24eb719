"""What a member of a group records besides its descent is what a run alone records: dumps, states, pages."""

import errno
import os
import signal

import numpy as np
import pytest

from gdlab import experiment, store
from gdlab.analysis.dumps import open_dumps
from gdlab.ensemble import train
from gdlab.ensemble.grouping import compatible
from gdlab.execution import session
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from gdlab.plan.options import plan_of
from tests.composing import composed
from tests.recording import assert_same_record, recorded

SMALL = ("model.features=[8,10]", "record.validate_examples=100", "record.dump_examples=100")
DUMPED = (
    "experiment=digits_sgd",
    "train.steps=8",
    "record=dumps",
    "record.dumps=3",
    "precision=float64",
    *SMALL,
)
SEARCHED = ("experiment=digits_cg", "train.steps=10", "train.batches=4", "train.descent_length=3")
SEARCHED += ("precision=float64", "record.dumps=4", *SMALL)
RATES = (0.5, 0.05)


def dumped():
    """Runs that differ in their seeds, hence in the examples that they dump, and in their learning rates."""
    return [composed(*DUMPED, f"optimizer.learning_rate={r}", f"seed={seed}") for seed, r in enumerate(RATES)]


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """The folders of the two runs, trained together."""
    root = tmp_path_factory.mktemp("group")
    folders = [root / "a", root / "b"]
    outcomes = train(dumped(), folders, progress=False)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert all(outcome.run.identity["group"]["width"] == 2 for outcome in outcomes)
    return folders


def alone(config, folder):
    return experiment.run(config, folder, progress=False).path


def assert_as_alone(member, single, rtol):
    first, second = recorded(member), recorded(single)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=rtol, atol=1e-12, err_msg=name)


def test_dumps_of_a_member_are_those_of_the_run_alone(group, tmp_path):
    """Up to the order of sums in float64; labels and images are the same ones."""
    for number, config in enumerate(dumped()):
        single = alone(config, tmp_path / str(number))
        assert_as_alone(group[number], single, rtol=1e-6)
        found, there = open_dumps(store.open_run(group[number])), open_dumps(store.open_run(single))
        assert found.iteration.tolist() == [0, 3, 6, 8]
        np.testing.assert_array_equal(found.images, there.images)
        np.testing.assert_array_equal(found.predicted(), there.predicted())
        np.testing.assert_array_equal(found.scalars["learning_rate"], RATES[number])
        assert found.nodes == there.nodes
    images = [open_dumps(store.open_run(folder)).images.tolist() for folder in group]
    assert images[0] != images[1]


def test_dumps_of_a_member_are_to_the_bit_those_of_its_replay(group):
    """A replay fills the program with copies of the member; what is dumped of it is computed alone."""
    run = store.open_run(group[1])
    again = run_probe(group[1], "dumps", {"start": 0, "stop": 8, "every": 3})
    for name in (name for name in run.arrays if name.startswith("dump/")):
        kept, found = np.array(run.array(name)), again.columns[name]
        np.testing.assert_array_equal(found[:3], kept[:3] if len(kept) > 1 else kept, err_msg=name)


def stopping(patch, at):
    """Ctrl-C once so many iterations are done; each chunk runs at most 2."""
    chunk = session.Session._chunk

    def stopped(running, count):
        result = chunk(running, min(count, 2))
        if running.step >= at:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    patch.setattr(session.Session, "_chunk", stopped)


def test_a_stopped_group_goes_on_with_its_dumps(group, tmp_path, monkeypatch):
    folders = [tmp_path / "a", tmp_path / "b"]
    for at in (4, 7):
        with monkeypatch.context() as patch:
            stopping(patch, at)
            outcomes = train(dumped(), folders, progress=False)
        assert [outcome.state for outcome in outcomes] == ["interrupted"] * 2
    train(dumped(), folders, progress=False)
    for whole, cut in zip(group, folders, strict=True):
        assert store.open_run(cut).state == "finished"
        assert_same_record(whole, cut)


def test_a_full_disk_ends_a_group_and_the_same_call_continues(group, tmp_path, monkeypatch):
    folders = [tmp_path / "a", tmp_path / "b"]
    chunk = session.Session._chunk

    def refuse(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:

        def filling(running, count):
            if running.step >= 4:
                patch.setattr(os, "pwrite", refuse)
            return chunk(running, min(count, 2))

        patch.setattr(session.Session, "_chunk", filling)
        outcomes = train(dumped(), folders, progress=False)
    assert [type(outcome.error) for outcome in outcomes] == [store.DiskFull] * 2
    assert all(store.open_run(folder).state != "finished" for folder in folders)
    train(dumped(), folders, progress=False)
    for whole, cut in zip(group, folders, strict=True):
        assert_same_record(whole, cut)


def test_who_ends_early_has_its_last_dump(tmp_path):
    configs = [composed(*DUMPED, f"optimizer.learning_rate={rate}") for rate in (0.5, 1e300)]
    outcomes = train(configs, [tmp_path / "a", tmp_path / "b"], progress=False)
    assert [outcome.state for outcome in outcomes] == ["finished", "diverged"]
    single = alone(configs[1], tmp_path / "single")
    found, there = (open_dumps(store.open_run(path)).iteration.tolist() for path in (tmp_path / "b", single))
    assert found == there and found[-1] == outcomes[1].run.rows("scalars") < 8


def test_searches_on_mini_batches_of_their_own_are_a_group(tmp_path):
    """Each with its own seed, hence its own mini-batches; in float64, where only sums have another order."""
    configs = [composed(*SEARCHED, f"seed={seed}") for seed in (0, 1)]
    found, left = compatible([plan_of(config) for config in configs], range(2))
    assert [runs.varied for runs in found] == [("seed",)] and not left
    folders = [tmp_path / "a", tmp_path / "b"]
    train(configs, folders, progress=False)
    for number, folder in enumerate(folders):
        assert_as_alone(folder, alone(configs[number], tmp_path / f"single{number}"), rtol=1e-6)
        replay = Replay(folder)
        assert len(list(replay.steps(0, 10))) == 10 and replay.report()[:3] == (10, 0, 0.0)
