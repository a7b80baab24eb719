"""What a run folder is given: the arrays of a run, the rows before its first iteration and of every chunk."""

import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab import __version__, store
from gdlab.data.fingerprint import differences, fingerprint
from gdlab.execution.identity import identity
from gdlab.execution.own_code import changed_code, code_of
from gdlab.plan.assembly import keeps_layers, keeps_path, size
from gdlab.plan.builder import ConfigError
from gdlab.plan.monitoring import data_facts
from gdlab.plan.soundness import terms_of
from gdlab.plan.unread import check_asked
from gdlab.records import CONVERGED, DIVERGED, LINE_SEARCH_FAILED, STEP_COLUMNS, TRACE_COLUMNS
from gdlab.store import migrations
from gdlab.store.config import load_as_written
from gdlab.store.effects import is_of_recorder
from gdlab.training import collection
from gdlab.training.packing import scalar_rows, trace_rows

# How an iteration's status ends a run: its state, and why.
ENDINGS = {
    CONVERGED: ("finished", "the gradient is zero at iteration {k}"),
    LINE_SEARCH_FAILED: ("finished", "the line search can do no more at iteration {k}"),
    DIVERGED: ("diverged", "the error is not finite after iteration {k}"),
}


def arrays_of(assembly, params, watchers):
    """{name: ArraySpec} of what a run records; watchers: as of `gdlab.plan.monitoring.row_watchers`."""
    arrays = {
        "scalars": store.ArraySpec(dtype="f8", row_shape=(len(STEP_COLUMNS),), columns=STEP_COLUMNS),
        "ls_eval": store.ArraySpec(dtype="f8", row_shape=(len(TRACE_COLUMNS),), columns=TRACE_COLUMNS),
        "ls_end": store.ArraySpec(dtype="i8", row_shape=()),
    }
    kept = {"path": keeps_path(assembly), "layers": keeps_layers(assembly)}
    arrays |= collection.specs(params, **kept, terms=terms_of(assembly))
    for watcher, _ in watchers:
        arrays |= watcher.specs()
    return arrays


def facts_of(assembly):
    """What a run's identity says: the process, the precision, the size of the problem."""
    plan = assembly.plan
    facts = {**identity(), "gdlab": __version__, "precision": plan.precision, "code": code_of(plan.config)}
    if assembly.dataset is not None:
        facts["data"] = fingerprint(assembly.dataset)
    return facts | {"parameters": size(assembly), **data_facts(assembly)}


def check_same_sources(run, facts):
    """A sentence where nothing is known of the data that `run` was trained on, None where they are these.

    facts: as of `facts_of`, today. Raises ConfigError where they are others, or where code of one's own is
    another, with which it must not go on.
    """
    last = [run.identity, *run.sessions][-1]
    other = changed_code(last.get("code"), facts["code"])
    if other:
        raise ConfigError(
            f"{run.path}: {'; '.join(other)}; put it back to continue this run, or choose another folder"
        )
    known, current = run.identity.get("data"), facts.get("data")
    if current is None:
        return None
    if not isinstance(known, dict):
        return "whether the data are still those of its beginning cannot be checked: none were noted then"
    changed = differences(known, current)
    if changed:
        raise ConfigError(
            f"{run.path}: {'; '.join(changed)}; put them back to continue this run, or choose another folder"
        )
    return None


def path_start(params):
    """Rows of the path before the first iteration."""
    return {"path": np.asarray(ravel_pytree(params)[0])[None], "path_step": np.zeros(1, np.int64)}


def chunk_rows(infos, collected, *, step, done, descent, epoch, seconds, evaluations):
    """(rows, evaluations) of a chunk that began at iteration `step`.

    Args:
      infos, collected: NumPy arrays [T, ...], the first `done` in use.
      descent, epoch, seconds: [>= done].
      evaluations: how many rows of line searches are recorded so far; returned with those of the chunk.
    """
    rows = {"scalars": scalar_rows(infos, done, descent, epoch, seconds)}
    if infos.line_search is not None:
        rows["ls_eval"], found = trace_rows(infos.line_search, done)
        rows["ls_end"] = evaluations + np.cumsum(found)
        evaluations += len(rows["ls_eval"])
    else:
        rows["ls_end"] = np.full(done, evaluations)
    return rows | collection.rows(collected, step, done), evaluations


def continued(folder):
    """(seconds trained, evaluations recorded) of what the folder holds so far."""
    run = store.open_run(folder)
    rows = run.rows("scalars")
    last = run.array("scalars", rows - 1)[0] if rows else np.zeros(len(STEP_COLUMNS))
    return float(last[STEP_COLUMNS.index("seconds")]), run.rows("ls_eval")


def begun(folder):
    """The Run in `folder`; None where there is none yet, or one that was never committed."""
    try:
        return store.open_run(folder)
    except (store.NotARun, store.HalfWritten):
        return None


def check_ours(config, name):
    """ConfigError where a run was only looked at by a Recorder: gdlab has none of its functions."""
    if is_of_recorder(config):
        raise ConfigError(
            f"{name} was recorded from a loop of its own: it has no config that gdlab could train by. What "
            "the loop handed over to its Recorder (loss=, step=, params=, ...) gdlab.open_replay opens"
        )


def as_begun(config, folder):
    """`config` with every option of today; where a run was begun in `folder`, as `migrations.as_recorded`.

    Raises ConfigError where nothing was begun and it holds numbers out of range, or options without effect.
    """
    check_ours(config, folder)
    begins = not begun(folder)
    try:
        config = migrations.as_recorded(config if begins else load_as_written(folder), config)
    except ValueError as error:
        raise ConfigError(f"config: {error}") from None
    if begins:
        check_asked(config)
    return config


def group_of(folder):
    """What a run's identity says of its group; {} for a run alone, None for no run."""
    run = begun(folder)
    return None if run is None else run.identity.get("group", {})
