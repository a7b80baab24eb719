"""A job of the worker that asks for too much ends with a message, and the next one is served."""

import logging
import queue
import shutil
import sys

import pytest

from gdlab import experiment
from gdlab.plan.sources import Places
from server.core import arguments
from server.core.limits import UNLIMITED, Limits, default_memory, machine_memory
from server.core.worker import Worker
from tests.composing import composed
from tests.forging import forge

FAKE = "fake_probes:run_probe"
LIMITS = {
    "time": (Limits(seconds=0.5), "minutes that a job may take (--job-minutes)"),
    "silence": (Limits(silence=0.5), "It did not get on"),
    "standstill": (Limits(standstill=0.5), "It stood still"),
}


def ask(worker, path, probe, options):
    """What the worker answers: a Table or a message."""
    ends = queue.Queue()
    worker.submit(path, probe, options, on_progress=lambda *a: None, on_done=ends.put, on_error=ends.put)
    return ends.get(timeout=240)


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_a_job_over_its_limit_is_ended_and_the_next_one_served(limits, tmp_path, caplog):
    log = tmp_path / "log"
    worker = Worker(FAKE, limits=limits[0])
    try:
        with caplog.at_level(logging.CRITICAL):
            assert limits[1] in ask(worker, log, "stuck", {})
        worker._processes[0].watch.limits = UNLIMITED
        assert ask(worker, log, "double", {"x": 4}).columns["y"].tolist() == [8]
    finally:
        worker.stop()


def larger(run, folder, change):
    """The run again in `folder`, its config altered."""
    shutil.copytree(run.path, folder)
    return forge(folder, change)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_what_does_not_fit_into_the_memory_ends_in_a_message(tmp_path):
    run = experiment.run(composed("experiment=digits_sgd", "train.steps=3"), tmp_path / "run", progress=False)
    features = larger(
        run, tmp_path / "features", lambda c: c["model"].update(features=[1_000_000, 1_000, 10])
    )
    galaxy = {"_target_": "gdlab.data.galaxy", "n_per_class": 10**9}
    examples = larger(run, tmp_path / "examples", lambda c: c.update(dataset=galaxy))
    worker = Worker(given={"places": Places((), (str(tmp_path),))}, limits=Limits(memory=2**30))
    asked = ("segments", {"start": 0, "stop": 2})
    try:
        said = ask(worker, features, *asked)
        assert "model: 1,065,011,010 parameters need at least 11.9 GiB" in said and "1 GiB" in said
        assert "1 GiB that a job may use (--memory)" in ask(worker, examples, *asked)
        assert len(ask(worker, run.path, *asked).columns["iteration"]) > 0
    finally:
        worker.stop()


def test_the_server_is_told_its_limits(tmp_path):
    assert 0 < default_memory() < machine_memory()
    told = arguments.parse([str(tmp_path), "--memory=1.5", "--job-minutes", "0.5"])
    assert told.limits.memory == 1.5 * 2**30 and told.limits.seconds == 30
    assert arguments.parse(told.arguments()) == told
    assert arguments.parse([]).limits.memory == default_memory()
    several = arguments.parse(["--workers", "3"])
    assert (several.workers, several.limits.memory) == (3, default_memory() // 3)
    assert arguments.parse(several.arguments()) == several
    for wrong in ("0", "x", "1.5", "65", "9" * 5000):
        with pytest.raises(ValueError, match="--workers"):
            arguments.parse(["--workers", wrong])
    for wrong in ("--memory=0", "--memory=much", "--job-minutes=-1", "--job-minutes=inf", "--memory=nan"):
        with pytest.raises(ValueError, match="must be a number > 0"):
            arguments.parse([wrong])
