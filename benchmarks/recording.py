"""What recording costs: the training as it is recorded beside the same loop that keeps nothing.

    python -m benchmarks.recording [--data-dir FOLDER] [--rounds 15] [--only rosenbrock mlp mnist]

Per case and iteration: the bare loop (the training's own chunk; no trace, path or layers, nothing written),
the loop with the trace, with trace and path, and the whole recording: rows packed and appended, and
the share of a commit, which comes twice a second. All variants take turns, chunk by chunk, and every
chunk begins at the start, so that all search alike (the evaluations are shown; rounding may part them
later on); of each the least disturbed chunk counts, since a machine has other work too. Aim: at most
5 % or 25 us per iteration, whichever is larger. Nothing here is asserted.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gdlab.app_path import conf_dir
from gdlab.data.dataset import Dataset
from gdlab.execution.session import session_of
from gdlab.plan import assembly
from gdlab.plan.options import plan_of
from gdlab.problems import rosenbrock
from gdlab.records import Problem

AIM_SHARE, AIM_MICROSECONDS = 0.05, 25.0
VARIANTS = {
    "bare": {"trace": False, "path": False, "layers": False},
    "trace": {"trace": True, "path": False, "layers": False},
    "trace + path": {"trace": True, "path": True, "layers": False},
}
# Overrides; recorded with the path or not, as it is by default; iterations per chunk, about 0.25 s of them.
CASES = {
    "rosenbrock": ((), True, 400),
    "mlp": (
        (
            "experiment=digits_cg",
            "model.features=[256,128,10]",
            "train.descent_length=10",
        ),
        False,
        60,
    ),
    "mnist": (("experiment=mnist_cg",), True, 2),
}


def valleys(*, count: int = 50):
    """A Dataset of `count` places in the plane: where Rosenbrock's valley lies in turn."""
    places = np.random.default_rng(0).normal(size=(count, 2))
    return Dataset("valleys", {"x": places, "y": np.zeros(count, np.int32)}, None, ("valley",))


def moving_valley(*, data):
    """Rosenbrock's function around a place that changes with the batch: a 2-D descent without end."""
    del data
    still = rosenbrock()

    def loss(params, batch, *, key=None):
        return still.loss(params - jnp.mean(batch["x"], axis=0), None, key=key)

    return Problem(still.init, loss)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="folder of MNIST's files; without it that case is left out")
    parser.add_argument("--rounds", type=int, default=15, help="chunks of every variant")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    os.environ["GDLAB_TARGETS"] = "benchmarks.recording"
    header = f"{'case':<12}{'p':>8}{'variant':>16}{'evaluations':>13}"
    print(f"{header}{'us/iteration':>14}{'over bare':>12}{'share':>8}  aim")
    for name in options.only:
        if name == "mnist" and options.data_dir is None:
            print(f"{name:<12} left out: give --data-dir")
            continue
        with tempfile.TemporaryDirectory() as folder:
            report(name, *measure(name, options, Path(folder)))


def report(name, size, least, evaluations):
    """Print one case: the least time [us per iteration] of every variant, the bare loop first."""
    bare = least["bare"]
    for variant, value in least.items():
        over = value - bare
        aim = ""
        if variant == "recorded":
            allowed = max(AIM_SHARE * bare, AIM_MICROSECONDS)
            aim = f"{'met' if over <= allowed else 'MISSED'} (at most {allowed:.1f})"
        numbers = f"{evaluations[variant]:>13.2f}{value:>14.1f}{over:>12.1f}{over / bare:>8.1%}"
        print(f"{name:<12}{size:>8}{variant:>16}{numbers}  {aim}", flush=True)


def measure(name, options, folder):
    """(p, {variant: least microseconds per iteration}, {variant: evaluations per iteration}) of a case."""
    overrides, with_path, count = CASES[name]
    config = composed(name, options.data_dir, overrides, count)
    with plan_of(config).in_precision():
        return _measured(config, with_path, count, options.rounds, folder)


def _measured(config, with_path, count, rounds, folder):
    runners = {
        variant: _loop(config | {"record": config["record"] | changes}, count)
        for variant, changes in VARIANTS.items()
    }
    config["record"]["path"] = with_path
    writing = session_of(config, folder / "run")
    runners["recorded"] = _recording(writing, count)
    seconds, evaluations = {variant: [] for variant in runners}, {}
    try:
        for number in range(rounds + 1):
            for variant, run in runners.items():
                elapsed, evaluations[variant] = run()
                if number:  # the first one compiles
                    seconds[variant].append(elapsed)
    finally:
        writing.members[0].writer.close()
    least = {variant: min(values) / count * 1e6 for variant, values in seconds.items()}
    each = {variant: number / count for variant, number in evaluations.items()}
    return assembly.size(writing.assembly), least, each


def composed(name, data_dir, overrides, steps):
    """The plain config of a case."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", [f"name={name}", *overrides]), resolve=True)
    config["train"]["steps"] = steps
    config["data_dir"] = data_dir
    if name == "rosenbrock":
        config["problem"] = {"_target_": "benchmarks.recording.moving_valley"}
        config["dataset"] = {"_target_": "benchmarks.recording.valleys"}
        config["precision"] = "float64"
        config["train"] |= {"batches": 50, "descent_length": 20}
    return config


def _loop(config, count):
    """() -> (seconds, evaluations) of the first `count` iterations of the loop alone."""
    built = assembly.assemble(plan_of(config))
    training = assembly.training(built)
    state = training.init(built.key, built.data)

    def run():
        begun = time.perf_counter()
        steps, _, _ = built.steps(0, count, training.length)
        after = training.chunk(state, built.data, built.key, steps, count)
        jax.block_until_ready(after)
        return time.perf_counter() - begun, int(after[1].evaluations.sum())

    return run


def _recording(writing, count):
    """() -> (seconds, evaluations) of the same iterations, recorded, with their share of a commit."""
    (member,) = writing.members
    start, recorded = writing.state, member.evaluations

    def run():
        nonlocal recorded
        writing.state, writing.step = start, 0
        begun = time.perf_counter()
        writing._chunk(count)
        elapsed = time.perf_counter() - begun
        begun = time.perf_counter()
        member.commit()
        commit = time.perf_counter() - begun
        evaluations, recorded = member.evaluations - recorded, member.evaluations
        return elapsed + commit * elapsed / writing.record.commit_seconds, evaluations

    return run


if __name__ == "__main__":
    main()
