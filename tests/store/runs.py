"""A deterministic run for the store's tests: every value follows from its row number.

So a reader in another process can tell from the rows alone whether it saw a consistent commit.
"""

import json

import numpy as np

from gdlab import store
from gdlab.records import STEP_COLUMNS, TRACE_COLUMNS
from gdlab.store import checksums

WIDTH, FIELDS = len(STEP_COLUMNS), len(TRACE_COLUMNS)
CONFIG = {
    "optimizer": {"sigma": 0.1, "beta": "polak_ribiere"},
    "train": {"steps": 100, "devices": 1},
    "seed": 0,
}
ARRAYS = {
    "scalars": store.ArraySpec("f8", (WIDTH,), STEP_COLUMNS),
    "ls_eval": store.ArraySpec("f8", (FIELDS,), TRACE_COLUMNS),
    "ls_end": store.ArraySpec("i8"),
    "path": store.ArraySpec("f4", (3,)),
    "path_step": store.ArraySpec("i8"),
}


def edit(path, change):
    """Apply `change` to the parsed commit record and write it back with the checksum that fits."""
    file = path / "log.zarr" / "zarr.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_bytes(resealed(document))


def resealed(document):
    """A commit record as bytes with the checksum that fits it."""
    attributes = document.get("attributes")
    facts = attributes.get("gdlab") if isinstance(attributes, dict) else None
    if not isinstance(facts, dict) or "checksum" not in facts:
        return json.dumps(document).encode()
    facts = {key: value for key, value in facts.items() if key != "checksum"}
    rest = {key: value for key, value in document.items() if key != "attributes"}
    return checksums.sealed({**rest, "attributes": {"gdlab": checksums.placed(facts)}})


def begin(path, config=CONFIG, arrays=ARRAYS, **options):
    """A new writer."""
    return store.RunWriter.create(
        path, config=config, identity={"numpy": np.__version__}, arrays=arrays, **options
    )


def rows(start, stop):
    """The rows of iterations [start, stop) of all arrays; iteration k has 1 + k % 3 evaluations."""
    k = np.arange(start, stop)
    first, last = ends(start), ends(stop)
    e = np.arange(first, last)
    return {
        "scalars": scalars(k),
        "ls_eval": np.sqrt(e)[:, None] - np.arange(FIELDS),
        "ls_end": np.array([ends(i + 1) for i in k], np.int64),
        "path": (k[:, None] + np.arange(3) / 4).astype("f4"),
        "path_step": k,
    }


def scalars(k):
    """Row k of "scalars" [n, S]: column j holds cos((j + 1) k), so every value is finite and differs."""
    return np.cos(np.asarray(k)[:, None] * (1.0 + np.arange(WIDTH)))


def ends(k):
    """Evaluations before iteration k."""
    return 3 * 2 * (k // 3) + (0, 1, 3)[k % 3]


def record(path, steps, commit_every=7, state="finished", **options):
    """A whole run of `steps` iterations."""
    with begin(path, **options) as writer:
        for start in range(0, steps, commit_every):
            writer.append(rows(start, min(start + commit_every, steps)))
            writer.commit()
        writer.set_status(state)


def check(run):
    """Every committed row is as it should be and all arrays fit together."""
    steps = run.rows("scalars")
    wanted = rows(0, steps)
    for name in ARRAYS:
        np.testing.assert_array_equal(run.array(name), wanted[name], err_msg=name)
    table = run.envelope("grad_norm", points=3 + steps // 40)
    np.testing.assert_array_equal(
        table.columns["minimum"].min(initial=np.inf), wanted["scalars"][:, 2].min(initial=np.inf)
    )
    return steps
