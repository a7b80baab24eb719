"""Every file of recorded runs damaged in eight ways, then read, replayed and resumed.

    python -m tests.damage_matrix [--sample 1.0] [--seed 0] [--part 1/1] [--subjects plain dumped member loop]

What may come out of a damaged folder are the numbers that were recorded, or an error of gdlab's own that says
what is wrong. Counted are: wrong numbers, hangs, and raw errors of Python or of a library; and whether the
run beside the damaged one is still listed. Ends with status 1 where there is any.
"""

import argparse
import contextlib
import itertools
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import gdlab
from gdlab import ensemble, experiment, store
from gdlab.execution.probing import run_probe
from gdlab.plan.builder import ConfigError
from gdlab.recorder.saying import RecordingWarning
from tests.composing import composed

SECONDS = 60  # after which something hangs
OWN = (*experiment.EXPECTED_ERRORS, ValueError)
PROBE = ("segments", {"start": 2, "stop": 4})


class Hang(BaseException):
    """Nothing came back in time."""


def _truncate(file, other):
    os.truncate(file, file.stat().st_size // 2)


def _flip(file, other):
    data = bytearray(file.read_bytes())
    used = np.flatnonzero(np.frombuffer(data, np.uint8))
    at = int(random.Random(str(file)).choice(used)) if len(used) else 0
    data[at] ^= 1 << at % 8
    file.write_bytes(data)


def _put(make):
    def damage(file, other):
        shutil.copyfile(file, other)
        file.unlink()
        make(file, other)

    return damage


DAMAGE = {
    "truncated": _truncate,
    "emptied": lambda file, other: os.truncate(file, 0),
    "one bit": _flip,
    "removed": lambda file, other: file.unlink(),
    "folder": _put(lambda file, other: file.mkdir()),
    "pipe": _put(lambda file, other: os.mkfifo(file)),
    "dangling link": _put(lambda file, other: file.symlink_to("nowhere")),
    "link elsewhere": _put(lambda file, other: file.symlink_to(other)),
}


class Subject:
    """A recorded run, ready to be resumed, with what it must give: its numbers, and those of a probe."""

    def __init__(self, folder, config, go_on=None):
        """go_on(folder): carries on with the training; None: the command of `config` does."""
        self.folder, self.config = folder, config
        self.go_on = go_on or (lambda folder: experiment.run(config, folder, progress=False))
        with store.RunWriter.resume(folder, config=config):
            pass  # "interrupted", with all its rows: a resume has something to do
        self.probed = run_probe(folder, *PROBE).columns
        self.recorded = numbers(folder)
        # What lies beside the record is not looked at: the lease, and Hydra's own notes.
        self.files = sorted(
            p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and p.name != "LOCK"
        )


def plain(root):
    """The paper's descent in float64, with a state after every chunk."""
    config = composed("experiment=rosenbrock", "train.steps=20")
    config["record"]["checkpoint_seconds"] = 1e-6
    experiment.run(config, root / "plain", progress=False)
    return Subject(root / "plain", config)


def dumped(root):
    """A network in float32, with dumps."""
    config = composed("experiment=digits_sgd", "train.steps=4", "record=dumps", "record.dumps=2")
    config["record"]["checkpoint_seconds"] = 1e-3
    experiment.run(config, root / "dumped", progress=False)
    return Subject(root / "dumped", config)


def member(root):
    """One of two runs that were trained together."""
    configs = []
    for rate in (0.1, 0.2):
        configs.append(composed("experiment=digits_sgd", "train.steps=4", f"optimizer.learning_rate={rate}"))
        configs[-1]["record"]["checkpoint_seconds"] = 1e-3
    ensemble.train(configs, [root / "member", root / "companion"], progress=False)
    return Subject(root / "member", configs[0])


def loop(root):
    """A loop of one's own that has handed over everything, recorded by a Recorder."""
    look_at(root / "loop", 0)
    return Subject(root / "loop", store.open_run(root / "loop").config, lambda folder: look_at(folder, 3))


def look_at(folder, first):
    """Records the loop from iteration `first` on: 6 iterations of gradient descent on a line."""

    def loss(params, batch):
        return jnp.mean((batch["x"] @ params["line"]["w"] - batch["y"]) ** 2)

    def batch(k):
        x = jax.random.normal(jax.random.fold_in(jax.random.key(0), k), (8, 3))
        return {"x": x, "y": jnp.sum(x, axis=1)}

    def step(params, batch):
        value, grads = jax.value_and_grad(loss)(params, batch)
        updates = jax.tree.map(lambda leaf: -0.1 * leaf, grads)
        seen = gdlab.observe(loss=value, params=params, grads=grads, updates=updates)
        return jax.tree.map(jnp.add, params, updates), seen

    params, one = {"line": {"w": jnp.zeros(3)}}, jax.jit(step)
    given = {"loss": loss, "step": step, "batch": batch, "examples": {"train": jax.device_get(batch(0))}}
    with gdlab.Recorder(folder, strict=True, resume=True, moments=range(1, 5), **given) as recorder:
        for k in range(6):
            if k == first:
                recorder.start(params, step=k, state=params)
            params, seen = one(params, batch(k))
            if k >= first:
                recorder.write(k, seen, params=params, batch=batch(k), state=params)


SUBJECTS = {"plain": plain, "dumped": dumped, "member": member, "loop": loop}


def numbers(folder):
    """Everything a run recorded, except the clock."""
    run = store.open_run(folder)
    arrays = {name: np.array(run.array(name)) for name in run.arrays}
    arrays["scalars"][:, run.columns("scalars").index("seconds")] = 0
    return arrays


def read(subject, folder):
    """Whatever of the run can be read: an array that is damaged hides no other one."""
    run = store.open_run(folder)
    wrong, error = [], None
    looks = {name: lambda n=name: run.array(n) for name in run.arrays}
    looks |= {"config": lambda: run.config, "identity": lambda: run.identity}
    looks |= {"envelope": lambda: run.envelope("loss", points=4)}
    for name, look in looks.items():
        try:
            found = look()
        except store.StoreError as raised:
            error = raised
            continue
        if name in subject.recorded:
            found = np.array(found)
            if name == "scalars":
                found[:, run.columns("scalars").index("seconds")] = 0
            wrong += [name] * (not same(found, subject.recorded[name]))
        if name == "config":
            keys = [key for key in ("train", "seed", "config", "recorder") if key in subject.config]
            wrong += [name] * any(found.get(key) != subject.config[key] for key in keys)
    if wrong:
        raise AssertionError(f"other numbers in {', '.join(wrong)}")
    if error is not None:
        raise error


def replay(subject, folder):
    """What a probe says, from what is derived or from a state."""
    found = run_probe(folder, *PROBE).columns
    bad = [name for name, wanted in subject.probed.items() if not same(found[name], wanted)]
    assert not bad, f"other numbers in {', '.join(bad)}"


def resume(subject, folder):
    """The same command goes on to the same bits."""
    subject.go_on(folder)
    found = numbers(folder)
    bad = [name for name, wanted in subject.recorded.items() if not same(found[name], wanted)]
    assert not bad, f"other numbers in {', '.join(bad)}"


def same(a, b):
    """Equal to the bit, NaN to NaN."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def case(subject, file, damage, root):
    """{action: outcome} of one damage: "right", "said", "wrong: ...", "hang", "raw: ..."."""
    outcomes = {}
    runs = root / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir(parents=True)
    _copy(subject.folder, runs / "whole")
    for act in (read, replay, resume):
        shutil.rmtree(runs / "damaged", ignore_errors=True)
        (root / "elsewhere").unlink(missing_ok=True)
        _copy(subject.folder, runs / "damaged")
        DAMAGE[damage](runs / "damaged" / file, root / "elsewhere")
        outcomes[act.__name__] = outcome(lambda act=act, runs=runs: act(subject, runs / "damaged"))
    outcomes["list"] = outcome(lambda: listed(runs))
    return outcomes


def _copy(folder, to):
    """Chunk files are mostly holes, which copytree would fill."""
    subprocess.run(["cp", "-r", "--sparse=always", folder, to], check=True)


def listed(runs):
    """Both runs are in the list, the whole one with its numbers."""
    found = dict(store.list_runs(runs))
    assert isinstance(found["whole"], dict), f"the whole run is {found['whole']!r}"
    assert "damaged" in found, "the damaged run is not listed"


def outcome(act):
    """What came of it, in words."""

    def late(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        act()
    except Hang:
        return "hang"
    except AssertionError as error:
        return f"wrong: {error}"
    except OWN as error:
        clean = isinstance(error, (store.StoreError, ConfigError))
        return "said" if clean else f"raw: {type(error).__name__}: {str(error)[:100]}"
    except Exception as error:
        return f"raw: {type(error).__name__}: {str(error)[:100]}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        jax.config.update("jax_enable_x64", False)
    return "right"


def matrix(subject, root, sample, chooser, report, told, part):
    """Counter of (action, outcome) over part (I, N) of a share of all files and damages; told: after each."""
    count = Counter()
    pairs = list(itertools.product(subject.files, DAMAGE))
    chosen = chooser.sample(pairs, max(1, round(sample * len(pairs))))
    chosen = chosen[part[0] - 1 :: part[1]]
    for done, (file, damage) in enumerate(chosen):
        told(done, len(chosen), count)
        for act, came in case(subject, file, damage, root).items():
            count[act, came.partition(":")[0]] += 1
            if came not in ("right", "said"):
                report(f"{file} {damage}, {act}: {came}")
    return count


def progress(done, of, count):
    """Says now and then how far it is: a run of hours that is ended has then said what it saw."""
    if done and done % 100 == 0:
        outcomes = Counter()
        for (_, came), cases in count.items():
            outcomes[came] += cases
        print(f"{done} of {of} damages: {dict(outcomes)}", file=sys.stderr, flush=True)


def part_of(text):
    """(I, N) of "I/N": all the cases take hours, which need not be the same day's."""
    part, _, parts = text.partition("/")
    found = int(part), int(parts)
    if not 1 <= found[0] <= found[1]:
        raise ValueError(f"--part {text}: I/N with 1 <= I <= N is expected")
    return found


def main():
    """Damage, act, count; prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=float, default=1.0, help="share of all cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--part", type=part_of, default=(1, 1), help="I/N: of the cases, every Nth from the Ith on"
    )
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore", RecordingWarning)  # that a loop begins again is what is tried
    total = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.subjects:
            subject = SUBJECTS[name](Path(folder))
            count = matrix(
                subject,
                Path(folder) / "case",
                options.sample,
                random.Random(options.seed),
                lambda text: print(text, flush=True),
                progress,
                options.part,
            )
            for (act, came), cases in sorted(count.items()):
                print(f"{name:8} {act:8} {came:6} {cases:5}", flush=True)
            total += count
    faults = sum(cases for (_, came), cases in total.items() if came not in ("right", "said"))
    print(f"{sum(total.values())} cases, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
