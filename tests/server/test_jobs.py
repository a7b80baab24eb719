"""Several server processes before one worker: both ends of the way, in one process."""

import multiprocessing
import os
import socket

import numpy as np
import pytest
from test_worker import TARGET, TIMEOUT, ask, lines

from server.core.worker import Worker
from server.processes.jobs import Relay, RemoteWorker


class Offices:
    """A worker, and so many server processes' ways to it."""

    def __init__(self):
        self.worker = Worker(TARGET, grace=0.3, read=lambda table: table)
        self.links = []

    def open(self):
        """The worker as one more server process sees it."""
        here, there = multiprocessing.Pipe()
        self.links.append(there)
        Relay(here, self.worker, len(self.links))
        return RemoteWorker(there)

    @property
    def waiting(self):
        """How many tasks wait."""
        with self.worker._lock:
            return len(list(self.worker._turns))


@pytest.fixture
def offices():
    offices = Offices()
    yield offices
    offices.worker.stop()


def held(worker, log, release):
    """A job that has begun and goes on until the file is there."""
    job, listener = ask(worker, log, "hold", release=str(release))
    assert listener.progress.get(timeout=TIMEOUT) == (0.5, "holding")
    return job, listener


def test_results_errors_and_progress_arrive(offices, tmp_path):
    remote, release = offices.open(), tmp_path / "release"
    _, holding = held(remote, tmp_path / "log", release)
    release.touch()
    assert isinstance(holding.end()[1].columns["y"], np.ndarray)
    assert ask(remote, tmp_path / "log", "double", x=4)[1].end()[1].columns["y"].tolist() == [8]
    assert ask(remote, tmp_path, "refuse")[1].end() == ("error", "sigma=2 must lie in (rho, 1)")
    assert "exit code 7" in ask(remote, tmp_path, "crash")[1].end()[1]


def test_readers_of_all_processes_take_turns(offices, tmp_path):
    one, other = offices.open(), offices.open()
    log, release = tmp_path / "log", tmp_path / "release"
    _, holding = held(one, log, release)
    many = [ask(one, log, "double", reader=0, x=x)[1] for x in range(50)]
    single = ask(other, log, "double", reader=0, x=1000)[1]  # the same number, of another process
    other.warm()
    while offices.waiting < 51:
        assert not holding.ended
    release.touch()
    assert single.end()[1].columns["y"][0] == 2000
    assert all(listener.end()[0] == "done" for listener in many)
    assert lines(log).index("double 1000") <= 2


def test_the_same_question_of_two_processes_is_computed_once(offices, tmp_path):
    log, release = tmp_path / "log", tmp_path / "release"
    first, one = held(offices.open(), log, release)
    _, two = held(offices.open(), log, release)
    first.cancel()
    release.touch()
    assert two.end()[0] == "done" and not one.ended
    assert lines(log) == ["hold"]


def test_a_cancelled_job_stops_and_says_nothing_more(offices, tmp_path):
    remote, log = offices.open(), tmp_path / "log"
    job, listener = held(remote, log, tmp_path / "never")
    job.cancel()
    assert ask(remote, log, "double", x=1)[1].end()[0] == "done"
    assert lines(log) == ["hold", "hold stopped", "double 1"]
    assert not listener.ended


def test_a_process_that_has_gone_leaves_no_job(offices, tmp_path):
    gone, log = offices.open(), tmp_path / "log"
    held(gone, log, tmp_path / "never")
    with socket.socket(fileno=os.dup(offices.links[0].fileno())) as link:
        link.shutdown(socket.SHUT_RDWR)  # as the end of its process does
    assert ask(offices.open(), log, "double", x=1)[1].end()[0] == "done"
    assert lines(log) == ["hold", "hold stopped", "double 1"]


def test_a_process_that_does_not_read_holds_up_no_other(offices, tmp_path):
    here, there = multiprocessing.Pipe()
    Relay(here, offices.worker, "mute")
    for number in range(3):
        there.send(("ask", number, str(tmp_path / "log"), "large", {"n": 4_000_000 + number}, 0))
    assert ask(offices.open(), tmp_path / "log", "double", x=1)[1].end()[0] == "done"
    there.close()
