"""Training on a part of each class, after an earlier run: from the command's options to a replay."""

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis.class_shares import from_run
from gdlab.analysis.dumps import open_dumps
from gdlab.data.sampling import Schedule
from gdlab.execution.replay import Replay
from gdlab.plan.assembly import assemble
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import plan_of
from gdlab.plan.sources import as_recorded
from tests.composing import composed
from tests.recording import record


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier") / "digits"
    record(folder, "experiment=digits_adam", "train.steps=20", "train.validation=0.2", dumps=5)
    return folder


def options(earlier):
    return ["class_shares=from_run", f"class_shares.path={earlier}", "class_shares.floor=0.1"]


def test_an_epoch_shows_the_shares_of_the_earlier_run(earlier):
    assembly = assemble(plan_of(composed("experiment=digits_adam", *options(earlier))))
    _, shares = from_run(path=earlier, floor=0.1)
    labels = assembly.dataset.train["y"]
    length = assembly.schedule.descent_length
    index = assembly.schedule.rows(0, assembly.schedule.batches * length)[0][::length]
    seen = np.bincount(labels[index.ravel()], minlength=10)
    wanted = np.bincount(labels) * shares
    assert (seen <= np.rint(wanted)).all()
    assert np.rint(wanted).sum() - seen.sum() < assembly.schedule.batch_size
    assert shares.min() < 0.5 < shares.max()


def test_the_earlier_run_has_not_looked_at_the_test_set(earlier):
    """Its dumps are of training examples that it held out, of every class the same share."""
    whole = assemble(plan_of(composed("experiment=digits_adam"))).dataset
    split = Replay(earlier).assembly.dataset
    found = open_dumps(store.open_run(earlier))
    assert len(split.test["y"]) + len(split.train["y"]) == len(whole.train["y"])
    of_each = np.bincount(split.test["y"]) / np.bincount(whole.train["y"])
    np.testing.assert_allclose(of_each, 0.2, atol=0.01)
    rows = {image.tobytes() for image in whole.train["x"]}
    assert {image.tobytes() for image in split.test["x"][found.images]} <= rows
    everything = np.concatenate([split.train["y"], split.test["y"]])
    np.testing.assert_array_equal(np.sort(everything), np.sort(whole.train["y"]))
    for share, words in ((1.0, "train.validation=1.0: allowed"), (1e-6, "0 would be held out")):
        with pytest.raises(ConfigError, match=words):
            assemble(plan_of(composed("experiment=digits_adam", f"train.validation={share}")))


def test_every_part_of_an_epoch_shows_the_classes_alike():
    labels = np.repeat(np.arange(4), 1000)
    shares = np.array([0.25, 0.5, 1.0, 1.0])
    schedule = Schedule(4000, labels=labels, batch_size=25, seed=3, shares=shares)
    index = schedule.rows(0, schedule.batches)[0]
    for part in np.array_split(index, 5):
        seen = np.bincount(labels[part.ravel()], minlength=4) / part.size
        assert np.abs(seen - shares / shares.sum()).max() < 0.07


def test_such_a_run_replays_bit_for_bit(earlier, tmp_path):
    run = record(tmp_path / "hard", "experiment=digits_adam", "train.steps=12", *options(earlier))
    replay = Replay(run.path, as_recorded(run.config))
    assert len(list(replay.steps(0, 12))) == 12
    assert replay.report()[:2] == (12, 0)


def test_other_classes_are_refused(earlier):
    with pytest.raises(ConfigError, match="both must be of the same data"):
        assemble(plan_of(composed("experiment=galaxy_minibatch", *options(earlier))))
    with pytest.raises(ConfigError, match="there are no classes"):
        assemble(plan_of(composed("experiment=rosenbrock", *options(earlier))))
    with pytest.raises((ConfigError, ValueError), match=r"class_shares\.path=None"):
        assemble(plan_of(composed("experiment=digits_adam", "class_shares=from_run")))
