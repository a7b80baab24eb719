"""The worker against a fake target: order, coalescing, cancelling, crashes, sessions that are gone."""

import queue
import shutil
from pathlib import Path

import make_runs
import pytest
from bokeh.document import Document

from server.core.mailbox import Mailbox
from server.core.runs_cache import which
from server.core.worker import SessionWorker, Worker

TARGET = "fake_probes:run_probe"
TIMEOUT = 30


class Listener:
    """Collects what a job reports; `end()` waits for its end."""

    def __init__(self):
        self.progress, self._ends = queue.Queue(), queue.Queue()

    def keywords(self):
        return {
            "on_progress": lambda *args: self.progress.put(args),
            "on_done": lambda table: self._ends.put(("done", table)),
            "on_error": lambda message: self._ends.put(("error", message)),
        }

    def end(self):
        return self._ends.get(timeout=TIMEOUT)

    @property
    def ended(self):
        return not self._ends.empty()


@pytest.fixture
def worker():
    worker = Worker(TARGET, grace=0.3)
    yield worker
    worker.stop()


def ask(worker, log, probe, reader=None, **options):
    listener = Listener()
    job = worker.submit(log, probe, options, reader=reader, **listener.keywords())
    return job, listener


def lines(log: Path):
    return log.read_text().split("\n")[:-1]


def test_a_result_arrives(worker, tmp_path):
    _, listener = ask(worker, tmp_path / "log", "double", x=4)
    kind, table = listener.end()
    assert kind == "done"
    assert table.columns["y"].tolist() == [8]


def test_newest_first_and_equal_requests_are_one_task(worker, tmp_path):
    log, release = tmp_path / "log", tmp_path / "release"
    _, holding = ask(worker, log, "hold", release=str(release))
    assert holding.progress.get(timeout=TIMEOUT) == (0.5, "holding")
    asked = [ask(worker, log, "double", x=x)[1] for x in (1, 2, 1, 3)]
    release.touch()
    assert [listener.end()[1].columns["y"][0] for listener in asked] == [2, 4, 2, 6]
    assert lines(log) == ["hold", "double 3", "double 1", "double 2"]


def test_a_reader_with_fifty_jobs_delays_another_by_the_one_that_runs(worker, tmp_path):
    log, release = tmp_path / "log", tmp_path / "release"
    _, holding = ask(worker, log, "hold", reader="greedy", release=str(release))
    holding.progress.get(timeout=TIMEOUT)
    many = [ask(worker, log, "double", reader="greedy", x=x)[1] for x in range(50)]
    _, one = ask(worker, log, "double", reader="other", x=1000)
    ask(worker, log, "double", reader="greedy", x=50)
    release.touch()
    assert one.end()[1].columns["y"][0] == 2000
    assert [listener.end()[1].columns["y"][0] for listener in many] == [2 * x for x in range(50)]
    assert lines(log)[:4] == ["hold", "double 1000", "double 50", "double 49"]


def test_what_two_readers_wait_for_outlives_the_one_who_cancels(worker, tmp_path):
    log, release = tmp_path / "log", tmp_path / "release"
    _, holding = ask(worker, log, "hold", release=str(release))
    holding.progress.get(timeout=TIMEOUT)
    twice = [ask(worker, log, "double", reader="a", x=1) for _ in range(2)]
    _, other = ask(worker, log, "double", reader="b", x=1)
    twice[0][0].cancel()
    assert [len(task.jobs) for task in worker._turns] == [2]
    twice[1][0].cancel()
    release.touch()
    assert other.end()[1].columns["y"][0] == 2
    assert not twice[1][1].ended


def test_two_jobs_run_at_once_where_there_are_two_processes(tmp_path):
    log, worker = tmp_path / "log", Worker(TARGET, size=2)
    try:
        release = [tmp_path / "a", tmp_path / "b"]
        held = [ask(worker, log, "hold", release=str(path))[1] for path in release]
        for listener in held:
            listener.progress.get(timeout=TIMEOUT)  # each of them, before either may end
        _, third = ask(worker, log, "double", x=1)
        release[1].touch()
        assert third.end()[0] == "done" and held[1].ended and not held[0].ended
        kind, message = ask(worker, log, "crash")[1].end()
        assert kind == "error" and "exit code 7" in message
        assert not held[0].ended  # another's crash is its own
        release[0].touch()
        assert held[0].end()[0] == "done"
    finally:
        worker.stop()


def test_a_running_task_stops_when_its_last_listener_cancels(worker, tmp_path):
    log = tmp_path / "log"
    first, one = ask(worker, log, "hold", release=str(tmp_path / "never"))
    second, two = ask(worker, log, "hold", release=str(tmp_path / "never"))
    one.progress.get(timeout=TIMEOUT)
    first.cancel()
    two.progress.get(timeout=TIMEOUT)
    while not two.progress.empty():
        two.progress.get()
    two.progress.get(timeout=TIMEOUT)  # it goes on for the second listener
    second.cancel()
    _, after = ask(worker, log, "double", x=1)
    assert after.end()[0] == "done"
    assert lines(log) == ["hold", "hold stopped", "double 1"]
    assert not one.ended and not two.ended


def test_a_cancelled_task_that_waits_never_starts(worker, tmp_path):
    log, release = tmp_path / "log", tmp_path / "release"
    _, holding = ask(worker, log, "hold", release=str(release))
    waiting, _ = ask(worker, log, "double", x=1)
    waiting.cancel()
    release.touch()
    assert holding.end()[0] == "done"
    _, last = ask(worker, log, "double", x=2)
    last.end()
    assert lines(log) == ["hold", "double 2"]


def test_a_child_that_does_not_listen_is_replaced(worker, tmp_path):
    log = tmp_path / "log"
    job, _ = ask(worker, log, "deaf")
    _, first = ask(worker, log, "double", x=0)
    job.cancel()
    assert first.end()[0] == "done"


def test_a_crash_is_reported_and_the_next_job_works(worker, tmp_path):
    log = tmp_path / "log"
    kind, message = ask(worker, log, "crash")[1].end()
    assert kind == "error"
    assert "exit code 7" in message
    assert ask(worker, log, "double", x=5)[1].end()[1].columns["y"][0] == 10


def test_errors_come_in_their_own_words(worker, tmp_path):
    assert ask(worker, tmp_path, "refuse")[1].end() == ("error", "sigma=2 must lie in (rho, 1)")
    kind, message = ask(worker, tmp_path, "bug")[1].end()
    assert kind == "error"
    assert message == "KeyError: 'lost'"


def test_a_stopped_worker_takes_no_more_jobs(tmp_path):
    worker = Worker(TARGET)
    worker.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        ask(worker, tmp_path, "double", x=1)


class Mail:
    """A mailbox whose mail is kept until it is read."""

    def __init__(self):
        self.kept = queue.Queue()

    def post(self, mail):
        self.kept.put(mail)


def test_a_session_hears_in_its_own_loop_and_nothing_after_cancel(worker, tmp_path):
    mail, got = Mail(), []
    session = SessionWorker(worker, mail)
    callbacks = {"on_done": got.append, "on_error": got.append}
    session.submit(tmp_path / "log", "double", {"x": 1}, **callbacks)
    mail.kept.get(timeout=TIMEOUT)()
    assert got[0].columns["y"].tolist() == [2]
    job = session.submit(tmp_path / "log", "double", {"x": 2}, **callbacks)
    late = mail.kept.get(timeout=TIMEOUT)
    job.cancel()
    late()
    assert len(got) == 1


def test_a_session_that_is_gone_harms_nobody(worker, tmp_path):
    mail = Mailbox(Document())
    session = SessionWorker(worker, mail)
    mail.close()
    session.submit(tmp_path / "log", "double", {"x": 1}, on_done=print, on_error=print)
    assert ask(worker, tmp_path / "log", "double", x=3)[1].end()[0] == "done"
    session.close()


def test_a_question_about_another_run_of_the_same_name_is_another_question(tmp_path):
    path = tmp_path / "run"
    assert which(path) is None
    make_runs.make(path)
    before = which(path)
    assert before == which(path) is not None
    shutil.rmtree(path)
    make_runs.make(path)
    assert which(path) != before
