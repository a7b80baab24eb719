"""How fast the run folder is, beside zarr-python's own append on the same rows.

    python -m benchmarks.store [--rows 10000000] [--runs 1000]

Prints one table; nothing here is asserted. Figures of zarr-python are for the same commit rhythm:
rows are appended in blocks of 256, as the training loop delivers them.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gdlab import store
from gdlab.records import STEP_COLUMNS, TRACE_COLUMNS

BLOCK = 256
WIDTH = len(STEP_COLUMNS)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the long run")
    parser.add_argument("--runs", type=int, default=1000, help="run folders in the list")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lines = [
            *appending(root / "append", 200_000),
            *listing(root / "list", options.runs),
            *long_run(root / "long", options.rows),
            *checking(root / "long", options.rows),
            *importing(),
        ]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")


def training_arrays():
    """The arrays of a training run with a two-parameter path."""
    return {
        "scalars": store.ArraySpec("f8", (WIDTH,), STEP_COLUMNS),
        "ls_eval": store.ArraySpec("f8", (len(TRACE_COLUMNS),), TRACE_COLUMNS),
        "ls_end": store.ArraySpec("i8"),
    }


def appending(path, rows):
    """us per step of 14 float64: blocks with a commit each, single rows, and zarr-python."""
    import zarr

    block = np.random.default_rng(0).normal(size=(BLOCK, WIDTH))
    arrays = {"scalars": training_arrays()["scalars"]}

    def run_writer(name, blocks, size, every):
        with store.RunWriter.create(path / name, config={}, identity={}, arrays=arrays) as writer:
            begin = time.perf_counter()
            for i in range(blocks):
                writer.append({"scalars": block[:size]})
                if i % every == every - 1:
                    writer.commit()
            writer.commit()
            return (time.perf_counter() - begin) / (blocks * size) * 1e6

    def zarr_python(blocks):
        array = zarr.create_array(
            path / "peer.zarr", shape=(0, WIDTH), chunks=(4096, WIDTH), dtype="f8", compressors=None
        )
        begin = time.perf_counter()
        for _ in range(blocks):
            array.append(block)
        return (time.perf_counter() - begin) / (blocks * BLOCK) * 1e6

    return [
        (
            f"append, commit every {BLOCK} rows",
            f"{run_writer('a', rows // BLOCK, BLOCK, 1):8.2f} us per step",
        ),
        ("append, commit every 10,000 rows", f"{run_writer('b', rows // BLOCK, BLOCK, 40):8.2f} us per step"),
        (
            "append row by row, commit every 10,000",
            f"{run_writer('c', rows // 4, 1, 10_000):8.2f} us per step",
        ),
        (f"zarr-python append, {BLOCK} rows each", f"{zarr_python(rows // BLOCK // 4):8.2f} us per step"),
    ]


def listing(root, runs):
    """ms for the list of `runs` finished runs with 40 hyper-parameters each, nested as sweeps are."""
    config = {"optimizer": {f"option_{i}": i / 7 for i in range(40)}, "train": {"steps": 100}}
    rows = np.random.default_rng(0).normal(size=(100, WIDTH))
    trace = np.zeros((300, len(TRACE_COLUMNS)))
    for i in range(runs):
        path = root / f"sweep{i // 100}" / f"run{i}"
        with store.RunWriter.create(path, config=config, identity={}, arrays=training_arrays()) as writer:
            writer.append({"scalars": rows, "ls_eval": trace, "ls_end": 3 * np.arange(1, 101)})
            writer.set_status("finished")
    first = _timed(lambda: store.list_runs(root), 1)
    return [
        (f"list of {runs:,} runs, first time", f"{first * 1e3:8.1f} ms"),
        (f"list of {runs:,} runs, again", f"{_timed(lambda: store.list_runs(root), 5) * 1e3:8.1f} ms"),
    ]


def long_run(path, rows):
    """Writing, opening and zooming a run of `rows` steps."""
    arrays = {"scalars": training_arrays()["scalars"]}
    generator = np.random.default_rng(0)
    block = generator.normal(size=(10_000, WIDTH))
    begin = time.perf_counter()
    with store.RunWriter.create(path, config={}, identity={}, arrays=arrays) as writer:
        for _ in range(rows // len(block)):
            writer.append({"scalars": block})
            writer.commit()
        writer.set_status("finished")
    written = time.perf_counter() - begin
    opened = _timed(lambda: store.open_run(path), 5)
    run = store.open_run(path)
    cold = _timed(lambda: run.envelope("loss"), 1)
    intervals = [sorted(int(x) for x in generator.integers(0, rows, 2)) for _ in range(300)]
    intervals += [(a, a + 30_000 + i * 100) for i, (a, _) in enumerate(intervals)]
    times = [_timed(lambda a=a, b=b: run.envelope("loss", a, b), 3) * 1e3 for a, b in intervals]
    name = f"{rows:,} rows: "
    return [
        (name + "written", f"{written:8.1f} s ({written / rows * 1e6:.2f} us per step)"),
        (name + "open_run", f"{opened * 1e3:8.2f} ms"),
        (name + "envelope of everything, first", f"{cold * 1e3:8.2f} ms"),
        (name + "envelope of everything", f"{_timed(lambda: run.envelope('loss'), 20) * 1e3:8.2f} ms"),
        (name + "envelope of 600 zooms, median", f"{np.median(times):8.2f} ms"),
        (name + "envelope of 600 zooms, slowest", f"{np.max(times):8.2f} ms"),
    ]


def checking(path, rows):
    """What checksums cost: a run opened and looked at anew, with them and as if it had none."""

    def opened(checked, look):
        run = store.open_run(path)
        if not checked:
            run._chunks.expect(run._manifest._replace(sums=None))
        look(run)

    looks = {
        "opened, envelope of everything": lambda run: run.envelope("loss"),
        "opened, a hundredth of the loss": lambda run: run.table(
            "steps", rows // 2, rows // 2 + rows // 100, ["loss"]
        ),
        "opened, one column read": lambda run: run.table("steps", columns=["loss"]),
        "opened, every row read": lambda run: [
            run.array("scalars", a, a + 10_000).sum() for a in range(0, rows, 10_000)
        ],
    }
    lines = []
    for name, look in looks.items():
        plain, checked = (_timed(lambda c=c, look=look: opened(c, look), 7) * 1e3 for c in (False, True))
        lines.append((f"{rows:,} rows: {name}", f"{checked:8.2f} ms, {plain:.2f} ms without checksums"))
    return lines


def importing():
    """Seconds of `import gdlab.store` in a new process, interpreter and NumPy included and alone."""
    lines = []
    for module in ("numpy", "gdlab.store"):
        seconds = _timed(
            lambda m=module: subprocess.run([sys.executable, "-c", f"import {m}"], check=True), 3
        )
        lines.append((f"python -c 'import {module}'", f"{seconds * 1e3:8.0f} ms"))
    return lines


def _timed(call, repeats):
    """Seconds of the fastest of `repeats` calls."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


if __name__ == "__main__":
    main()
