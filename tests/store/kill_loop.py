"""Kill a writer with SIGKILL again and again while a reader watches: nothing committed may be lost.

    python -m tests.store.kill_loop [--rounds 500] [--seed 0]

The writer appends blocks of random size, commits now and then, and sometimes resumes its own run from
an earlier row. Every row is tagged with the generation that wrote it, so the reader can tell rows of
an abandoned continuation from those that replaced them. The suite runs a few rounds of this.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from gdlab import store
from gdlab.store import spec
from tests.store import runs

ROOT = Path(__file__).resolve().parents[2]
ARRAYS = {**runs.ARRAYS, "tag": store.ArraySpec("i8", dims=("iteration",))}
_SMALL_CHUNK, _MOST_ROWS = 4096, 2000


def write_forever(path, seed):
    """Create or resume the run and write until killed."""
    # Many small chunks: kills and reads then happen at their edges too.
    spec.layout.__defaults__ = (_SMALL_CHUNK,)
    generator = np.random.default_rng(seed)
    try:
        writer = runs.begin(path, arrays=ARRAYS)
    except store.RunExists:
        writer = resume(path, generator)
    while True:
        start = writer.cursors()["scalars"]
        if start > _MOST_ROWS or generator.random() < 0.03:
            writer.close()
            writer = resume(path, generator)
            continue
        stop = start + int(generator.integers(1, 60))
        writer.append({**runs.rows(start, stop), "tag": np.full(stop - start, writer.generation)})
        if generator.random() < 0.6:
            writer.commit()


def resume(path, generator):
    """Resume from a random committed row."""
    rows = store.open_run(path).rows("scalars")
    keep = int(generator.integers(0, rows + 1))
    cursors = dict.fromkeys(ARRAYS, keep) | {"ls_eval": runs.ends(keep)}
    return store.RunWriter.resume(path, config=runs.CONFIG, cursors=cursors)


def check(run):
    """Read everything as of one generation and compare; returns the number of steps."""
    while True:
        generation = run.generation
        tags = run.array("tag")
        found = {name: run.array(name) for name in runs.ARRAYS}
        level = run.array("envelope/scalars/L1") if run.rows("scalars") >= 16 else None
        if run.generation == generation:
            break
    wanted = runs.rows(0, len(tags))
    for name, values in found.items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)
    assert np.all(np.diff(tags) >= 0) and tags.max(initial=0) <= generation, "rows of another generation"
    if level is not None:
        complete = wanted["scalars"][: len(level) * 16].reshape(-1, 16, runs.WIDTH)
        assert len(level) == len(tags) // 16
        np.testing.assert_array_equal(level[..., 0], complete.min(axis=1))
    return len(tags)


def round_of(path, seed):
    """Start a writer, watch it for a random number of reads, kill it, check; returns the reads done."""
    generator = np.random.default_rng(seed)
    command = [sys.executable, "-m", "tests.store.kill_loop", "--write", str(path), "--seed", str(seed)]
    child = subprocess.Popen(command, cwd=ROOT)
    try:
        run = wait_for_generation(path, child)
        seen = (run.generation, check(run))
        reads = int(generator.integers(0, 30))
        for _ in range(reads):
            run.refresh()
            steps = check(run)
            assert (run.generation, steps) >= seen or run.generation > seen[0], "a commit was lost"
            seen = (run.generation, steps)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    run = store.open_run(path)
    # "interrupted" where it was killed between closing its run and resuming it.
    assert run.state in ("crashed", "interrupted")
    assert (run.generation, check(run)) >= seen
    return reads


def wait_for_generation(path, child):
    """The run once this child's first commit is there."""
    try:
        before = store.open_run(path).generation
    except store.StoreError:
        before = -1
    while True:
        assert child.poll() is None, "the writer ended by itself"
        try:
            run = store.open_run(path)
        except (store.NotARun, store.HalfWritten):
            continue
        if run.generation > before and run.state == "running":
            return run


def main():
    """The long loop, or the writer that it starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", help="be the writer of this run (used by the loop itself)")
    options = parser.parse_args()
    if options.write:
        write_forever(options.write, options.seed)
    counts = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.rounds):
            # A new folder now and then: kills also hit the creation of a run.
            counts["reads"] += round_of(Path(folder) / f"run{i // 10}", options.seed + i)
            counts["kills"] += 1
            print(f"\r{dict(counts)}, all consistent", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
