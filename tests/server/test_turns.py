"""Readers take turns: nobody's many jobs hold up another's one."""

from hypothesis import given
from hypothesis import strategies as st

from server.core.turns import Turns


def taken(turns):
    """Every waiting task, one after the other."""
    order = []
    while (task := turns.take()) is not None:
        order.append(task)
        turns.done(task)
    return order


def test_one_reader_gets_the_newest_first():
    turns = Turns()
    for task in "abcb":
        turns.put(1, task)
    assert list(turns) == ["a", "c", "b"]
    assert taken(turns) == ["b", "c", "a"]
    assert list(turns) == []


def test_readers_take_turns():
    turns = Turns()
    for task in ("a1", "a2", "a3"):
        turns.put("a", task)
    for task in ("b1", "b2"):
        turns.put("b", task)
    turns.put("c", "c1")
    assert taken(turns) == ["a3", "b2", "c1", "a2", "b1", "a1"]


def test_who_comes_while_another_is_served_is_next():
    turns = Turns()
    for number in range(50):
        turns.put("greedy", number)
    assert turns.take() == 49
    turns.put("one", "mine")
    turns.put("greedy", "newer")
    turns.done(49)
    assert taken(turns)[:3] == ["mine", "newer", 48]


def test_several_at_once_are_of_several_readers_where_they_can_be():
    turns = Turns()
    for task in ("a1", "a2", "a3"):
        turns.put("a", task)
    turns.put("b", "b1")
    assert [turns.take() for _ in range(4)] == ["a3", "b1", "a2", "a1"]
    assert turns.take() is None


def test_a_task_that_several_want_is_taken_once():
    turns = Turns()
    turns.put("a", "old")
    for reader in "ab":
        turns.put(reader, "same")
    turns.put("c", "c1")
    turns.drop("same", "a")
    assert taken(turns) == ["old", "same", "c1"]


def test_what_is_asked_instead_keeps_the_place():
    turns = Turns()
    turns.put("x", "running")
    turns.take()
    turns.put("a", "first")
    turns.put("b", "b1")
    turns.drop("first", "a")
    turns.put("a", "instead")
    turns.done("running")
    assert taken(turns) == ["instead", "b1"]


ACTS = st.lists(
    st.tuples(st.sampled_from(["put", "take", "done", "drop"]), st.integers(0, 3), st.integers(0, 9)),
    max_size=60,
)


@given(ACTS)
def test_nobody_who_waits_is_passed_over_twice_by_the_same(acts):
    """Against a plain account of who waits and how often each was served since then."""
    turns, waiting, running, passed = Turns(), {}, [], {}
    for kind, reader, number in acts:
        task = (reader, number)
        if kind == "put" and task not in running:
            turns.put(reader, task)
            waiting.setdefault(reader, set()).add(task)
            passed.setdefault(reader, {})
        elif kind == "drop":
            turns.drop(task, reader)
            waiting.get(reader, set()).discard(task)
        elif kind == "done" and running:
            turns.done(running.pop(0))
        elif kind == "take" and not running:
            found = turns.take()
            assert (found is None) == (not any(waiting.values()))
            if found is None:
                continue
            running.append(found)
            waiting[found[0]].remove(found)
            passed[found[0]] = {}
            for other, tasks in waiting.items():
                if tasks and other != found[0]:
                    passed[other][found[0]] = passed[other].get(found[0], 0) + 1
                    assert passed[other][found[0]] == 1
                elif not tasks:
                    passed[other] = {}
        assert set(turns) == {task for tasks in waiting.values() for task in tasks}
