"""A card's question: the newest counts in whatever order answers come, and what went wrong is said."""

import itertools
from types import SimpleNamespace

import pytest
from bokeh.document import Document

from server.core.address import UrlState
from server.core.context import Context
from server.ui.query import Query


class Worker:
    """Keeps what it was asked for; answers when it is told to, even what has been cancelled."""

    def __init__(self):
        self.asked = []

    def submit(self, path, probe, options, **on):
        job = SimpleNamespace(path=path, probe=probe, options=options, cancelled=False, **on)
        job.cancel = lambda: setattr(job, "cancelled", True)
        self.asked.append(job)
        return job


@pytest.fixture
def context(tmp_path):
    return Context(
        root=tmp_path, doc=Document(), cache=None, state=UrlState({}), worker=Worker(), mail=None,
        download=None, open_runs=None,
    )  # fmt: skip


RUN = SimpleNamespace(path="run", key="a")


class Card:
    """What a card would show of a Query."""

    def __init__(self, context, name="card"):
        self.shown, self.failures, self.cancelled = [], [], 0
        self.query = Query(
            context, self.shown.append, name=name, failed=self.failures.append, cancelled=self._cancelled
        )

    def _cancelled(self):
        self.cancelled += 1

    def ask(self, k, run=RUN):
        return self.query.probe(run, "codes", {"iteration": k})


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("end", ["on_done", "on_error"])
def test_the_newest_question_counts_in_every_order_of_answers(context, order, end):
    card = Card(context)
    for k in (5, 6, 7):
        assert card.ask(k)
    jobs = context.worker.asked
    assert [job.cancelled for job in jobs] == [True, True, False]
    for i in order:
        jobs[i].on_progress(0.5, f"codes of {jobs[i].options['iteration']}")
        getattr(jobs[i], end if i < 2 else "on_done")(f"answer {jobs[i].options['iteration']}")
    assert card.shown == ["answer 7"] and card.failures == []
    assert not (card.query.waiting or card.query.stale or card.query.progress.root.visible)


def test_progress_is_that_of_the_question_that_waits(context):
    card = Card(context)
    card.ask(1)
    card.ask(2)
    old, new = context.worker.asked
    new.on_progress(0.25, "replaying")
    old.on_progress(0.75, "other words")
    words = card.query.progress.root.children[0].text
    assert words == "Replaying 25 %" and card.query.progress.root.visible


def test_the_same_question_is_asked_once_until_it_failed_or_its_run_is_another(context):
    card = Card(context)
    assert card.ask(1) and not card.ask(1)
    context.worker.asked[0].on_done("one")
    assert not card.ask(1)
    assert card.ask(1, SimpleNamespace(path="run", key="b"))
    context.worker.asked[1].on_error("no memory")
    assert card.failures == ["no memory"] and card.query.failure == "no memory"
    assert card.query.answer is None
    assert card.query.progress.root.children[0].text == "No memory"
    assert card.ask(1, SimpleNamespace(path="run", key="b"))
    assert len(context.worker.asked) == 3


def test_what_is_shown_is_known_to_be_old_while_another_question_waits_or_was_cancelled(context):
    card = Card(context)
    card.ask(1)
    context.worker.asked[0].on_done("one")
    card.ask(2)
    assert card.query.stale and card.query.waiting
    card.query.cancel()
    assert card.cancelled == 1 and card.query.stale and card.query.answer == "one"
    context.worker.asked[1].on_done("two")
    assert card.shown == ["one"]
    assert card.ask(2)  # again
    context.worker.asked[2].on_done("two")
    assert card.shown == ["one", "two"] and not card.query.stale


def test_an_answer_that_cannot_be_shown_is_said_instead_of_standing_half(context, caplog):
    def show(answer):
        raise KeyError("codes")

    said = []
    query = Query(context, show, name="card", failed=said.append)
    query.probe(RUN, "codes", {})
    context.worker.asked[0].on_done("anything")
    assert "KeyError" in said[0] and "codes" in caplog.text
    assert "KeyError" in query.progress.root.children[0].text and not query.waiting


def test_an_answer_that_comes_at_once_is_taken(context):
    shown = []
    query = Query(context, shown.append)
    assert query.ask("key", lambda on_progress, on_done, on_error: on_done(3))
    assert shown == [3] and not query.waiting and query.answered == "key"


def test_forgetting_drops_question_and_answer(context):
    card = Card(context)
    card.ask(1)
    context.worker.asked[0].on_done("one")
    card.query.forget()
    assert card.query.answer is None and card.ask(1)
    card.query.forget()
    context.worker.asked[1].on_done("late")
    assert card.shown == ["one"]
