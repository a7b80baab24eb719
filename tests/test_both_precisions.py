"""Every experiment, launcher and probe in float32 and in float64.

The suite takes what compiles in a second or two and is not tested elsewhere; GDLAB_LONG=1 takes all of it.
"""

import os

import jax
import numpy as np
import pytest

from gdlab import ensemble, experiment
from gdlab.app_path import conf_dir
from gdlab.execution.probing import run_probe
from tests import recording
from tests.composing import composed
from tests.test_launchers import WAYS, gdlab, states

PRECISIONS = ("float32", "float64")
EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
PROBES = sorted(path.stem for path in (conf_dir() / "probe").glob("*.yaml"))
QUICK = {("rosenbrock", "float32"), ("digits_sgd", "float32"), ("digits_sgd", "float64")}
LONG = (
    pytest.mark.skipif("GDLAB_LONG" not in os.environ, reason="takes long; GDLAB_LONG=1 runs it"),
    pytest.mark.slow,
)
# Probes of problems that the recorded network is none of, and options without which there is nothing to do.
OTHERS = {"codes": "galaxy", "landscape": "rosenbrock"}
OPTIONS = {
    "ablation": {"filters": [0, 40]},
    "pruned": {"filters": [3]},
    "segments": {"start": 0, "stop": 3},
    "smoothness": {"start": 0, "stop": 3},
    "dumps": {"start": 1, "stop": 3},
    "strongest_images": {"filters": [0], "iterations": [0, None]},
    "images": {"images": [0]},
    "feature_maps": {"image": 0},
    "surface": {"resolution": 3, "samples": 50, "method": "averaged"},
    "interpolation": {"points": 3, "samples": 50},
    "landscape": {"resolution": 5},
}


def every_experiment():
    """(name, precision), those that take long marked."""
    return [
        pytest.param(name, precision, marks=() if (name, precision) in QUICK else LONG)
        for name in EXPERIMENTS
        for precision in PRECISIONS
    ]


def shortened(name, precision, data):
    """What makes an experiment one of four iterations on a little real handwriting."""
    mnist, images = data
    overrides = [f"experiment={name}", f"precision={precision}", "train.steps=4", f"data_dir={mnist}"]
    if name.startswith(("cifar10", "hamid_cifar10")):
        overrides += ["dataset=images", f"dataset.path={images}"]
    # Conjugate gradients see all examples: descents on mini-batches of other seeds are trained alone.
    if not name.startswith(("rosenbrock", "galaxy", "digits_cg", "sinusoid", "heat_pinn")):
        overrides += ["train.batches=1", "train.batch_size=20"]
    return overrides


def recording_all(config, dumps):
    """Let a classifier keep everything that is kept of its parameters."""
    if config.get("dataset") is not None and "classification" in config["problem"]["_target_"]:
        kept = {"validate": 2, "validate_examples": 30, "dumps": 2 if dumps else False}
        kept |= {"dump_examples": 30} if dumps else {"dump_examples": 2000}
        config["record"] |= kept | {"correlations": False}
        if "conv" in str(config["model"]) or "net" in str(config["model"]["_target_"]):
            config["record"] |= {"correlations": 2, "correlation_examples": 10}
    else:
        config["record"]["dumps"] = False
    return config


def assert_recorded(run, config):
    """The run has its iterations, in the precision it asks for, and everything it was to keep is a number."""
    rows = run.array("scalars")
    assert len(rows) == 4 and np.isfinite(rows[:, run.columns("scalars").index("loss")]).all()
    if config["record"]["validate"] == 2:
        assert np.isfinite(run.array("validation")).all()
        assert run.array("validation")[:, 0].tolist() == [0, 2, 4]
    for name in run.arrays:
        if name.startswith("correlation/") and name != "correlation/step":
            assert np.isfinite(run.array(name)).all()


@pytest.mark.parametrize(("name", "precision"), every_experiment())
def test_experiment_alone_and_in_a_group(name, precision, data, tmp_path):
    overrides = shortened(name, precision, data)
    config = recording_all(composed(*overrides), dumps=True)
    run = experiment.run(config, tmp_path / "alone", progress=False)
    assert_recorded(run, config)
    if config["record"]["dumps"]:
        assert np.isfinite(run.array("dump/scalars")[:, 2:]).all() and run.rows("dump/scalars") == 3
    assert not jax.config.jax_enable_x64  # the caller's stays as it was

    # Of a test function nothing is drawn; its runs differ in the line search, and each is trained alone.
    drawn = config.get("dataset") is not None
    other = "seed=1" if drawn else "linesearch.sigma=0.1"
    configs = [recording_all(composed(*overrides, *more), dumps=False) for more in ([], [other])]
    if "learning_rate" in configs[1]["optimizer"]:
        configs[1]["optimizer"]["learning_rate"] /= 2
    outcomes = ensemble.train(configs, [tmp_path / "a", tmp_path / "b"], progress=False)
    assert [outcome.error for outcome in outcomes] == [None, None]
    for outcome, one in zip(outcomes, configs, strict=True):
        assert_recorded(outcome.run, one)
        assert ("group" in outcome.run.identity) == drawn
    if "validation" in run.arrays:
        alone, member = run.array("validation"), outcomes[0].run.array("validation")
        np.testing.assert_allclose(member, alone, rtol=1e-9 if precision == "float64" else 2e-3, atol=1e-6)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{(what, precision): folder} of runs that probes are asked of, made when they are first asked for."""
    root, made = tmp_path_factory.mktemp("runs"), {}

    def of(what, precision):
        if (what, precision) not in made:
            overrides = {
                "digits": (*recording.DYING, "train.steps=12", "record.dump_examples=40"),
                "galaxy": ("experiment=galaxy_batch", "train.steps=4"),
                "rosenbrock": ("experiment=rosenbrock", "train.steps=4"),
            }[what]
            folder = root / f"{what}_{precision}"
            recording.record(folder, *overrides, f"precision={precision}")
            made[what, precision] = folder
        return made[what, precision]

    return of


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=LONG), "float64"])
@pytest.mark.parametrize("probe", PROBES)
def test_probe(probe, precision, runs):
    folder = runs(OTHERS.get(probe, "digits"), precision)
    table = run_probe(folder, probe, OPTIONS.get(probe, {}))
    assert table.columns
    for name, array in table.columns.items():
        # No statistics before the first dump, and no scatter of a loss that does not add up over examples.
        if np.asarray(array).dtype.kind == "f" and probe != "dumps" and name != "deviation":
            assert np.isfinite(array).any(), name
    report = table.attrs.get("replay")
    assert report is None or (report["different"] == 0 and report["largest"] == 0.0)


@pytest.mark.parametrize("way", ["vmap", *(pytest.param(way, marks=LONG) for way in WAYS if way != "vmap")])
def test_launcher(way, tmp_path):
    """A classifier with validation, two seeds and both precisions in one sweep."""
    small = ("experiment=digits_sgd", "model.features=[4,10]", "train.steps=4", "record.validate_examples=20")
    done = gdlab(*WAYS[way], *small, "precision=float32,float64", "seed=0,1", sweep=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(states(tmp_path).values()) == ["finished"] * 4
