"""Probes from the command line: on a recorded run by `task=probe`, and at the end of a training.

    python -m gdlab task=probe run=runs/rosenbrock probe=smoothness probe.stop=20 output=smoothness.csv

Probes that keep their results (segments, surfaces) leave them in the run folder, so a page shows them
at once; any probe's Table is written where `output` says.
"""

import csv
import io
import json
import os
import tempfile
from itertools import zip_longest
from pathlib import Path

import numpy as np

from gdlab.execution.difference import proof, remarks, said
from gdlab.execution.probing import check_options, run_probe
from gdlab.execution.progress import Progress
from gdlab.plan.builder import ConfigError, check, nearest, short
from gdlab.plan.ranges import check_ranges
from gdlab.plan.sources import around, as_recorded

FORMATS = (".npz", ".csv")


class ReplayDiffers(ConfigError):
    """What was computed is not of the training that the record tells of."""


def probe_task(config, *, progress=True):
    """Run the probe that `config` describes: its `run` (folder), `probe` (node) and `output` (file or null).

    The run may be anybody's, so its data are read from `data_dir`, which the command gives, and not from
    where its own config says. Returns the Table.

    Raises:
      ConfigError: run or probe is missing or unknown, or the output's format; and what the probe raises.
      ReplayDiffers: the replay is not the recorded training, and `accept_difference` is not true. The output
        is written then, too, and says so.
    """
    if not isinstance(config.get("accept_difference", False), bool):
        raise ConfigError(f"accept_difference={config['accept_difference']!r}: allowed: true, false")
    if not config.get("run"):
        raise ConfigError("task=probe needs the folder of a recorded run: run=runs/NAME")
    if not config.get("probe"):
        raise ConfigError("task=probe needs a probe: probe=NAME, as in conf/probe or --config-dir")
    output = _checked(config.get("output"))
    run = Path(config["run"])
    places = around(run, [config["data_dir"]] if config.get("data_dir") else [])
    table = _run(run, config["probe"], "probe", progress, places)
    if output is not None:
        save(table, output)
    different = said(table.attrs)
    if different and not config.get("accept_difference", False):
        written = "" if output is None else f" {output} is written and says so."
        raise ReplayDiffers(f"{different}{written} accept_difference=true takes it as it is.")
    if progress:
        told = " ".join(filter(None, (proof(table.attrs), remarks(table.attrs))))
        if told:
            Progress(f"{run.name} {_named(config['probe'], 'probe')}", 0).say(told)
    return table


def run_probes(nodes, folder, *, config=None, progress=True):
    """Run the probes configured for the end of a training; nodes: {name: node}.

    config: what was trained by the command at hand, whose paths may be followed; None: of a run of anybody's.

    Returns {name: Table, or the ValueError that kept it from being made}: one probe's failure keeps
    neither the others nor the training from being kept.
    """
    tables = {}
    places = around(folder) if config is None else as_recorded(config)
    for name, node in nodes.items():
        try:
            tables[name] = _run(folder, node, f"probes.{name}", progress, places)
        except (ValueError, OSError) as error:
            tables[name] = error
            if progress:
                Progress(f"{Path(folder).name} {name}", 0).say(f"probe failed: {error}")
    return tables


def check_probes(nodes):
    """Refuse probes that could not be run, before the training begins; raises ConfigError."""
    if not isinstance(nodes, dict):
        raise ConfigError(f"probes={nodes!r}: allowed: a mapping of names to probes, as in conf/probe")
    for name, node in nodes.items():
        _named(node, f"probes.{name}")


def save(table, path):
    """Write a Table to PATH.npz (every column, facts as JSON in "attrs") or PATH.csv (columns of its rows).

    Of a replay that differs from the record "attrs" say so under "replay", and a CSV begins with "# ...".
    In one step: a file that is there already stays whole until the new one is. In CSV the rows are along the
    first dimension of the first column, in all that have it; further dimensions become columns "name.0",
    "name.1", ... and columns of fewer rows end in empty cells.
    """
    path = _checked(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            if path.suffix == ".npz":
                facts = json.dumps(table.attrs, default=_plain)
                np.savez(file, **table.columns, attrs=np.array(facts))
            else:
                file.write(_csv(table).encode())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _run(folder, node, where, progress, places):
    name = _named(node, where)
    label = f"{folder.name} {name}"
    with Progress(label, 100, unit="%") as shown:
        report = shown.share if progress else lambda fraction, text: None
        table = run_probe(folder, name, _options(node), report, places=places)
    if progress:
        shapes = ", ".join(f"{key} {list(np.shape(array))}" for key, array in table.columns.items())
        shown.say(shapes)
    return table


def _named(node, where):
    """The probe's name, as `run_probe` takes it: NAME of `gdlab.probes.NAME.compute`, MODULE.FUNCTION of
    what GDLAB_TARGETS allows."""
    target = node.get("_target_", "") if isinstance(node, dict) else ""
    parts = target.split(".") if isinstance(target, str) else []
    ours = len(parts) == 4 and parts[:2] == ["gdlab", "probes"] and parts[3] == "compute"
    if not ours and (len(parts) < 2 or parts[0] == "gdlab"):
        raise ConfigError(
            f"{where}._target_={short(target)}: allowed: gdlab.probes.NAME.compute, or MODULE.FUNCTION of "
            "your own, which GDLAB_TARGETS allows"
        )
    check(node, where, ("probe",))
    check_ranges({"probe": node})
    name = parts[2] if ours else target
    check_options(name, _options(node))
    return name


def _options(node):
    return {key: value for key, value in node.items() if not key.startswith("_")}


def _checked(output):
    if output is None:
        return None
    path = Path(str(output))
    if path.suffix not in FORMATS:
        hint = nearest(path.suffix, FORMATS)
        raise ConfigError(f"output={output}: allowed: a file that ends in {' or '.join(FORMATS)}.{hint}")
    if path.is_dir():
        raise ConfigError(f"output={output}: a folder of this name is there; give the name of a file")
    there = next(parent for parent in (path.parent, *path.parent.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"output={output}: {there} is no folder that can be written; choose another place")
    return path


def _csv(table):
    columns: dict[str, list] = {}
    rows = next(iter(table.dims.get(next(iter(table.columns), ""), ())), None)  # those of the first column
    for name, array in table.columns.items():
        values = np.atleast_1d(np.asarray(array))
        if values.ndim > 1 and rows in (dims := tuple(table.dims.get(name, ()))) and len(dims) == values.ndim:
            values = np.moveaxis(values, dims.index(rows), 0)
        if values.ndim == 1:
            columns[name] = values.tolist()
        else:
            flat = values.reshape(len(values), -1)
            columns |= {f"{name}.{i}": flat[:, i].tolist() for i in range(flat.shape[1])}
    out = io.StringIO()
    if different := remarks(table.attrs or {}):
        out.write(f"# {different}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    cells = zip_longest(*columns.values(), fillvalue="")
    writer.writerows([_harmless(cell) for cell in row] for row in cells)
    return out.getvalue()


def _harmless(cell):
    """A cell as text: spreadsheets run what begins with one of these as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else str(value)
