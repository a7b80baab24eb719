"""A training as a run carries it: its programs in the place of what a config would assemble.

The state is flat leaves; the names that its places had in the training are kept in the run, so that the
training's own checkpoints are found.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.execution.checkpoints import Kept
from gdlab.exported import Functions
from gdlab.exported.trees import data_of
from gdlab.plan.targets import ConfigError
from gdlab.records import LineSearchTrace, StepInfo
from gdlab.store import StoreError

NEEDED = ("loss", "start", "chunk", "updates")


class State(NamedTuple):
    """params: nested dicts; step: (); leaves: all of the training's state, in order."""

    params: Any
    step: Any
    leaves: list[Any]


class CarriedTraining:
    """As a `gdlab.training.loop.Training`, from the functions of a run.

    searches: whether iterations search along a line. Raises ConfigError where a program is missing.
    """

    def __init__(self, functions: Functions):
        missing = [name for name in NEEDED if name not in functions.names]
        if missing:
            told = " ".join(note for note in functions.notes if note.startswith(tuple(missing)))
            raise ConfigError(
                f"the run carries no {', '.join(missing)}, so it cannot be replayed. {told}".strip()
            )
        self._functions = functions
        self._state, self._steps = functions.trees["state"], functions.trees["steps"]
        self.length = self._steps[0].shape[0]
        self.searches = functions.facts.get("searches") is True
        self.several_descents = functions.facts.get("several_descents") is True
        self._names, self._kept = (_texts(functions.facts.get(name)) for name in ("state", "kept"))
        if len(self._names) != len(self._state):
            raise ConfigError("functions.json: facts.state: a name for each leaf of the state is expected")
        self._init, self._chunk = jax.jit(self._started), jax.jit(self._advanced)
        self._moved = jax.jit(lambda *leaves: functions.call("updates", *leaves))

    def init(self, key: jax.Array, data: Any) -> State:
        """The state before the first iteration."""
        return self._made(self._init(key, data))

    def chunk(self, state: State, data: Any, key: jax.Array, steps: Any, count: int) -> tuple:
        """As `Training.chunk`, but that nothing is collected."""
        return self._chunk(state, data, key, steps, jnp.int32(count))

    def updates(self, before: Any, state: State, info: StepInfo) -> Any:
        """The step that an iteration from the parameters `before` took."""
        params = self._functions.to_leaves(before)
        leaves = self._moved(*params, *state.leaves, jnp.asarray(info.step_size))
        return self._functions.to_tree(leaves)

    def latest(self, checkpoints: Any, fresh: State, iteration: int) -> Kept:
        """As `Checkpoints.latest`; states that another form of checkpoint keeps are passed over."""
        where = {name: number for number, name in enumerate(self._names)}
        kept = [name for name in self._kept if name in where]
        like = Named(tuple(kept), [fresh.leaves[where[name]] for name in kept])
        try:
            found = checkpoints.latest(like, iteration)
        except StoreError:
            return Kept(0, None, {}, [])
        if found.state is None:
            return found
        leaves = list(fresh.leaves)
        for name, leaf in zip(kept, found.state.leaves, strict=True):
            leaves[where[name]] = leaf
        return found._replace(state=self._made(leaves))

    def _started(self, key, data):
        return self._functions.call("start", *data_of(data), *data_of(key))

    def _advanced(self, state, data, key, steps, count):
        given = [*state.leaves, *data_of(data), *data_of(key), *data_of(steps), count]
        found = self._functions.call("chunk", *given)
        gives = self._functions.trees["chunked"]
        infos: dict[str, Any] = {"line_search": None}
        parts: dict[str, list[Any]] = {"state": [], "done": []}
        for leaf, value in zip(gives, found, strict=True):
            first, *rest = leaf.path
            if first == "infos":
                infos[rest[0]] = LineSearchTrace(value) if rest[0] == "line_search" else value
            else:
                parts[first].append(value)
        return self._made(parts["state"]), StepInfo(**infos), None, parts["done"][0]

    def _made(self, leaves):
        params = {
            leaf.path[1:]: value
            for leaf, value in zip(self._state, leaves, strict=True)
            if leaf.path[0] == "params"
        }
        (step,) = (value for leaf, value in zip(self._state, leaves, strict=True) if leaf.path == ("step",))
        ordered = [params[leaf.path] for leaf in self._functions.trees["params"]]
        return State(self._functions.to_tree(ordered), step, list(leaves))


def _texts(fact):
    return fact if isinstance(fact, tuple) else ()


class _Name:
    """The key of a leaf in a path of `jax.tree_util`, which is written as its name."""

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name

    def __eq__(self, other):
        return isinstance(other, _Name) and other.name == self.name

    def __hash__(self):
        return hash(self.name)


@jax.tree_util.register_pytree_with_keys_class
class Named:
    """Leaves under the names that they had as parts of a state of other classes."""

    def __init__(self, names: tuple[str, ...], leaves: list[Any]):
        self.names, self.leaves = names, leaves

    def tree_flatten_with_keys(self) -> tuple:
        """As `jax.tree_util` asks for it."""
        return [(_Name(name), leaf) for name, leaf in zip(self.names, self.leaves, strict=True)], self.names

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], leaves: Any) -> "Named":
        """As `jax.tree_util` asks for it."""
        return cls(names, list(leaves))
