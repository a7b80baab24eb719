"""A run's tables as pandas and xarray know them: named columns, with iterations as the index."""

from typing import Any

import numpy as np

from gdlab.store.effects import named_once
from gdlab.store.tables import iterations

TABLES = ("steps", "evaluations")
_INDEX = {"steps": ["iteration"], "evaluations": ["iteration", "j"]}


def to_pandas(run, table: str = "steps") -> Any:
    """See `Run.to_pandas`."""
    try:
        import pandas
    except ImportError:
        raise ImportError("to_pandas needs pandas: pip install pandas") from None
    return pandas.DataFrame(_columns(run, table)).set_index(_INDEX.get(table, ["iteration"]))


def to_xarray(run) -> Any:
    """See `Run.to_xarray`."""
    try:
        import xarray
    except ImportError:
        raise ImportError("to_xarray needs xarray: pip install xarray") from None
    steps, evaluations = (_columns(run, name) for name in TABLES)
    variables = {name: ("iteration", column) for name, column in steps.items() if name != "iteration"}
    variables |= {
        f"search_{name}": ("evaluation", column)
        for name, column in evaluations.items()
        if name not in _INDEX["evaluations"]
    }
    coordinates = {
        "iteration": steps["iteration"],
        "search_iteration": ("evaluation", evaluations["iteration"]),
        "search_j": ("evaluation", evaluations["j"]),
    }
    facts = {
        "name": run.name,
        "state": run.state,
        **_said(named_once(run.summary().get("hyperparameters") or {})),
    }
    return xarray.Dataset(variables, coordinates, facts)


def _columns(run, table):
    # A table of views of one matrix would be copied by whoever changes a column; each is its own.
    columns = {name: np.array(column) for name, column in run.table(table).columns.items()}
    if table == "steps" and "iteration" in run.arrays:
        columns["iteration"] = iterations(run)
    return columns


def _said(options):
    """Options as attributes that netCDF and Zarr can hold."""
    kept = (bool, int, float, str)
    return {key: value if isinstance(value, kept) else str(value) for key, value in options.items()}
