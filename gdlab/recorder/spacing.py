"""Which iterations are kept: the same rule for one that is due now and for those that are given up for it.

Nothing is known of a training's length while it runs. So the distance of what is kept evenly is the smallest
power of two with which all there is fits: as the training grows it doubles, and every other one is given up.
Of each stretch of that length the first is kept that the loop handed over, wherever it writes. Stretches of
the double length are made of two, hence what is kept at any time is what would have been kept from the
beginning on if the length had been known.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

DENSE = 8  # iterations at the beginning, each of which is a moment where there is room


def stride(span: int, room: int, least: int = 1) -> int:
    """The distance, a power of two, of what is kept of iterations 0 ... span: at most `room`, at least 2,
    with
    the first and the last one; never below `least`."""
    step = 1
    while step < least or span // step + 2 > room:
        step *= 2
    return step


class Even(NamedTuple):
    """Evenly, the first and the last always. room: how many at most, at least 2; least: distance."""

    room: int
    least: int = 1

    def due(self, number: int, kept: Sequence[int], asked: Iterable[int] = ()) -> bool:
        """Whether iteration `number`, behind all of `kept` (ascending), is to be kept."""
        if not kept:
            return True
        step = stride(number - kept[0], self.room, self.least)
        return (number - kept[0]) // step > (kept[-1] - kept[0]) // step

    def after(self, number: int, first: int) -> int:
        """The next iteration behind `number` that may be due, with the first one kept being `first`."""
        step = stride(max(number - first, 0), self.room, self.least)
        return first + ((number - first) // step + 1) * step

    def given_up(self, kept: Sequence[int], asked: Iterable[int] = ()) -> set[int]:
        """Those of `kept` that are not to be kept any longer, with the last of them being there."""
        return set(kept) - set(firsts(kept, stride(kept[-1] - kept[0], self.room, self.least))) - {kept[-1]}


class Moments(NamedTuple):
    """Evenly, and more densely at the beginning: half the room is for the first DENSE iterations and for
    those from there on whose number is 2^j or 3 2^j; where these do not fit, every 2^j-th of them.

    room: how many at most, at least 2, of which a quarter is for those that a reader asks for; chosen:
    exactly these instead, as far as there is room, None: by that rule.
    """

    room: int
    chosen: tuple[int, ...] | None = None

    def due(self, number: int, kept: Sequence[int], asked: Iterable[int] = ()) -> bool:
        """Whether iteration `number`, behind all of `kept` (ascending), is a moment."""
        if self.chosen is not None:
            return number in self.chosen and len(kept) < self.room
        if not kept:
            return True
        first = kept[0]
        if number - first in self._early(number - first):
            return True
        step = stride(number - first, self._evenly(number - first))
        return number - first >= step * ((self._others(kept, asked)[-1] - first) // step + 1)

    def after(self, number: int, first: int) -> int:
        """The next iteration behind `number` that may be due, with the first one kept being `first`."""
        if self.chosen is not None:
            return min((one for one in self.chosen if one > number), default=1 << 62)
        span = max(number - first, 0)
        step = stride(span, self._evenly(span))
        even = (number - first) // step + 1
        early = span + 1 if span < DENSE else min(n for n in beginning(4 * span, 1 << 30) if n > span)
        return first + min(even * step, early)

    def given_up(self, kept: Sequence[int], asked: Iterable[int] = ()) -> set[int]:
        """Those of `kept` (ascending) that are not to be kept any longer, with the last of them being there;
        asked: those that a reader asked for, of which the latest stay."""
        if self.chosen is not None:
            return set()
        first, span = kept[0], kept[-1] - kept[0]
        early = self._early(span)
        wanted = set(firsts(self._others(kept, asked), stride(span, self._evenly(span)), first))
        wanted |= {number for number in kept if number - first in early}
        return set(kept) - wanted - self._staying(kept, asked) - {kept[-1]}

    def _early(self, span):
        return beginning(span, self.room // 2) if self.room >= 8 else frozenset()

    def _evenly(self, span):
        """The room that is left for those that are kept evenly."""
        early = len(beginning(span, 1 << 30)) if self.room >= 8 else 0
        return self.room - min(early, self.room // 2) - self.room // 4

    def _staying(self, kept, asked):
        room = self.room // 4
        return set(sorted(set(asked) & set(kept))[-room:]) if room else set()

    def _others(self, kept, asked):
        staying = self._staying(kept, asked)
        return [number for number in kept if number not in staying or number == kept[0]]


def firsts(numbers: Sequence[int], step: int, origin: int | None = None) -> list[int]:
    """Of ascending numbers the first of each stretch of `step`, counted from `origin` (None: the first)."""
    found, before = [], -1
    start = origin if origin is not None else numbers[0] if numbers else 0
    for number in numbers:
        stretch = (number - start) // step
        if stretch > before:
            found.append(number)
            before = stretch
    return found


def beginning(span: int, room: int) -> frozenset[int]:
    """The moments of the dense beginning up to `span`, at most `room` of them."""
    numbers = [*range(min(DENSE, span + 1))]
    power = DENSE
    while power <= span:
        numbers += [power] if power * 3 // 2 > span else [power, power * 3 // 2]
        power *= 2
    step = 1
    while -(-len(numbers) // step) > max(room, 1):
        step *= 2
    return frozenset(numbers[::step])
