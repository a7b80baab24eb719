"""Which iterations are kept, against the rule said in other words: as if the length had been known."""

import itertools

import pytest

from gdlab.recorder.spacing import Even, Moments, beginning

LENGTH = 1200


def run(rule, numbers):
    """What is kept after each of the numbers, by asking as the Keeper does: [(number, kept)]."""
    kept, check, seen = [], 0, []
    for number in numbers:
        if number >= check:
            if rule.due(number, kept):
                gone = rule.given_up([*kept, number])
                assert number not in gone
                kept = [one for one in [*kept, number] if one not in gone]
            check = rule.after(number, kept[0])
        else:
            assert not rule.due(number, kept), (rule, number)
        seen.append((number, list(kept)))
    return seen


def naive(numbers, room, least=1):
    """The first of each stretch of 2^j numbers, with the smallest j with which all of it and the end fit."""
    first, last = numbers[0], numbers[-1]
    for power in itertools.count():
        step = 2**power
        stretches = (last - first) // step + 1
        if step >= least and stretches + 1 <= room:
            break
    found = {}
    for number in numbers:
        found.setdefault((number - first) // step, number)
    return set(found.values())


@pytest.mark.parametrize("begin", [0, 1, 1000])
@pytest.mark.parametrize("every", [1, 3, 10])
@pytest.mark.parametrize("room", [2, 3, 5, 16, 40])
@pytest.mark.parametrize("least", [1, 16])
def test_what_is_kept_evenly(begin, every, room, least):
    numbers = list(range(begin, begin + LENGTH, every))
    for number, kept in run(Even(room, least), numbers)[:: 1 if room < 16 else 7]:
        assert len(kept) < max(room, 3)
        up_to = numbers[: numbers.index(kept[-1]) + 1]
        assert naive(up_to, room, least) <= set(kept) <= naive(up_to, room, least) | {kept[-1]}, number
        assert kept[0] == begin


@pytest.mark.parametrize("room", [2, 5, 8, 16, 64])
def test_moments_are_denser_at_the_beginning_and_never_too_many(room):
    for number, kept in run(Moments(room), range(LENGTH)):
        assert len(kept) <= room
        assert kept[0] == 0
        if room >= 32 and number >= 7:
            assert set(range(8)) <= set(kept) or number > 100
    gaps = [b - a for a, b in itertools.pairwise(kept)]
    if room >= 16:
        assert len(kept) > room / 4
        assert max(gaps) >= 2 * min(gaps)
    assert max(gaps, default=0) <= 2 * LENGTH


def test_chosen_moments_are_those():
    kept = run(Moments(3, (0, 5, 6, 900)), range(LENGTH))[-1][1]
    assert kept == [0, 5, 6]


def test_what_a_reader_asks_for_stays_as_long_as_there_is_room():
    rule, kept, asked = Moments(16), [], set(range(100, 104))
    for number in range(LENGTH):
        if rule.due(number, kept, asked) or number in asked:
            gone = rule.given_up([*kept, number], asked)
            kept = [one for one in [*kept, number] if one not in gone]
            assert len(kept) <= 16
    assert asked <= set(kept)


def test_the_beginning():
    assert sorted(beginning(100, 99)) == [*range(8), 8, 12, 16, 24, 32, 48, 64, 96]
    assert len(beginning(10**9, 8)) <= 8
