"""What numbers a config may hold: one line for each option of conf/ that is a number.

Targets check what they are given as well, but optax's do not: a negative learning rate would train uphill
without a word. Where a list of numbers is allowed, each counts as one of its own; null is where the target's
own default is None.
"""

import math
from typing import NamedTuple

from gdlab.plan.targets import ConfigError, parameters, resolve
from gdlab.store.schema import is_number


class Range(NamedTuple):
    """low, high: None for none; closed: whether these themselves are allowed; whole: integers alone; words:
    texts that are allowed instead; many: a list of such numbers is what stands there."""

    low: float | None = None
    high: float | None = None
    closed: tuple[bool, bool] = (True, True)
    whole: bool = False
    words: tuple[str, ...] = ()
    many: bool = False

    def __str__(self):
        parts = ["an integer" if self.whole else "a number"]
        if self.many:
            parts = [f"a list, each {parts[0]}"]
        ends = ((self.low, ">=", ">", self.closed[0]), (self.high, "<=", "<", self.closed[1]))
        parts += [
            f"{at if closed else beyond} {end:g}" for end, at, beyond, closed in ends if end is not None
        ]
        return ", ".join([" ".join(parts[:2]), *parts[2:], *self.words])

    def holds(self, value):
        """Whether a value is allowed: a finite number within the ends, a word; of `many`, a list of such."""
        if self.many:
            one = self._replace(many=False)
            return isinstance(value, list | tuple) and all(map(one.holds, value))
        if isinstance(value, str):
            return value in self.words
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        if not is_number(value) or not math.isfinite(value):  # an integer may be too large for a float
            return False
        above = self.low is None or (value >= self.low if self.closed[0] else value > self.low)
        below = self.high is None or (value <= self.high if self.closed[1] else value < self.high)
        return above and below


ANY = Range()
COUNT, NUMBER = Range(1, whole=True), Range(0, whole=True)  # at least one; none or more
STEPS = Range(1, 2_000_000_000, whole=True)  # an iteration is counted in 32 bits
POSITIVE, NOT_NEGATIVE = Range(0, closed=(False, True)), Range(0)
SHARE = Range(0, 1)
BELOW_ONE, BETWEEN = Range(0, 1, (True, False)), Range(0, 1, (False, False))
SOME = Range(0, 1, (False, True))
_DRAWS = Range(2, 10_000, whole=True)
COUNTS, NUMBERS, SHARES = (one._replace(many=True) for one in (COUNT, NUMBER, SHARE))
_SEARCH = {
    "sigma": BETWEEN,
    "rho": BELOW_ONE,
    "alpha": BETWEEN,
    "beta": Range(1, closed=(False, True)),
    "gamma": Range(0, 0.5, (False, False)),
    "max_evaluations": COUNT,
    "initial": POSITIVE._replace(words=("inverse_norm", "previous", "previous_length")),
    "version": Range(1, 2, whole=True),
    "epsilon": BELOW_ONE,
}
RANGES = {
    "seed": Range(0, whole=True, words=("each",)),
    "version": COUNT,
    "train": {
        **dict.fromkeys(("batches", "batch_size", "descent_length"), COUNT),
        "steps": STEPS,
        "devices": Range(1, whole=True, words=("all",)),
        "validation": BELOW_ONE,
    },
    "record": {
        **dict.fromkeys(("validate", "dumps", "correlations"), Range(1, whole=True, words=("auto",))),
        **dict.fromkeys(("validate_examples", "dump_examples", "correlation_examples"), COUNT),
        "version": Range(1, 2, whole=True),
        **dict.fromkeys(("reach", "commit_seconds", "checkpoint_seconds"), POSITIVE),
    },
    "problem": {
        "n": COUNT,
        **dict.fromkeys(("weight_decay", "initial_weight", "boundary_weight"), NOT_NEGATIVE),
        "reconstruction_weight": SHARE,
        "start": ANY._replace(many=True),
        "augment": {"shift": NUMBER},
    },
    "dataset": {
        **dict.fromkeys(
            ("channels", "n_classes", "n_per_class", "n_train", "n_test", "size", "context"), COUNT
        ),
        "noise": NOT_NEGATIVE,
        "seed": NUMBER,
        "test_fraction": BETWEEN,
        **dict.fromkeys(("turns", "periods"), ANY),
        "diffusivity": POSITIVE,
        "amplitudes": ANY._replace(many=True),
    },
    "model": {
        **dict.fromkeys(("blocks", "dense", "features", "filters"), COUNTS),
        **dict.fromkeys(("classes", "code", "context", "depth", "pooling", "vocabulary"), COUNT),
        "dropout": BELOW_ONE,
        "slope": Range(0, 1),
    },
    "optimizer": {
        **dict.fromkeys(("learning_rate", "min_step_size", "max_step_size"), POSITIVE),
        **dict.fromkeys(("b1", "b2", "momentum", "rho"), BELOW_ONE),
        **dict.fromkeys(("eps", "initial_accumulator_value"), NOT_NEGATIVE),
        "memory_size": COUNT,
        "grow": Range(1, closed=(False, True)),
        "shrink": BETWEEN,
        "line_search": _SEARCH,
    },
    "linesearch": _SEARCH,
    "schedule": {
        "boundaries": SHARES,
        "factor": POSITIVE,
        "final": NOT_NEGATIVE,
        "warmup": SHARE,
        "window": COUNT,
    },
    "weight_decay": {"rate": NOT_NEGATIVE},
    "class_shares": {"floor": SOME, "last": SOME},
    "probe": {
        **dict.fromkeys(("bins", "count", "every", "points", "resolution", "samples", "thin"), COUNT),
        **dict.fromkeys(("filters", "images"), NUMBERS),
        "draws": _DRAWS,
        **dict.fromkeys(("controls", "image", "seed", "start", "stop"), NUMBER),
        **dict.fromkeys(("iteration", "target"), NUMBER),
        **dict.fromkeys(("low", "high"), ANY),
        "refine": NOT_NEGATIVE,
        "temperature": POSITIVE,
    },
}


_NEVER_NULL = ("train.batches", "train.devices", "record.reach")  # options that no target takes


def check_ranges(config):
    """Refuse numbers of a config that are out of their range, and null where its target wants a number; what
    has no range passes.

    Sections of code of one's own (a `_target_` outside gdlab and optax) have no ranges.

    Raises:
      ConfigError: names the option, its value and what is allowed.
    """
    for where, value, allowed in numbers_of(config):
        if allowed is not None and not allowed.holds(value):
            raise ConfigError(f"{_as_given(where, config)}={value!r}: allowed: {allowed}")
    for where, value, allowed in _misfits(config, RANGES):
        raise ConfigError(f"{_as_given(where, config)}={value!r}: allowed: {allowed}")


def _misfits(node, ranges, where=""):
    """Yield (place, value, what is allowed) of every null whose target's default is a number, or which it
    cannot do without, and of what is no switch where the target's default is one."""
    if not isinstance(node, dict):
        return
    target = node.get("_target_")
    ranged = _has_ranges(target)
    taken = parameters(resolve(target)) if ranged and target is not None else {}
    for key, child in node.items():
        inner = ranges.get(key) if ranged and isinstance(ranges, dict) else None
        place = f"{where}.{key}" if where else str(key)
        default = taken[key].default if key in taken else None
        if child is None and isinstance(inner, Range) and (default is not None or place in _NEVER_NULL):
            yield place, child, inner
        if isinstance(default, bool) and not isinstance(child, bool):
            yield place, child, "true, false"
        yield from _misfits(child, inner, place)


def _has_ranges(target):
    """Whether the options of a target, or of a section without one, have ranges: those of gdlab and optax."""
    return target is None or (isinstance(target, str) and target.startswith(("gdlab.", "optax.")))


def _as_given(where, config):
    """The place of an option as a command gives it: an optimizer's line search comes from `linesearch`."""
    inner = "optimizer.line_search"
    composed = where.startswith(inner) and config.get("linesearch") == config["optimizer"]["line_search"]
    return where.replace(inner, "linesearch", 1) if composed else where


def numbers_of(node, ranges=None, where=""):
    """Yield (place, value, its Range or None) of every number of a config, and of what else has a range."""
    ranges = RANGES if ranges is None and not where else ranges
    if isinstance(ranges, Range):
        yield from _ranged(node, ranges, where)
    elif isinstance(node, dict):
        own = not _has_ranges(node.get("_target_"))
        for key, child in node.items():
            inner = ranges.get(key) if isinstance(ranges, dict) and not own else None
            yield from numbers_of(child, inner, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list | tuple):
        for child in node:
            yield from numbers_of(child, ranges, where)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield where, node, None


def _ranged(node, allowed, where):
    """`numbers_of` where a Range is: null passes here, and so does false where a word can switch on."""
    if isinstance(node, list | tuple) and allowed.many:
        yield from ((where, child, allowed._replace(many=False)) for child in node)
    elif node is not None and not (allowed.words and node is False):  # record.dumps=false
        yield where, node, allowed
