"""Trainings, groups, probes and extensions killed again and again: what they leave goes on to the same bits.

    python -m tests.kill_loop [--kills 200] [--seed 0] [--subjects training group probe extension]

Each subject is carried out once undisturbed. Then it is begun in a process that gets SIGKILL at a random
moment, begun again in the same folder by the same call, and so on until one of them comes to its end; what
stands there has to be, to the bit, what stands there undisturbed. Ends with status 1 where it is not.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.composing import composed

PRELOADED = [
    "gdlab.experiment",
    "gdlab.ensemble",
    "gdlab.commands.extend_task",
    "gdlab.execution.probing",
    "tests.composing",
]
OFTEN = {"checkpoint_seconds": 0.05, "commit_seconds": 0.02}
STEPS = 600


def training(folder):
    """Descents on mini-batches in float32."""
    from gdlab import experiment

    experiment.run(_config("experiment=digits_cg", f"train.steps={STEPS}"), folder / "run", progress=False)


def group(folder):
    """Three runs as one program."""
    from gdlab import ensemble

    rates = (0.05, 0.1, 0.2)
    configs = [
        _config("experiment=digits_sgd", f"train.steps={STEPS}", f"optimizer.learning_rate={rate}")
        for rate in rates
    ]
    outcomes = ensemble.train(configs, [folder / str(rate) for rate in rates], progress=False)
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error


def probe(folder):
    """A recorded run's segments, which are kept as they are computed."""
    from gdlab.execution.probing import run_probe

    table = run_probe(folder / "run", "segments", {"start": 0, "stop": 40})
    np.savez(folder / "table.npz", **table.columns)


def extension(folder):
    """A finished run trained on, several times as long."""
    from gdlab.commands.extend_task import extend

    extend(folder / "run", 2 * STEPS, progress=False)


PREPARED = {"probe": training, "extension": training}
SUBJECTS = {work.__name__: work for work in (training, group, probe, extension)}


def main():
    """Kills what was asked for and prints how often, and what was found; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="of all subjects together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subjects", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    options = parser.parse_args()
    rng, wrong = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as root:
        os.environ["XDG_STATE_HOME"] = root
        for name in options.subjects:
            kills, rounds, bad = loop(name, options.kills // len(options.subjects), rng, Path(root) / name)
            said = "; ".join(bad) or "the same bits"
            print(f"{name:10} killed {kills:4} times, came to its end {rounds:3} times: {said}", flush=True)
            wrong += len(bad)
    return 1 if wrong else 0


def loop(name, kills, rng, root):
    """(kills, times it came to its end, [what was wrong]) of one subject; kills: how many at least."""
    started = multiprocessing.get_context("forkserver")
    started.set_forkserver_preload(PRELOADED)
    root.mkdir(parents=True)
    prepared = root / "prepared"
    prepared.mkdir()
    if name in PREPARED:
        _carry_out(started, PREPARED[name].__name__, prepared, None)
    # Once in vain: compiled programs are kept, and the moments are to fall where the work is done.
    _carry_out(started, name, shutil.copytree(prepared, root / "warm"), None)
    whole = shutil.copytree(prepared, root / "whole")
    begun = time.monotonic()
    _carry_out(started, name, whole, None)
    lasts, wanted = time.monotonic() - begun, contents(whole)
    killed = rounds = 0
    bad = []
    while killed < kills or not rounds:
        folder = shutil.copytree(prepared, root / f"round{rounds}")
        while _carry_out(started, name, folder, rng.uniform(0.1, 1.0) * lasts if killed < kills else None):
            killed += 1
        rounds += 1
        found = contents(folder)
        bad += [
            f"{key} differs in round {rounds}" for key in wanted if not _same(found.get(key), wanted[key])
        ]
        shutil.rmtree(folder)
    return killed, rounds, bad


def contents(folder):
    """{name: array} of all that the runs and tables below a folder hold, except the clock."""
    from gdlab import store

    found = {}
    for path in sorted(folder.rglob("log.zarr")):
        run = store.open_run(path.parent)
        arrays = {name: np.array(run.array(name)) for name in run.arrays}
        arrays["scalars"][:, run.columns("scalars").index("seconds")] = 0
        where = path.parent.relative_to(folder)
        found |= {f"{where}/{name}": array for name, array in arrays.items()}
        found[f"{where} state"] = np.array(run.state)
        found[f"{where} damage"] = np.array([str(error) for error in run.verify()])
    for path in folder.glob("*.npz"):
        with np.load(path) as table:
            found |= {f"{path.name} {name}": table[name] for name in table.files}
    return found


def _same(found, wanted):
    return found is not None and found.dtype == wanted.dtype and np.array_equal(
        found, wanted, equal_nan=wanted.dtype.kind == "f"
    )  # fmt: skip


def _carry_out(started, name, folder, seconds):
    """Whether the subject, in a process of its own, was killed after `seconds`; None: it is left alone."""
    process = started.Process(target=_work, args=(name, folder))
    process.start()
    process.join(seconds)
    killed = process.is_alive()
    if killed:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    if not killed and process.exitcode:
        raise RuntimeError(f"{name} ended with {process.exitcode} in {folder}")
    return killed


def _work(name, folder):
    os.environ["JAX_PLATFORMS"] = "cpu"
    with contextlib.redirect_stdout(sys.stderr):
        SUBJECTS[name](folder)


def _config(*overrides):
    config = composed(*overrides)
    config["record"].update(OFTEN)
    return config


if __name__ == "__main__":
    sys.exit(main())
