"""Dumps of a loop of one's own: what the network answers and how its filters stand, every so many iterations.

Made by the functions that gdlab's own trainings use, of the live `predict`, `loss` and `activations`, in the
thread that writes, of copies: the loop waits for none of it.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.data.dataset import Dataset
from gdlab.monitors.dumps import Dumper, Moment
from gdlab.monitors.evaluation import predicts_classes
from gdlab.monitors.filter_correlations import Correlations
from gdlab.monitors.network import describe
from gdlab.monitors.validation import COLUMNS
from gdlab.recorder.copies import Copy
from gdlab.records import DUMP_COLUMNS, Problem
from gdlab.store import ArraySpec

EXAMPLES = 2000  # of each part that a dump looks at, at most
CORRELATED = 500  # test examples that the correlations of filters are taken over
VERSION = 2  # `record.version` of what is measured
VALIDATION = ArraySpec("f8", (len(COLUMNS),), COLUMNS)


class Measuring:
    """Takes the dumps of one run. network: of `gdlab.monitors.network.describe`; classes: their names;
    arrays:
    {name: ArraySpec} of what it brings; constants: {name: rows} of what is brought once.

    Raises ValueError where the functions and the examples are not those of a classifier.
    """

    def __init__(
        self,
        functions: Mapping[str, Any],
        examples: Mapping[str, Any],
        classes: tuple[str, ...] | None,
        params: Copy,
        aux: Copy | None,
    ):
        """functions: {"loss", "predict", "activations"} as far as they are there; examples: {"train",
        "test"};
        params, aux: of the first iteration."""
        self._functions, self._form = functions, params.form
        self._aux_form = None if aux is None else aux.form
        self._first_aux = self._nested(aux)
        template = jax.eval_shape(lambda: params.form.nested(params.values()))
        test = {name: np.asarray(array) for name, array in examples["test"].items()}
        train = {name: np.asarray(array) for name, array in (examples.get("train") or test).items()}
        problem = Problem(
            lambda key: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), template),
            self._loss,
            self._predict,
            self._activations if functions.get("activations") else None,
            statistics=None if aux is None else lambda params, aux: aux,
            additive=True,
        )
        answer = jax.eval_shape(problem.predict, template, jnp.asarray(test["x"][:1]))
        self.classes = _names(classes, answer, test, train)
        dataset = Dataset("examples", train, test, self.classes)
        if not predicts_classes(problem, dataset):
            raise ValueError("predict has to return a number for each class of every example")
        self.network = describe(problem, template, test["x"][:1])
        facts = {"examples": EXAMPLES, "train_examples": EXAMPLES, "seed": 0, "version": VERSION}
        self._dumper = Dumper(problem, dataset, self.network, rate=lambda k: np.nan, **facts)
        self._correlations = _correlations(problem, dataset, template)
        self.arrays = {"validation": VALIDATION, **self._dumper.specs(template)}
        if self._correlations is not None:
            self.arrays |= self._correlations.specs()
        self.constants = self._dumper.constants()

    def rows(self, number: int, trees: Mapping[str, Copy]) -> dict[str, Any]:
        """{name: rows [1, ...]} of the dump of iteration `number`; trees: of a Measure."""
        aux = self._nested(trees.get("aux"))
        params, after = (self._form.nested(trees[name].values()) for name in ("params", "after"))
        batch = trees.get("batch")
        self._batch_form = None if batch is None else batch.form
        handed = {"batch": None if batch is None else batch.form.nested(batch.values()), "aux": aux}
        self._dumper.calibration = aux
        rows = self._dumper.take(Moment(number, params, after, handed, None))
        scalars = dict(zip(DUMP_COLUMNS, rows["dump/scalars"][0], strict=True))
        rows["validation"] = np.array([[scalars[name] for name in COLUMNS]])
        if self._correlations is not None:
            self._correlations.calibration = aux
            rows |= self._correlations.rows(params, number)
        return rows

    def forget(self) -> None:
        """The next dump counts its changes from nothing."""
        self._dumper.previous = None

    def _predict(self, params, x, statistics=None):
        return self._functions["predict"](self._form.original(params), x, *self._aux(statistics))

    def _activations(self, params, x, statistics=None):
        return self._functions["activations"](self._form.original(params), x, *self._aux(statistics))

    def _loss(self, params, handed, *, key=None):
        loss = self._functions.get("loss")
        if loss is None or handed["batch"] is None:  # its gradient is not known
            return jnp.nan * sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params))
        assert self._batch_form is not None
        batch = self._batch_form.original(handed["batch"])
        value = loss(self._form.original(params), batch, *self._aux(handed["aux"]))
        return value[0] if isinstance(value, tuple) else value

    def _aux(self, nested):
        if self._aux_form is None:
            return ()
        return (self._aux_form.original(self._first_aux if nested is None else nested),)

    def _nested(self, aux):
        return None if aux is None else aux.form.nested(aux.values())


def _names(classes, answer, test, train):
    shape = tuple[int, ...](getattr(answer, "shape", ()))
    if len(shape) != 2:
        raise ValueError(
            f"predict returns {shape or type(answer).__name__} for one example, [1, classes] is needed"
        )
    count = shape[1]
    for part in (test, train):
        y = part["y"]
        if y.ndim != 1 or y.dtype.kind not in "iu" or (len(y) and not 0 <= y.min() <= y.max() < count):
            raise ValueError(
                f"y of the examples has to be positions of classes, whole numbers from 0 to {count - 1}"
            )
    if classes is not None and len(classes) != count:
        raise ValueError(f"classes has {len(classes)} names, predict answers with {count} numbers")
    return classes or tuple(map(str, range(count)))


def _correlations(problem, dataset, template):
    """Of the filters of convolutions, or where there are none of dense layers; None where there is
    nothing."""
    for dense in (False, True):
        try:
            return Correlations(problem, dataset, template, examples=CORRELATED, dense=dense, version=VERSION)
        except ValueError:
            continue
    return None
