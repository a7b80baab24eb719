"""Many runs as one table: what their hyper-parameters are, and how they did over time.

A run that cannot be used for something is not left out: it keeps its row, and its note says why. Hamid et
al. 2019, section 4.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gdlab.analysis import validation
from gdlab.analysis.axes import hyperparameters
from gdlab.analysis.hyper import as_key, shown, varying
from gdlab.messages import counted
from gdlab.store.effects import is_below
from gdlab.store.errors import StoreError

MEASURES = ("loss", "accuracy", "train_loss", "train_accuracy")  # validation columns 1 to 4
_ENDED = ("finished", "diverged")
# What is recorded, and how often, is no parameter of the training.
_NOT_TRAINED = ("record", "name")
_CORRELATION, _STEP = "correlation/", "correlation/step"
_NO_ACCURACY = "no accuracy recorded"


class Ensemble(NamedTuple):
    """M runs side by side.

    runs, names [M]; state [M]: as `Run.state`
    parameters: {short name: [M]} of the hyper-parameters that differ between the runs, choices of config
        groups among them, as `gdlab.analysis.axes.hyperparameters` gives them
    step int64 [n]: iterations with a validation of any run, ascending
    loss, accuracy, train_loss, train_accuracy [M, n]: float64, NaN where a run has none
    holds bool [M]: the run is over for good before its last iteration, so that its last accuracy stays
    layers: those that all comparable runs recorded the filters' correlations of; widths: {layer: F}
    comparable bool [M]: the run has the network of most, and correlations of all `layers`
    note [M]: "", or what the run cannot be used for and why, parts separated by "; "
    """

    runs: tuple
    names: tuple[str, ...]
    state: np.ndarray
    parameters: dict[str, np.ndarray]
    step: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    train_loss: np.ndarray
    train_accuracy: np.ndarray
    holds: np.ndarray
    layers: tuple[str, ...]
    widths: dict[str, int]
    comparable: np.ndarray
    note: tuple[str, ...]

    @property
    def classifies(self) -> bool:
        """Whether any run recorded an accuracy: then the runs are measured by it, else by their loss."""
        return bool(np.isfinite(self.accuracy).any())

    @property
    def score(self) -> np.ndarray:
        """What the runs are measured by [M, n], high is good: the accuracy, or -log10 of the loss."""
        if self.classifies:
            return self.accuracy
        with np.errstate(divide="ignore", invalid="ignore"):
            score = -np.log10(self.loss)
        return np.where(np.isfinite(score), score, np.nan)


class _Member(NamedTuple):
    name: str
    summary: dict
    flat: dict[str, object]
    rows: np.ndarray  # [k, 5] of validation
    network: tuple
    widths: dict[str, int]  # of the layers with correlations
    damage: str  # why its rows cannot be read, or ""


def open_ensemble(runs: Sequence) -> Ensemble:
    """The Ensemble of gdlab.store Runs: finished or not, alike or not, one or none."""
    members = [_member(run) for run in runs]
    step, (loss, accuracy, *train) = _aligned([member.rows for member in members])
    network = _most([member.network for member in members])
    common = _common([m.widths for m in members if m.network == network and m.widths])
    comparable = [
        m.network == network and bool(common) and common.items() <= m.widths.items() for m in members
    ]
    return Ensemble(
        tuple(runs),
        tuple(member.name for member in members),
        np.array([member.summary["state"] for member in members], object),
        hyperparameters([member.flat for member in members], _NOT_TRAINED),
        step,
        loss,
        accuracy,
        train[0],
        train[1],
        np.array([_holds(member) for member in members], bool),
        tuple(common),
        common,
        np.array(comparable, bool),
        tuple(_notes(members, network, common)),
    )


def correlations(ensemble: Ensemble, member: int, layer: str):
    """(step int64 [n], r float32 [n, F, F]) of one run: signed correlations, by memory map.

    Raises gdlab.store.UnknownName for a layer that the run has no correlations of.
    """
    run = ensemble.runs[member]
    r = run.array(_CORRELATION + layer)
    return run.array(_STEP)[: len(r)], r


def correlation_at(ensemble: Ensemble, member: int, layer: str, iteration: float):
    """(step, r [F, F]) of one run at its latest row up to an iteration; the first row where none is.

    (None, None) where the run has no row of this layer.
    """
    if _CORRELATION + layer not in ensemble.runs[member].arrays:
        return None, None
    step, r = correlations(ensemble, member, layer)
    if not len(r):
        return None, None
    row = max(0, int(np.searchsorted(step, iteration, side="right")) - 1)
    return int(step[row]), r[row]


def _member(run):
    summary, name = run.summary(), run.name
    flat = shown(summary["hyperparameters"])
    rows, widths, size, damage = np.empty((0, 1 + len(MEASURES))), {}, None, ""
    try:
        size = run.identity.get("parameters")
        names = [n for n in run.arrays if n.startswith(_CORRELATION) and n != _STEP and run.rows(n)]
        widths = {n.removeprefix(_CORRELATION): run.array(n, 0, 1).shape[1] for n in names}
        found = validation.rows(run).columns
        rows = np.stack([found[name] for name in ("iteration", *MEASURES)], axis=1)
    except StoreError as error:
        damage = f"cannot be read: {error}"
    structure = ("problem._target_", "model._target_", "dataset._target_", "problem")
    network = (*(flat.get(part) for part in structure), size)
    return _Member(name, summary, flat, rows, network, widths, damage)


def _aligned(rows):
    """(step [n], MEASURES [4, M, n]) of the validation rows [k, 5] of each run."""
    step = np.unique(np.concatenate([part[:, 0] for part in rows])) if rows else np.empty(0)
    values = np.full((len(MEASURES), len(rows), len(step)), np.nan)
    for number, part in enumerate(rows):
        values[:, number, np.searchsorted(step, part[:, 0])] = part[:, 1:].T
    return step.astype(np.int64), values


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _holds(member):
    state, planned = member.summary["state"], member.flat.get("train.steps")
    early = _is_number(planned) and member.summary["iterations"] < planned
    return state == "diverged" or (state == "finished" and early)


def _most(values):
    """The commonest of the values, of equally common ones the first; None of none."""
    return Counter(values).most_common(1)[0][0] if values else None


def _common(widths):
    """{layer: F} of the layers that all of these have, where they agree on F with most."""
    if not widths:
        return {}
    agreed = dict(_most([tuple(of.items()) for of in widths]))
    return {layer: f for layer, f in agreed.items() if all(layer in of for of in widths)}


def notes(ensemble, measures):
    """What each run cannot be used for, and why: its own note, and the measures it lacks; "" for a run that
    can be used for everything. measures: {name: values [M], NaN where there is none}."""
    found = []
    for run, note in enumerate(ensemble.note):
        lacking = [name for name, values in measures.items() if not np.isfinite(values[run])]
        said = not lacking or _NO_ACCURACY in note
        found.append(
            note if said else "; ".join(filter(None, (note, f"no {_joined(lacking)} at these times")))
        )
    return found


def _joined(names):
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _notes(members, network, common):
    """What each run cannot be used for, and why."""
    configs = [member.flat for member in members]
    names = [name for name in varying(configs) if not is_below(name, _NOT_TRAINED)]
    first: dict[tuple, str] = {}
    accurate = any(np.isfinite(member.rows[:, 2]).any() for member in members)
    for member in members:
        values = tuple(as_key(member.flat[name]) if name in member.flat else None for name in names)
        twin = first.setdefault(values, member.name)
        reasons = [_state_note(member), member.damage]
        if not np.isfinite(member.rows[:, 2]).any() and (accurate or not len(member.rows)):
            reasons.append(_NO_ACCURACY)
        if member.network != network and not member.damage:
            reasons.append("another network than most")
        elif not member.damage and not common.items() <= member.widths.items():
            reasons.append(
                "no correlations of " + ", ".join(layer for layer in common if layer not in member.widths)
            )
        if twin != member.name:
            reasons.append(f"the same hyper-parameters as {twin}")
        yield "; ".join(filter(None, reasons))


def _state_note(member):
    state, iterations = member.summary["state"], member.summary["iterations"]
    if state == "diverged":
        return f"diverged after iteration {iterations - 1:,}"
    planned = member.flat.get("train.steps")
    of = f"{iterations:,} of " if _is_number(planned) else ""
    last = planned if _is_number(planned) else iterations
    return "" if state in _ENDED else f"unfinished ({state}): {of}{counted(last, 'iteration')}"
