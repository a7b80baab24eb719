"""A sweep by every way of running it, side by side: basic, joblib, the vmap launcher, task=ensemble.

    python -m benchmarks.ensemble [--rates 11] [--momenta 11] [--steps 200] [--data-dir FOLDER] [--rounds 5]

Each way trains the same grid of a small network on handwritten digits in a process and a folder of its own,
with an empty compilation cache. Wall time is that of the whole command; of it, apart: composing configs,
compiling, training, writing (of joblib, whose jobs run in processes of their own, the whole alone). With
--data-dir also the network of `hamid_mnist`: time per run and step in groups of several widths over that of
the single run, measured in turns. Aims: the vmap launcher 3 and task=ensemble 20 times faster than basic; the
network of MNIST, which keeps a CPU busy alone, no slower than alone. Nothing here is asserted.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

WAYS = {
    "ensemble": ("task=ensemble",),
    "vmap": ("-m", "hydra/launcher=vmap"),
    "joblib": ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "basic": ("-m", "hydra/launcher=basic"),
}
PARTS = ("composing", "compiling", "training", "writing")
WIDTHS = (1, 2, 4)
_spent = dict.fromkeys(PARTS, 0.0)
_stack = []


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=int, default=11, help="learning rates of the grid")
    parser.add_argument("--momenta", type=int, default=11, help="momenta of the grid")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--data-dir", help="folder of MNIST's files; without it that part is left out")
    parser.add_argument("--rounds", type=int, default=5, help="of the network of MNIST")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.child:
        child(options.child, rest)
        return
    if options.only and options.rates:
        sweeps(options)
    if options.data_dir:
        network(options)


def sweeps(options):
    """Print the ways, each with its wall time, its parts and the largest memory of its process."""
    runs = options.rates * options.momenta
    print(f"{runs} runs of {options.steps} steps, digits, dense 16-10, {os.cpu_count()} cores")
    print(
        f"{'way':<10}{'wall s':>8}{'s/run':>8}"
        + "".join(f"{part:>11}" for part in PARTS)
        + f"{'MB':>7}  width"
    )
    wall = {}
    for way in options.only:
        seconds, report = sweep(way, options)
        wall[way] = seconds
        parts = "".join("          -" if way == "joblib" else f"{report[part]:>11.1f}" for part in PARTS)
        whole = f"{way:<10}{seconds:>8.1f}{seconds / runs:>8.2f}"
        print(f"{whole}{parts}{report['memory']:>7.0f}  {report['width']}", flush=True)
    for way in wall.keys() - {"basic"} if "basic" in wall else ():
        print(f"{way}: {wall['basic'] / wall[way]:.1f} times faster than basic")


def sweep(way, options):
    """(seconds of the whole command, what its process reports)."""
    rates = ",".join(f"{0.001 * (i + 1):.3f}" for i in range(options.rates))
    momenta = ",".join(f"{0.9 * (i + 1) / options.momenta:.4f}" for i in range(options.momenta))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "benchmarks.ensemble", "--child", str(report), *WAYS[way]]
        command += ["experiment=digits_momentum", "model.features=[16,10]", f"train.steps={options.steps}"]
        command += [f"optimizer.learning_rate={rates}", f"optimizer.momentum={momenta}"]
        command += [f"hydra.sweep.dir={folder}/runs", f"hydra.run.dir={folder}/runs"]
        begun = time.perf_counter()
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": f"{folder}/cache"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - begun
        if done.returncode:
            sys.exit(done.stderr)
        trained = sorted((Path(folder) / "runs").glob("*/run.json"))
        if len(trained) != options.rates * options.momenta:
            sys.exit(f"{way}: only {len(trained)} runs were trained\n{done.stderr}")
        width = json.loads(trained[0].read_text())["identity"].get("group", {}).get("width", 1)
        return seconds, {**json.loads(report.read_text()), "width": width}


def child(report, arguments):
    """Run gdlab with these arguments and write where the time went."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from jax import monitoring

    from gdlab import __main__, store
    from gdlab.commands import sweep
    from gdlab.execution import checkpoints, plain_checkpoints
    from gdlab.execution.session import Session

    def compiled(event, seconds, **_):
        if event.startswith("/jax/core/compile/") and "trace" not in event:
            _spent["compiling"] += seconds
            if _stack:
                _spent[_stack[-1]] -= seconds

    monitoring.register_event_duration_secs_listener(compiled)
    _time(ConfigLoaderImpl, "load_sweep_config", "composing")
    _time(sweep, "jobs_of", "composing")
    _time(Session, "_chunk", "training")
    for name in ("append", "commit", "set_status", "close"):
        _time(store.RunWriter, name, "writing")
    _time(checkpoints.Checkpoints, "save", "writing")
    _time(plain_checkpoints, "save", "writing")
    sys.argv = ["gdlab", *arguments]
    try:
        __main__.main()
    finally:
        memory = max(
            resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        Path(report).write_text(json.dumps({**_spent, "memory": memory / 1024}))


def _time(owner, name, part):
    """Count the time in `owner.name` to a part, without what is counted to another one within it."""
    function = getattr(owner, name)

    def timed(*arguments, **options):
        with _counted(part):
            return function(*arguments, **options)

    setattr(owner, name, timed)


@contextmanager
def _counted(part):
    begun = time.perf_counter()
    _stack.append(part)
    try:
        yield
    finally:
        _stack.pop()
        seconds = time.perf_counter() - begun
        _spent[part] += seconds
        if _stack:
            _spent[_stack[-1]] -= seconds


def network(options):
    """Print what a step of a run of hamid_mnist takes in groups, over the single run."""
    from gdlab.ensemble.width import choose_width, footprint
    from gdlab.plan.assembly import assemble
    from gdlab.plan.options import plan_of
    from tests.composing import composed

    config = composed("experiment=hamid_mnist", f"data_dir={options.data_dir}")
    assembly = assemble(plan_of(config))
    largest, total = footprint(assembly)
    chosen = choose_width(assembly, 121)
    print(f"hamid_mnist: intermediates {largest / 2**20:.1f} MB the largest, {total / 2**20:.0f} MB all")
    print(f"{'width':>6}{'ms/run/step':>13}{'alone':>8}{'ratio':>7}   (121 runs: groups of {chosen})")
    for width in sorted({*WIDTHS, chosen}):
        alone, group = measured(assembly, width, options.rounds)
        print(f"{width:>6}{group * 1e3:>13.1f}{alone * 1e3:>8.1f}{alone / group:>7.2f}", flush=True)


def measured(assembly, width, rounds, steps=4):
    """Least seconds per run and step: (alone, in a group of `width`), taking turns."""
    import jax
    import numpy as np

    from benchmarks.timing import least_seconds
    from gdlab.execution.group import make_group, members_of
    from gdlab.plan.assembly import training

    varied = ("optimizer.learning_rate", "optimizer.momentum")
    single, group = training(assembly), make_group(assembly, varied=varied, width=width)
    members = members_of([assembly.plan] * width, varied)
    state, states = single.init(assembly.key, assembly.data), group.init(members)
    rows = [assembly.steps(0, steps, made.length)[0] for made in (single, group)]

    def alone():
        jax.block_until_ready(single.chunk(state, assembly.data, assembly.key, rows[0], steps))

    def together():
        active = np.ones(width, bool)
        jax.block_until_ready(group.chunk(states, assembly.data, members, rows[1], steps, active))

    alone(), together()
    least = least_seconds((alone, together), rounds)
    return least[0] / steps, least[1] / steps / width


if __name__ == "__main__":
    main()
