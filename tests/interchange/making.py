"""Event files as small programs make them, right and wrong ones."""

import struct
from pathlib import Path

from benchmarks.importing import event, frame

VERSION = event(0.0, 0, file_version=b"brain.Event:2")


def scalars(pairs, tag=b"train/loss", start=1.7e9):
    """Messages of a metric: pairs of (step, value), a second apart."""
    return [event(start + place, step, tag=tag, value=value) for place, (step, value) in enumerate(pairs)]


def event_file(folder: Path, messages, number=0) -> Path:
    """A file of these messages; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{1700000000 + number}.host"
    path.write_bytes(b"".join(map(frame, [VERSION, *messages])))
    return path


def falling(steps):
    """The numbers that most tests write: 1 / (1 + k), as float32 has them."""
    return [(step, struct.unpack("<f", struct.pack("<f", 1 / (1 + step)))[0]) for step in steps]
