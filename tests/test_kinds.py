"""Every kind of training: short runs of the experiments without classes, their record, resume and replay."""

import jax
import numpy as np
import pytest

from gdlab import store
from gdlab.analysis import validation
from gdlab.execution.probing import run_probe
from gdlab.plan.assembly import assemble
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import plan_of
from gdlab.plan.soundness import terms_of
from gdlab.problems import from_function
from tests.composing import composed
from tests.recording import assert_same_record, record

TERMS = ("boundary", "initial", "residual")
SHORT = {
    "sinusoid": ("experiment=sinusoid", "train.steps=12"),
    "digits_autoencoder": ("experiment=digits_autoencoder", "train.steps=12"),
    "heat_pinn": ("experiment=heat_pinn", "train.steps=12", "dataset.n_train=64", "model.features=[8,8,1]"),
    "python_lm": (
        *("experiment=python_lm", "model.size=100k", "model.context=16", "train.steps=6"),
        *("train.batch_size=4", "record.validate=3", "record.validate_examples=8"),
    ),
}
MEASURED = {
    "sinusoid": ["loss", "r2"],
    "digits_autoencoder": ["loss", "r2"],
    "heat_pinn": ["loss", "relative_error"],
    "python_lm": ["loss", "accuracy", "perplexity"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root, made = tmp_path_factory.mktemp("kinds"), {}

    def of(name):
        if name not in made:
            made[name] = record(root / name, *SHORT[name])
        return made[name]

    return of


@pytest.mark.parametrize("name", SHORT)
def test_it_goes_down_and_is_validated(name, runs):
    run = runs(name)
    loss = run.table("steps").columns["loss"]
    assert np.isfinite(loss[:-1]).all() and loss[-2] < loss[0]
    found = validation.rows(run)
    assert validation.kinds(found) == MEASURED[name]
    assert found.columns["loss"][-1] < found.columns["loss"][0]
    if name == "python_lm":
        np.testing.assert_allclose(found.columns["perplexity"], np.exp(found.columns["loss"]), rtol=1e-12)


@pytest.mark.parametrize("name", SHORT)
def test_it_is_replayed_to_the_bit_and_has_a_surface(name, runs):
    run, steps = runs(name), runs(name).rows("scalars")
    report = run_probe(run.path, "segments", {"start": steps - 2, "stop": steps}).attrs["replay"]
    assert report["compared"] >= steps - 1 and report["different"] == 0
    options = {"resolution": 3, "samples": 8, "method": "averaged"}
    assert np.isfinite(run_probe(run.path, "surface", options).columns["value"]).all()


@pytest.mark.parametrize("name", ["heat_pinn", "python_lm"])
def test_it_goes_on_to_the_same_bits(name, runs, tmp_path):
    once = runs(name)
    half = once.rows("scalars") // 2
    interrupted = stopped(tmp_path / "run", name, half)
    assert interrupted.rows("scalars") < once.rows("scalars")
    again = record(tmp_path / "run", *SHORT[name])
    assert_same_record(again.path, once.path)


def stopped(folder, name, at):
    """The run, ended by Ctrl-C at an iteration of its own choosing behind `at`."""
    from gdlab.execution import session

    config = composed(*SHORT[name])
    one = session.session_of(config, folder)

    class Stop:
        def is_set(self):
            return one.step >= at

    one.train(Stop(), None)
    return store.open_run(folder)


def test_terms_are_metrics_that_add_up(runs):
    run = runs("heat_pinn")
    tables = {name: run.table(f"metric/{name}").columns for name in TERMS}
    loss = run.table("steps").columns["loss"][: run.rows("scalars")]
    np.testing.assert_allclose(sum(table["value"] for table in tables.values()), loss, rtol=1e-5)
    for table in tables.values():
        assert table["iteration"].tolist() == list(range(run.rows("scalars")))


@pytest.mark.parametrize("terms", [lambda p, b, *, key: 1.0, lambda p, b, *, key: {"a b": p.sum()},
                                   lambda p, b, *, key: {"a": p}])  # fmt: skip
def test_terms_that_are_no_numbers_by_name_are_refused(terms):
    assembly = assemble(plan_of(composed("problem=rosenbrock")))
    problem = from_function(lambda x: (x**2).sum(), [1.0, 2.0])._replace(terms=terms)
    with pytest.raises(ConfigError, match=r"terms.*has to return"):
        terms_of(assembly._replace(problem=problem))


def test_the_heat_equation_is_solved_to_half_a_percent(tmp_path):
    """What docs/guide/training.md says, on a third of the points."""
    overrides = ("experiment=heat_pinn", "dataset.n_train=300", "train.steps=700", "record.validate=700")
    found = validation.rows(record(tmp_path / "run", *overrides)).columns
    assert found["relative_error"][-1] < 0.01


def test_a_model_of_one_s_own_is_any_kind(tmp_path, monkeypatch):
    """By its yaml's function alone: an nnx module in a classification, trained and replayed."""
    module = tmp_path / "own_networks.py"
    module.write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GDLAB_TARGETS", "own_networks")
    for target in ("network", "functions"):
        config = composed("experiment=digits_adam", "train.steps=6")
        config["model"] = {"_target_": f"own_networks.{target}"}
        from gdlab import experiment

        run = experiment.run(config, tmp_path / target, progress=False)
        assert run.rows("validation") and np.isfinite(run.array("validation")).all()
        report = run_probe(run.path, "segments", {"start": 4, "stop": 6}).attrs["replay"]
        assert report["different"] == 0 and not jax.config.jax_enable_x64


OWN = """
import jax
from flax import nnx


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(64, 8, rngs=rngs), nnx.Linear(8, 10, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.tanh(self.first(x.reshape(len(x), -1))))


def network():
    return Net


def functions():
    def init(key):
        return {"kernel": jax.random.normal(key, (64, 10)) / 8}

    return init, lambda params, x: x.reshape(len(x), -1) @ params["kernel"]
"""
