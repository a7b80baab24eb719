"""From a run's plan to everything its iterations need; the same for training, replay and probes.

What is built here must not depend on anything but the plan, the data and the seed: a replay
assembles again and expects the same bits.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.data.dataset import held_out
from gdlab.data.sampling import Schedule
from gdlab.plan.builder import BUILT, ConfigError, check_sections
from gdlab.plan.memory import check_room
from gdlab.plan.parts import make_optimizer, make_problem, make_schedule
from gdlab.plan.sections import Plan
from gdlab.plan.soundness import check_data, parameters_of
from gdlab.plan.sources import dataset_of
from gdlab.training.collection import collector, layer_names
from gdlab.training.devices import on_all
from gdlab.training.loop import Steps, make_training

CHUNK = 512  # largest number of iterations that one call of the training runs
PATH_LIMIT = 10_000  # parameters up to which every parameter vector is kept unless said otherwise


class Assembly(NamedTuple):
    """plan: of the run; problem, optimizer; data: dict of [n, ...] device arrays or None; dataset: the host's
    Dataset or None; schedule: Schedule or None (no data to draw from); key: the run's random key;
    several_descents: bool; mesh: the devices that share each mini-batch, None for one."""

    plan: Plan
    problem: Any
    optimizer: Any
    data: Any
    dataset: Any
    schedule: Schedule | None
    key: Any
    several_descents: bool
    mesh: Any

    def steps(self, start, count, length):
        """Steps of iterations [start, start + count), zero-padded to `length`; descents, epochs [count]."""
        if self.schedule is None:
            iteration = np.arange(start, start + count)
            index, new_descent, descent, epoch = (
                None,
                iteration == 0,
                np.zeros(count, np.int32),
                np.zeros(count),
            )
        else:
            index, new_descent, descent, epoch = self.schedule.rows(start, start + count)
        padded = [None if rows is None else _pad(rows, length) for rows in (index, new_descent, descent)]
        return Steps(*padded), descent, epoch

    def lasting(self, steps):
        """The same for a run of another number of iterations."""
        several = self.schedule is not None and self.schedule.descents(steps) > 1
        return self._replace(several_descents=several)

    def reseeded(self, plan):
        """The same with the data order and the key of another seed; plan: of the run that has it."""
        schedule, _ = make_schedule(plan, self.dataset)
        return self._replace(plan=plan, schedule=schedule, key=jax.random.key(plan.seed))

    def batch(self, iteration):
        """The batch of an iteration: dict of arrays [b, ...], or None for a problem without data."""
        steps, _, _ = self.steps(iteration, 1, 1)
        if steps.index is None:
            return self.data
        return {name: array[steps.index[0]] for name, array in self.data.items()}

    def step_key(self, iteration, searches):
        """The random key that the error of an iteration is computed with; searches: by a line search."""
        number = int(self.steps(iteration, 1, 1)[0].descent[0]) if searches else iteration
        return jax.random.fold_in(self.key, number)


def assemble(plan, places=None, *, training=False, problem=None):
    """Build what `plan` describes.

    places: the `sources.Places` that a recorded run's data are read from; None: what the plan says.
    training: on as many devices as the plan says, where one who looks from `places` takes what there are.
    problem: what the run carries itself; the config's own problem, network and optimizer are not even looked
      at then, and the Assembly has no optimizer.

    Raises:
      ConfigError: an option, value or target that cannot be used.
      FileNotFoundError, ValueError: data that is missing or damaged, as its dataset says.
    """
    check_sections(plan.config, BUILT if problem is None else ("dataset", "class_shares"))
    with plan.in_precision():
        return _assembled(plan, places, places is not None and not training, problem)


def _assembled(plan, places, fewer, carried=None):
    dataset = dataset_of(plan, places)
    if dataset is not None:
        check_data(dataset)
        dataset = _without_held_out(dataset, plan.train.validation)
    problem = make_problem(plan, dataset) if carried is None else carried
    schedule, mesh = make_schedule(plan, dataset, fewer)
    data = None
    if dataset is not None:
        data = {name: _on_device(array, plan.precision, mesh) for name, array in dataset.train.items()}
    optimizer = make_optimizer(plan) if carried is None else None
    key = jax.random.key(plan.seed)
    check_room(jax.tree.leaves(parameters_of(problem, key)))
    made = Assembly(plan, problem, optimizer, data, dataset, schedule, key, False, mesh)
    return made.lasting(plan.train.steps)


def training(assembly):
    """The Training of a run: one program for recording, resume and replay, since only the same program
    gives the same bits (XLA arranges its sums anew when as much as an output changes)."""
    return make_training(
        assembly.problem,
        assembly.optimizer,
        length=CHUNK,
        several_descents=assembly.several_descents,
        loss_end=assembly.plan.record.loss_end,
        reach=assembly.plan.record.reach,
        collect=collected(assembly),
        mesh=assembly.mesh,
    )


def collected(assembly):
    """What is gathered of each iteration, as `gdlab.training.collection.collector`."""
    return collector(path=keeps_path(assembly), layers=keeps_layers(assembly))


def size(assembly):
    """p, the number of parameters."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(template(assembly)))


def template(assembly):
    """The parameters' shapes and dtypes."""
    return jax.eval_shape(assembly.problem.init, assembly.key)


def keeps_path(assembly):
    """Whether the run records every parameter vector."""
    wanted = assembly.plan.record.path
    return size(assembly) <= PATH_LIMIT if wanted == "auto" else wanted


def keeps_layers(assembly):
    """Whether the run records the step of each layer: by default where there are several."""
    wanted = assembly.plan.record.layers
    return len(layer_names(template(assembly))) > 1 if wanted == "auto" else wanted


def _without_held_out(dataset, share):
    """The dataset as trained on and evaluated: with `train.validation`, a share of it is evaluated."""
    try:
        return held_out(dataset, share) if share else dataset
    except ValueError as error:
        raise ConfigError(f"train.validation={share!r}: {error}") from error


def _on_device(array, precision, mesh):
    array = np.asarray(array)
    array = jnp.asarray(array, precision if array.dtype.kind == "f" else None)
    return array if mesh is None else jax.device_put(array, on_all(mesh))


def _pad(rows, length):
    padded = np.zeros((length, *rows.shape[1:]), rows.dtype)
    padded[: len(rows)] = rows
    return padded
