"""Which of the metrics of a run is the error that was minimised, and which tell how well it did.

Loops call them as they like: "loss", "train/loss", "Loss/train", "epoch_loss" in the part "train",
"eval_accuracy".
What cannot be told is left open and said; `loss=` and `accuracy=` choose.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from gdlab.interchange.source import Unreadable
from gdlab.messages import closest

_WORD = re.compile(r"[a-z]+|\d+")
_HELD = frozenset(("val", "valid", "validation", "test", "eval", "evaluation", "dev", "holdout", "testing"))
_TRAIN = frozenset(
    ("train", "training", "epoch", "batch", "step", "total", "mean", "avg", "average", "running")
)
_LOSS = frozenset(("loss", "losses", "objective"))
_ACCURACY = frozenset(("accuracy", "acc"))
# Of quantities that a loop may log beside its error: their names hold the word, and they are something else.
_NOT_THE_ERROR = frozenset(("scale", "aux", "auxiliary", "weight", "kl", "reg", "regularization"))
_SUMMARY = frozenset(("hparam", "hparams", "hp"))  # one number that a sweep is compared by


class Chosen(NamedTuple):
    """Names of metrics, None where there is none: the error; loss, accuracy on examples held out; accuracy on
    the training set. note: what could not be told, or ""."""

    loss: str | None
    held_loss: str | None
    accuracy: str | None
    train_accuracy: str | None
    note: str


def chosen(names: Iterable[str], loss: str | None = None, accuracy: str | None = None) -> Chosen:
    """What the names of a run's metrics say; loss, accuracy: those asked for, "none" for none.

    Raises Unreadable where what was asked for is not there.
    """
    names = list(names)
    error, note = (None, "") if loss == "none" else (_asked(loss, "loss", names), "")
    if loss is None:
        error, note = _error(names)
    held = _first(names, _LOSS, held=True)
    if accuracy == "none":
        return Chosen(error, held, None, None, note)
    best = _asked(accuracy, "accuracy", names) or _first(names, _ACCURACY, held=True)
    train = _first([name for name in names if name != best], _ACCURACY, held=False)
    return Chosen(error, held, best, train, note)


def is_measure(name: str) -> bool:
    """Whether a name is that of an error or an accuracy, which is measured and not chosen."""
    return bool(_words(name) & (_LOSS | _ACCURACY))


def _asked(name, option, names):
    if name is None or name in names:
        return name
    hint = closest(name, names)
    raise Unreadable(
        f"has no metric {name!r} (import.{option}={name})" + (f"; there is {hint!r}" if hint else "")
    )


def _error(names):
    """(the error that was minimised or None, what could not be told)."""
    ranked = sorted(
        (len(_foreign(name, _LOSS | _TRAIN)), len(_words(name)), place, name)
        for place, name in enumerate(names)
        if _words(name) & _LOSS and not _words(name) & (_HELD | _NOT_THE_ERROR)
    )
    if not ranked:
        return None, "no metric is called a loss: no error is drawn unless import.loss=NAME chooses one"
    best = [name for foreign, *_, name in ranked if foreign == ranked[0][0]]
    if ranked[0][0] and len(best) > 1:
        several = ", ".join(best[:4])
        return None, f"several metrics may be the error ({several}): import.loss=NAME chooses one"
    return ranked[0][3], ""


def _first(names, kind, held):
    """The metric of a kind with the fewest words that say something else."""
    ranked = sorted(
        (len(_foreign(name, kind | _HELD | _TRAIN)), len(_words(name)), place, name)
        for place, name in enumerate(names)
        if _words(name) & kind and bool(_words(name) & _HELD) == held and not _words(name) & _SUMMARY
    )
    return ranked[0][3] if ranked else None


def _words(name):
    # "trainLoss" and "TrainLoss" are two words, "LOSS" is one.
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name[:200])
    return frozenset(_WORD.findall(apart.lower()))


def _foreign(name, known):
    return _words(name) - known
