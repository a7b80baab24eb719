"""Which examples an iteration sees, as a pure function of the seed and the iteration.

Becker et al. 2019 (section 3.1) split the training set at random into B subsets and perform one
descent of K iterations on each; after B descents, an epoch, the set is split anew. Ordinary
mini-batch training is the same with K = 1. Because nothing is drawn in sequence, training can stop,
start again or be replayed at any iteration and sees the same examples.
"""

import numpy as np

from gdlab.data.dataset import whole_number
from gdlab.messages import counted


class Schedule:
    """Iteration k belongs to descent k // K, and descent m to epoch m // B.

    examples        how many there are
    batches         B, into how many subsets of equal size they are split; or instead
    batch_size      the size of a subset; neither: one subset, the whole set
    descent_length  K, iterations per subset; None: 1, or, on the whole set, one descent without end
    seed            decides every split
    labels          [examples] classes; subsets then hold the classes in equal proportions
    balanced        whether they do; None: where labels are given and the subsets are counted by `batches`
    shares          [classes] which part of each class's examples an epoch sees, above 0 and up to 1, others
                    in each epoch; needs labels. None: all of them

    drop_last       what is left when the examples do not divide is dropped, other examples in each epoch.
                    False: it is one subset more, filled up with copies of itself, so that an average over it
                    is that over what is left. Needs batch_size, of which what is left must be a divisor
    left            how many examples an epoch leaves over

    Raises ValueError for a wrong number.
    """

    def __init__(
        self,
        examples,
        *,
        batches=None,
        batch_size=None,
        descent_length=None,
        seed=0,
        labels=None,
        balanced=None,
        shares=None,
        drop_last=True,
    ):
        self.examples = whole_number("examples", examples, 1)
        if batches is not None and batch_size is not None:
            raise ValueError(
                f"batches = {batches!r} and batch_size = {batch_size!r} exclude each other: give one"
            )
        for name, value in (("batches", batches), ("batch_size", batch_size)):
            if value is not None and whole_number(name, value, 1) > self.examples:
                raise ValueError(f"{name} = {value} is not allowed: there are only {self.examples} examples")
        self._all_labels = np.asarray(0 if labels is None else labels)
        self._quota = None if shares is None else _quota(labels, self.examples, shares)
        seen = self.examples if self._quota is None else int(self._quota.sum())
        for name, value in (("batches", batches), ("batch_size", batch_size)):
            if value is not None and value > seen:
                raise ValueError(
                    f"{name} = {value} is not allowed: the shares leave {seen} examples an epoch"
                )
        self._seen = seen
        self.batches = seen // batch_size if batch_size else (batches or 1)
        self.batch_size = batch_size or seen // self.batches
        self.drop_last = drop_last
        self.left = seen - self.batches * self.batch_size
        if not drop_last and self.left:
            self._refuse_remainder(batch_size)
            self.batches += 1
        self.full = self.batch_size == self.examples
        if descent_length is not None:
            whole_number("descent_length", descent_length, 1)
        self.descent_length = descent_length or (None if self.full else 1)
        self.seed = whole_number("seed", seed, 0)
        self._labels = self._checked(labels, balanced, counted=batches is not None)
        self._epochs = {}

    def rows(self, start: int, stop: int):
        """What iterations [start, stop) see: (index, new_descent, descent, epoch), t = stop - start.

        index        int32 [t, batch_size], positions of the examples; None: always all of them
        new_descent  bool [t], whether a descent begins
        descent      int32 [t];  epoch int32 [t]
        """
        k = np.arange(start, stop)
        length = self.descent_length
        descent = np.zeros_like(k) if length is None else k // length
        new_descent = k == 0 if length is None else k % length == 0
        epoch = descent // self.batches
        index = None if self.full else self._index(descent, epoch)
        return index, new_descent, descent.astype(np.int32), epoch.astype(np.int32)

    def descents(self, iterations: int) -> int:
        """How many descents the first `iterations` iterations begin."""
        if self.descent_length is None:
            return min(iterations, 1)
        return -(-iterations // self.descent_length)

    def left_out(self) -> str:
        """What an epoch does not train on, in words; "" where nothing is left over."""
        if not self.left or not self.drop_last:
            return ""
        left = f"{self.left:,} of {counted(self.examples, 'example')}"
        said = (
            "is left out in each epoch, another" if self.left == 1 else "are left out in each epoch, others"
        )
        return (
            f"{counted(self.batches, 'mini-batch', 'mini-batches')} of {self.batch_size:,}: {left} {said} "
            "each time"
        )

    def _index(self, descent, epoch):
        index = np.empty((descent.size, self.batch_size), np.int32)
        for e in np.unique(epoch):
            chosen = epoch == e
            index[chosen] = self._split(int(e))[descent[chosen] % self.batches]
        return index

    def _split(self, epoch):
        """The subsets of an epoch, int32 [batches, batch_size]; the last two epochs asked for are kept."""
        if epoch not in self._epochs:
            while len(self._epochs) > 1:
                self._epochs.pop(next(iter(self._epochs)))
            rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((self.seed, epoch))))
            order = rng.permutation(self.examples)
            if self._quota is not None and self._quota.sum() < self.examples:
                # Mixed again: else the classes with a small share would all come early in the epoch.
                order = rng.permutation(order[_first(self._all_labels[order], self._quota)])
            if self._labels is not None:
                order = _interleaved(order, self._labels, rng)
            whole = self._seen - self.left
            used = order[:whole]
            if not self.drop_last and self.left:
                used = np.concatenate([used, np.resize(order[whole : self._seen], self.batch_size)])
            self._epochs[epoch] = used.astype(np.int32).reshape(self.batches, self.batch_size)
        return self._epochs[epoch]

    def _refuse_remainder(self, batch_size):
        if batch_size is None:
            raise ValueError(
                f"drop_last = False needs batch_size: {self.batches} subsets of {self.batch_size} leave "
                f"{self.left} examples over, less than one for each"
            )
        if self.batch_size % self.left:
            raise ValueError(
                f"drop_last = False is not allowed with batch_size = {batch_size}: {self.left} examples "
                f"are left, which do not go evenly into {batch_size}"
            )

    def _checked(self, labels, balanced, counted):
        if balanced is None:
            balanced = labels is not None and counted
        if not balanced:
            return None
        if labels is None or np.shape(labels) != (self.examples,):
            shape = None if labels is None else np.shape(labels)
            raise ValueError(f"balanced subsets need one label per example, ({self.examples},), not {shape}")
        return np.asarray(labels)


def _quota(labels, examples, shares):
    """How many examples of each class an epoch sees, int [classes], at least one of a class that has any."""
    if labels is None or np.shape(labels) != (examples,):
        raise ValueError(f"shares need one label per example, ({examples},)")
    shares = np.asarray(shares, float)
    count = np.bincount(labels)
    if shares.ndim != 1 or len(shares) < len(count):
        raise ValueError(
            f"shares of shape {shares.shape}: each of {counted(len(count), 'class', 'classes')} needs one"
        )
    if not ((shares > 0) & (shares <= 1)).all():
        raise ValueError(f"shares = {shares.tolist()}: allowed: above 0, up to 1")
    return np.minimum(np.maximum(np.rint(count * shares[: len(count)]).astype(int), 1), count)


def _first(labels, quota):
    """Which of `labels` [n] are among the first quota[c] of their class c, bool [n]."""
    by_class = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[by_class], np.arange(len(quota)))
    rank = np.empty(len(labels), int)
    rank[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
    return rank < quota[labels]


def _interleaved(order, labels, rng):
    """`order` (a permutation) rearranged so that every equal piece of it holds the classes in proportion.

    The r-th of a class's n members is put at (r + u) / n of the way, u in (0, 1): a fraction q of the
    way then holds a fraction q of each class, exactly so where it is a whole number.
    """
    position = np.empty(order.size)
    labels = labels[order]
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        position[members] = (np.arange(members.size) + rng.uniform(0.1, 0.9)) / members.size
    return order[np.argsort(position, kind="stable")]
