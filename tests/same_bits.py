"""Whether a change of gdlab keeps the bits: runs recorded by another checkout against this one's.

    git worktree add ../before COMMIT
    python -m tests.same_bits ../before          three minutes

Each run is recorded by both, and the other's is trained on by both: every array is compared to the bit, the
clock apart. What this checkout's probes say of the other's runs is compared with what the other's say.
Exit status 1 where anything differs.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from gdlab import store

HERE = Path(__file__).resolve().parents[1]
RUNS = {
    "rosenbrock": ("experiment=rosenbrock", "train.steps=20"),
    "galaxy": ("experiment=galaxy_minibatch", "train.steps=12"),
    "digits_cg": ("experiment=digits_cg", "train.steps=30", "precision=float64"),
    "adam": ("experiment=digits_adam", "train.steps=40", "record=dumps", "record.dumps=10"),
    "rprop": ("problem=beale", "optimizer=irprop_plus", "train.steps=50"),
}
GROUP = (
    "task=ensemble",
    "experiment=digits_sgd",
    "train.steps=20",
    "seed=0,1",
    "optimizer.learning_rate=0.1,0.3",
)
LONGER = {"digits_cg": 45, "adam": 60}
PROBES = {
    "segments": ("digits_cg", "probe=segments"),
    "surface": ("adam", "probe=surface", "probe.resolution=5"),
    "confusion": ("adam", "probe=confusion"),
    "interpolation": ("galaxy", "probe=interpolation"),
}


def gdlab(checkout, *arguments):
    """`python -m gdlab` of a checkout; raises with its words where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", "gdlab", *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{checkout}: {' '.join(arguments)}\n{done.stderr}")


def differing(first, second):
    """Names of what is not the same in two run folders."""
    runs = [store.open_run(folder) for folder in (first, second)]
    if runs[0].arrays != runs[1].arrays:
        return ["the arrays themselves"]
    return [name for name in runs[0].arrays if not _same(*(_content(run, name) for run in runs))]


def _content(run, name):
    found = np.array(run.array(name))
    columns = run.columns(name) or ()
    if "seconds" in columns:
        found[:, columns.index("seconds")] = 0
    return found


def _same(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def recorded(other, root):
    """What differs where both record, and where both go on with what the other has recorded."""
    folders = {checkout: root / name for checkout, name in ((other, "other"), (HERE, "here"))}
    for checkout, folder in folders.items():
        for name, arguments in RUNS.items():
            gdlab(checkout, *arguments, f"hydra.run.dir={folder / name}")
        gdlab(checkout, *GROUP, f"hydra.sweep.dir={folder / 'group'}")
    for name, steps in LONGER.items():
        for checkout, end in ((other, "on_other"), (HERE, "on_here")):
            shutil.copytree(root / "other" / name, root / end / name)
            gdlab(checkout, "task=extend", f"run={root / end / name}", f"train.steps={steps}")
    pairs = [(root / "other" / name, root / "here" / name) for name in RUNS]
    pairs += [
        (path, root / "here" / "group" / path.name) for path in sorted((root / "other" / "group").iterdir())
    ]
    pairs += [(root / "on_other" / name, root / "on_here" / name) for name in LONGER]
    return {f"{first.parent.name}/{first.name}": differing(first, second) for first, second in pairs}


def probed(other, root):
    """What differs in the answers of probes about the other's runs."""
    found = {}
    for name, (run, *arguments) in PROBES.items():
        answers = []
        for checkout, end in ((other, "by_other"), (HERE, "by_here")):
            copy, file = root / end / f"{name}_{run}", root / end / f"{name}.npz"
            shutil.copytree(root / "other" / run, copy)
            gdlab(checkout, "task=probe", f"run={copy}", *arguments, f"output={file}")
            answers.append(np.load(file))
        names = [key for key in answers[0].files if answers[0][key].dtype.kind in "fiub"]
        found[name] = [key for key in names if not _same(*(answer[key] for answer in answers))]
        found[name] += sorted({*answers[0].files} ^ {*answers[1].files})
    return found


def main():
    """Record, compare, print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="a checkout of another commit")
    other = parser.parse_args().other.resolve()
    with tempfile.TemporaryDirectory() as folder:
        found = recorded(other, Path(folder)) | probed(other, Path(folder))
    for name, differences in found.items():
        print(f"{name}: {', '.join(differences) or 'the same bits'}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
