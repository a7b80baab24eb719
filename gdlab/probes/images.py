"""Images of the test part as the network sees them, so that a page can show what was asked for."""

import numpy as np

from gdlab.messages import counted
from gdlab.monitors.evaluation import sample
from gdlab.records import Table

MOST = 256  # images at once


def compute(replay, *, images=(0,), progress):
    """Some images of the test part; nothing is trained again for them.

    Args:
      replay: a gdlab Replay of a run whose dataset has labels and a test part.
      images: positions in the test part, from 0, at most MOST of them.
      progress: (fraction, text) -> None.

    Returns:
      A Table: image [n, ...] as the network sees it, [n, H, W, C] where it sees pictures; label [n], the
      true class; position [n]. attrs: classes (names), picture (whether the image has rows and columns).

    Raises:
      ValueError: the run has no labelled test part, or an image is not in it.
    """
    dataset = replay.assembly.dataset
    if dataset is None or "y" not in dataset.train:
        raise ValueError("this run has no labelled data, hence no images to show")
    data = sample(dataset, "test", None)
    positions = _positions(images, len(data["y"]))
    progress(0.0, counted(len(positions), "image"))
    columns = {"image": np.asarray(data["x"][positions]), "label": np.asarray(data["y"])[positions]}
    columns["position"] = positions
    shape = ("row", "column", "channel") if columns["image"].ndim == 4 else ()
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(columns, ("example",))
    names = shape or tuple(f"axis_{i}" for i in range(columns["image"].ndim - 1))
    dims["image"] = ("example", *names)
    return Table(columns, dims, {"classes": list(dataset.classes), "picture": bool(shape)})


def _positions(images, count):
    listed = list(images)
    if not 1 <= len(listed) <= MOST:
        raise ValueError(f"images: {len(listed)} positions; allowed: 1 to {MOST}")
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < count:
            raise ValueError(f"images: position {value!r}; allowed: 0 to {count - 1:,}")
    return np.array(listed, np.int64)
