"""How fast a folder of TensorBoard runs becomes runs of gdlab, and how fast these are listed.

    python -m benchmarks.importing [--runs 1000] [--steps 1000] [--again]

Event files as loops write them are made first, not timed: each run has hyper-parameters and, at every step,
the loss, the gradient's norm and the learning rate, and every tenth step the accuracy on a test set. Then:
the import (runs and numbers a second; CPU: of this process alone), with --again an import of what is there,
and the list of the Runs page (`gdlab.list_runs`, the fastest of three). Aim: 1,000 imported runs are listed
in less than 1 s.
"""

import argparse
import os
import struct
import tempfile
import time
from pathlib import Path

import numpy as np

import gdlab
from gdlab.interchange.crc32c import crc, masked


def main():
    """Make the files, import them, list the runs, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = write(Path(folder) / "logs", arguments.runs, arguments.steps)
        print(f"{arguments.runs:,} runs of {arguments.steps:,} steps, {size / 1e6:,.0f} MB of event files")
        for what in ("import", "again") if arguments.again else ("import",):
            start, busy = time.perf_counter(), time.process_time()
            done = gdlab.import_runs(Path(folder) / "logs", Path(folder) / "runs")
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
            numbers = f", {done.points / seconds:,.0f} numbers/s" if done.points else ""
            rates = f"{len(done.folders) / seconds:,.0f} runs/s{numbers}"
            print(f"{what}: {seconds:.1f} s, CPU {busy:.1f} s, {rates}")
            assert len(done.folders) == arguments.runs and not done.skipped, done.skipped[:3]
        times = []
        for _ in range(3):
            start = time.perf_counter()
            runs = gdlab.list_runs(Path(folder) / "runs")
            times.append(time.perf_counter() - start)
        assert len(runs) == arguments.runs and all(isinstance(facts, dict) for _, facts in runs)
        print(f"listed: {min(times):.2f} s")
        print(f"load of the machine: {os.getloadavg()[0]:.1f}")


def write(root: Path, runs: int, steps: int) -> int:
    """Event files of so many runs below `root`, all of the same numbers; returns their bytes."""
    frames = [frame(event(0.0, 0, file_version=b"brain.Event:2"))]
    for step in range(steps):
        wall = 1.7e9 + step / 100
        frames.append(frame(event(wall, step, tag=b"train/loss", value=1 / (1 + step))))
        frames.append(frame(event(wall, step, tag=b"grad_norm", value=2 / (1 + step))))
        frames.append(frame(event(wall, step, tag=b"learning_rate", value=0.1)))
        if step % 10 == 0:
            frames.append(frame(event(wall, step, tag=b"test/accuracy", value=1 - 1 / (2 + step))))
    data = b"".join(frames)
    for run in range(runs):
        folder = root / f"lr={0.001 * (1 + run % 20):.3f},seed={run // 20}"
        folder.mkdir(parents=True)
        (folder / f"events.out.tfevents.{1700000000 + run}.host").write_bytes(data)
    return runs * len(data)


def event(wall: float, step: int, *, tag=b"", value=0.0, file_version=b"") -> bytes:
    """A message as TensorBoard's writers make it."""
    head = b"\x09" + struct.pack("<d", wall) + b"\x10" + _varint(step)
    if file_version:
        return head + b"\x1a" + _varint(len(file_version)) + file_version
    inner = b"\x0a" + _varint(len(tag)) + tag + b"\x15" + struct.pack("<f", np.float32(value))
    summary = b"\x0a" + _varint(len(inner)) + inner
    return head + b"\x2a" + _varint(len(summary)) + summary


def frame(message: bytes) -> bytes:
    """A message as a record of a TFRecord file."""
    length = struct.pack("<Q", len(message))
    return length + struct.pack("<I", masked(crc(length))) + message + struct.pack("<I", masked(crc(message)))


def _varint(value):
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


if __name__ == "__main__":
    main()
