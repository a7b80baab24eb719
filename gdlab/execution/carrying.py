"""gdlab's own runs carry their functions: the problem's, and the training itself as a program.

With them, who has none of the code that a config names, or does not trust it, may look at the run and
replay it: what is run is the program that was compiled, not the code.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.execution.checkpoints import kept_part
from gdlab.execution.own_code import names_own_code
from gdlab.exported.writing import Wanted, write
from gdlab.monitors.evaluation import BLOCK
from gdlab.monitors.validation import CALIBRATION
from gdlab.optim.search_state import TELLING_STATES, search_state
from gdlab.optim.searching import scaled
from gdlab.plan.sections import Plan
from gdlab.store import StoreError
from gdlab.training.iteration import has_search


def wanted(plan: Plan) -> bool:
    """Whether a training puts its functions into its run."""
    asked = plan.record.functions
    return names_own_code(plan.config) if isinstance(asked, str) else asked


def carry(folder, assembly, training, state) -> list[str]:
    """Put the functions of a training into its run; sentences about what could not be exported.

    Nothing of it ends a training: what the store refuses is a sentence, too.
    """
    facts = {
        "additive": bool(assembly.problem.additive),
        "searches": bool(has_search(state.opt_state)),
        "several_descents": bool(assembly.several_descents),
        "state": _places(state),
        "kept": _places(kept_part(state)),
    }
    try:
        notes = write(
            folder, [*_of_problem(assembly, state.params), *_of_training(assembly, training, state)], facts
        )
    except (StoreError, ImportError, ValueError) as error:
        return [f"the run carries no functions: {error}"]
    return notes


def updates_of(before, state, step_size):
    """The step taken: eta_k d_k where the optimizer keeps its direction, else theta_{k+1} - theta_k."""
    found = search_state(state.opt_state)
    if not isinstance(found, TELLING_STATES):
        return jax.tree.map(lambda old, new: new - old, before, state.params)
    return scaled(step_size, found.direction)


def _of_problem(assembly, params):
    """[Wanted] of the problem."""
    problem, batch = assembly.problem, _shapes(assembly.batch(0))
    found = []
    for name, loss in (("loss", problem.loss), ("data_loss", problem.data_loss)):
        if loss is not None:
            found += losses_of(name, loss, {"params": params, "batch": batch}, assembly.key)
    x = None if assembly.data is None else assembly.data.get("x")
    if x is None:
        return found
    some = {"params": params, "x": _first(x, BLOCK)}
    statistics = None
    if problem.statistics is not None:
        many = {"params": params, "x": _first(x, CALIBRATION)}
        statistics = jax.eval_shape(problem.statistics, *many.values())
        found.append(Wanted("statistics", problem.statistics, many, "statistics"))
    for name, gives in (("predict", "outputs"), ("activations", "layers")):
        function = getattr(problem, name)
        if function is None:
            continue
        found.append(Wanted(name, function, some, gives, symbolic=("x",), pull=name == "predict"))
        if statistics is not None:
            more = {**some, "statistics": statistics}
            pull = name == "predict"
            found.append(Wanted(f"{name}_statistics", function, more, gives, symbolic=("x",), pull=pull))
    return found


def losses_of(name, loss, takes, key) -> list[Wanted]:
    """A loss to be carried, and it with a random key where it depends on one.

    takes: examples {"params", "batch"}; key: a random key. In the layout with images last, too, for images.
    """
    images = any(len(leaf.shape) == 4 for leaf in jax.tree.leaves(takes["batch"]))
    common: dict[str, Any] = {"symbolic": ("batch",), "loss": True, "images_last": images}
    found = [Wanted(name, lambda p, b: loss(p, b, key=None), takes, "scalar", **common)]
    if _depends_on_key(loss, takes, key):
        call: Callable = lambda p, b, k: loss(p, b, key=k)  # noqa: E731
        found.append(Wanted(f"{name}_key", call, {**takes, "key": key}, "scalar", **common))
    return found


def _depends_on_key(loss, takes, key):
    traced = jax.make_jaxpr(lambda k, p, b: loss(p, b, key=k))(key, *takes.values()).jaxpr
    return any(traced.invars[0] in equation.invars for equation in traced.eqns)


def _of_training(assembly, training, state):
    """[Wanted]: the start, a chunk of iterations, and the step that one of them took."""
    steps, _, _ = assembly.steps(0, 1, training.length)
    number = jax.ShapeDtypeStruct((), jnp.int32)

    def chunk(state, data, key, steps, count):
        after, infos, _, done = training.chunk(state, data, key, steps, count)
        return {"state": after, "infos": infos, "done": done}

    common = {"data": _shapes(assembly.data), "key": assembly.key}
    takes = {"state": state, **common, "steps": steps, "count": number}
    rate = jax.eval_shape(chunk, *takes.values())["infos"].step_size
    one = {"params": state.params, "state": state, "step_size": jax.ShapeDtypeStruct((), rate.dtype)}
    return [
        Wanted("start", lambda data, key: training.init(key, data), common, "state"),
        Wanted("chunk", chunk, takes, "chunked"),
        Wanted("updates", updates_of, one, "params"),
    ]


def _first(x, count):
    return jax.ShapeDtypeStruct((min(count, len(x)), *x.shape[1:]), x.dtype)


def _shapes(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def _places(tree):
    return tuple(jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree))
