"""Arrays of a recorded loop in a folder from elsewhere that are not what their names say."""

import numpy as np
import pytest

from gdlab import store
from gdlab.recorder.rows import SCALARS
from gdlab.store.tables import iterations

ARRAYS = {
    "metric/a": (store.ArraySpec("f8", ()), np.ones(2)),
    "metric/b": (store.ArraySpec("f8", (2,), ("iteration", "value")), np.full((2, 2), np.nan)),
    "iteration": (store.ArraySpec("i8", (), None, ("row",)), np.array([5, 3])),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_they_are_called_damaged(tmp_path, name):
    spec, rows = ARRAYS[name]
    arrays = {"scalars": SCALARS, name: spec}
    with store.RunWriter.create(tmp_path / "r", config={}, identity={}, arrays=arrays) as writer:
        writer.append({"scalars": np.zeros((2, len(SCALARS.columns))), name: rows})
    run = store.open_run(tmp_path / "r")
    with pytest.raises(store.DamagedRun):
        iterations(run) if name == "iteration" else run.table(name)
