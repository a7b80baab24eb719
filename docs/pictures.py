"""Makes the pictures of these pages: `make pictures` (minutes, and a Chromium).

Trains the runs that they show, saves every card by `python -m server.export` in light and dark, and packs
each as a small WebP. The pictures are kept with the pages, so that these are built without a browser.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "pictures"
WIDTH, QUALITY = 1000, 60  # pixels of a picture at most; of WebP

# {folder: command}; a finished run is not trained again
RUNS = {
    "rosenbrock": "experiment=rosenbrock",
    "galaxy_minibatch": "experiment=galaxy_minibatch",
    "digits_cg": "experiment=digits_cg",
    "digits_sgd": "experiment=digits_sgd",
    "digits_momentum": "experiment=digits_momentum",
    "digits_adam": "experiment=digits_adam",
    "short": "experiment=digits_sgd optimizer.learning_rate=0.01",
    "long": "experiment=digits_sgd optimizer.learning_rate=6.0",
    "cnn": "experiment=digits_adam model=vgg model.filters=[8,16] model.depth=1 record=dumps record.dumps=10 "
    "train.steps=400 optimizer.learning_rate=0.02",
}
GRID = (
    "task=ensemble experiment=digits_momentum model=vgg model.filters=[6,8] model.depth=1 train.steps=100 "
    "record.validate=10 record.correlations=20 "
    "optimizer.learning_rate=0.01,0.02,0.04,0.08,0.16,0.32 optimizer.momentum=0.0,0.3,0.6,0.8,0.9"
)
THREE = (
    "task=ensemble experiment=digits_momentum train.steps=100 record.validate=10 "
    "optimizer.learning_rate=0.03,0.1,0.3 optimizer.momentum=0.0,0.5,0.9 problem.weight_decay=0.0,0.001,0.01"
)


class Page(NamedTuple):
    """A page to be saved: its name in the address, its runs, what else the address says, {card: picture}."""

    view: str
    runs: tuple[str, ...]
    settings: tuple[str, ...]
    pictures: dict[str, str]


_FOUR = ("digits_sgd", "digits_momentum", "digits_adam", "digits_cg")
_ZOOM = ("x0=60", "x1=68")
PAGES = (
    Page(
        "descent", ("rosenbrock",), ("k=13",),
        {"curve": "descent", "details": "details", "map": "map", "statistics": "statistics"},
    ),
    Page("descent", ("galaxy_minibatch",), (), {"galaxy_0": "galaxy"}),
    Page("descent", ("short",), _ZOOM, {"curve": "sick_short"}),
    Page("descent", ("long",), _ZOOM, {"curve": "sick_long"}),
    Page("optimizers", _FOUR, (), {"overlay": "overlay", "validation": "validation"}),
    Page("compare", ("digits_cg", "galaxy_minibatch"), (), {"measures": "measures"}),
    Page(
        "steps", ("digits_sgd", "digits_adam", "digits_momentum", "short"), (),
        {"step_size": "step_sizes", "step_prediction": "step_prediction"},
    ),
    Page("line", ("digits_adam",), (), {"line": "line"}),
    Page("surface", ("digits_adam",), (), {"surface_a": "surface"}),
    Page(
        "insides", ("cnn",), (),
        {name: name for name in ("picture", "confusion", "filters", "maps", "activations")},
    ),
    Page("tracker", ("cnn",), (), {"classes": "classes"}),
    Page("tracker", ("cnn",), ("mode=layers",), {"layers": "layers"}),
    Page("tracker", ("cnn",), ("mode=correlation",), {"correlation": "correlation"}),
    Page("tracker", ("cnn",), ("mode=health",), {"health_distributions": "health"}),
    Page(
        "ensemble", (), ("ens_folder=three",), {"ensemble_pairs": "pairs"},
    ),
    Page(
        "ensemble", (), ("ens_folder=grid",),
        {f"ensemble_{name}": name for name in (
            "parallel", "curves", "heat", "similarity", "graph", "ranks", "importance"
        )} | {"ensemble_maps": "matrices"},
    ),
)  # fmt: skip


def main():
    """Trains, exports and packs; of names of pages or pictures only these, of runs that are there."""
    runs, wanted = Path(sys.argv[1]), sys.argv[2:]
    if not wanted:
        _train(runs)
    FOLDER.mkdir(exist_ok=True)
    for page in PAGES:
        if wanted and not {page.view, *page.pictures.values()} & set(wanted):
            continue
        for ending in ("", "_dark"):
            _save(runs, page, ending)


def _train(runs):
    for name, command in RUNS.items():
        _gdlab(*command.split(), f"hydra.run.dir={runs / name}")
    _gdlab(*GRID.split(), f"hydra.sweep.dir={runs / 'grid'}")
    _gdlab(*THREE.split(), f"hydra.sweep.dir={runs / 'three'}")
    surface = (f"run={runs / 'digits_adam'}", "probe=surface", f"output={runs / 'surface.npz'}")
    _gdlab("task=probe", *surface)


def _gdlab(*arguments):
    subprocess.run([sys.executable, "-m", "gdlab", *arguments], check=True, cwd=HERE.parent)


def _save(runs, page, ending):
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "server.export",
            str(runs),
            "--view",
            page.view,
            "--all",
            "-o",
            folder,
        ]
        command += [word for run in page.runs for word in ("--run", run)]
        command += [word for setting in page.settings for word in ("--set", setting)]
        command += [
            "--all",
            "-o",
            folder,
            "--format",
            "png",
            "--width",
            "1200",
            "--scale",
            "1",
            "--timeout",
            "300",
        ]
        subprocess.run([*command, *(["--dark"] if ending else [])], cwd=HERE.parent, check=True)
        for card, name in page.pictures.items():
            if ending and name.startswith("sick_"):
                continue
            out = FOLDER / f"{name}{ending}.webp"
            out.write_bytes(_packed(Image.open(Path(folder) / f"{card}.png")))
            print(f"{out.name}: {out.stat().st_size / 1000:.0f} kB", flush=True)


def _packed(image):
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    kept = io.BytesIO()
    image.convert("RGB").save(kept, "WEBP", quality=QUALITY, method=6)
    return kept.getvalue()


if __name__ == "__main__":
    main()
