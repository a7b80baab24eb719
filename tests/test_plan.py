"""A plan has a field for every option, is frozen, and knows what configs from before an option meant."""

import threading
from dataclasses import FrozenInstanceError, fields

import jax
import jax.numpy as jnp
import pytest
import yaml

import gdlab
from gdlab.app_path import conf_dir
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import LATER, plan_of
from gdlab.plan.sections import Recorded, Train
from tests.composing import composed


def names(section):
    return {field.name for field in fields(section)}


def test_every_option_of_the_yamls_has_a_field():
    config = yaml.safe_load((conf_dir() / "config.yaml").read_text())
    record = yaml.safe_load((conf_dir() / "record" / "default.yaml").read_text())
    assert names(Train) == config["train"].keys() and names(Recorded) == record.keys()
    plan = plan_of(composed("experiment=digits_cg", "train.devices=all", "record.dumps=3"))
    assert (plan.train.devices, plan.record.dumps, plan.dataset["_target_"]) == (
        "all",
        3,
        "gdlab.data.digits",
    )
    assert plan.schedule is None and plan.config["train"]["devices"] == "all"


def test_a_plan_is_frozen():
    plan = plan_of(composed("experiment=rosenbrock"))
    for section, name in ((plan, "seed"), (plan.train, "steps"), (plan.record, "trace")):
        with pytest.raises(FrozenInstanceError):
            setattr(section, name, 1)


def test_a_config_from_before_an_option_means_what_it_meant():
    config = composed("experiment=rosenbrock")
    for place, options in LATER.items():
        for name in options:
            del config[place][name]
    plan = plan_of(config)
    assert (plan.train.validation, plan.train.devices) == (0.0, 1)
    assert (plan.record.functions, plan.record.version) == ("auto", 1)
    del config["record"]["reach"]
    with pytest.raises(ConfigError, match="record lacks reach"):
        plan_of(config)
    config["record"] = None
    with pytest.raises(ConfigError, match="record lacks path"):
        plan_of(config)


def test_every_public_call_leaves_the_callers_precision_in_every_thread(tmp_path):
    """A group in float64 and questions about it, while a thread in float32 goes on with its own."""
    small = ("experiment=digits_sgd", "train.steps=4", "model.features=[4,10]", "record.validate_examples=20")
    configs = [composed(*small, "precision=float64", f"seed={seed}") for seed in (0, 1)]
    done, seen = threading.Event(), set()

    def beside():
        while not done.is_set():
            seen.add((jnp.ones(2) + 1.0).dtype.name)
            done.wait(0.01)

    thread = threading.Thread(target=beside)
    thread.start()
    try:
        gdlab.train_many(configs, [tmp_path / "a", tmp_path / "b"], progress=False)
        replay = gdlab.open_replay(tmp_path / "a")
        assert {leaf.dtype.name for leaf in jax.tree.leaves(replay.params(2))} == {"float64"}
        assert (
            gdlab.run_probe(tmp_path / "b", "confusion", {"iteration": 4}).attrs["replay"]["different"] == 0
        )
    finally:
        done.set()
        thread.join()
    assert seen == {"float32"} and jnp.ones(2).dtype == jnp.float32 and not jax.config.jax_enable_x64
