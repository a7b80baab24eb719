"""An ensemble opened: every run keeps its row, and what it cannot be used for stands in its note."""

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis.axes import hyperparameters
from gdlab.analysis.ensemble import Ensemble, correlation_at, correlations, open_ensemble
from gdlab.analysis.hyper import as_shown, differing, levels, short_names
from gdlab.store.migrations import LATER
from tests.analysis.made_ensembles import config, make, symmetric

STEPS = (0, 50, 100)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Nine runs, of which most are good."""
    root, random = tmp_path_factory.mktemp("mixed"), np.random.default_rng(0)

    def r(*widths):
        return {f"conv{i}": symmetric(random, 3, f) for i, f in enumerate(widths, 1)}

    def run(name, config, *args, widths=(3, 4), **options):
        step = options.pop("correlation_step", STEPS)
        made = {layer: values[: len(step)] for layer, values in r(*widths).items()}
        return make(root / name, config, *args, correlations=made, correlation_step=step, **options)

    return open_ensemble([
        run("a", config(0.01, 0.5), STEPS, (0.1, 0.5, 0.8)),
        run("b", config(0.02, 0.5), STEPS, (0.1, 0.6, 0.7)),
        run("a again", config(0.01, 0.5), STEPS, (0.1, 0.5, 0.8)),
        run("diverged", config(5.0, 0.5), (0, 50, 63), (0.1, 0.1, 0.098), state="diverged"),
        run("stopped", config(0.01, 0.9), (0, 50), (0.1, 0.3), iterations=57, state="interrupted",
            correlation_step=(0, 50)),
        run("without", config(0.02, 0.9)),
        run("wide", config(0.03, 0.9), STEPS, (0.1, 0.4, 0.9), widths=(3, 6), parameters=120),
        make(root / "plain", config(0.03, 0.5), STEPS, (0.1, 0.2, 0.3)),
        run("often", config(0.02, 0.7, **{"record.validate": 25}), (0, 25, 50, 75, 100), np.arange(5) / 5),
    ])  # fmt: skip


def test_parameters_are_those_that_differ_by_their_short_names(mixed):
    assert list(mixed.parameters) == ["learning_rate", "momentum"]
    assert mixed.parameters["learning_rate"].dtype == float
    assert mixed.parameters["momentum"].tolist() == [0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9, 0.5, 0.7]
    assert mixed.names[3:6] == ("diverged", "stopped", "without")
    assert mixed.state.tolist()[3:5] == ["diverged", "interrupted"]


def test_times_are_joined_and_what_is_absent_is_nan(mixed):
    assert mixed.step.tolist() == [0, 25, 50, 63, 75, 100] and mixed.step.dtype == np.int64
    nan = np.nan
    np.testing.assert_array_equal(mixed.accuracy[0], [0.1, nan, 0.5, nan, nan, 0.8])
    np.testing.assert_array_equal(mixed.accuracy[3], [0.1, nan, 0.1, 0.098, nan, nan])
    assert np.isnan(mixed.accuracy[5]).all()
    np.testing.assert_array_equal(mixed.accuracy[8], [0, 0.2, 0.4, nan, 0.6, 0.8])
    np.testing.assert_allclose(mixed.loss, 2 - mixed.accuracy)
    np.testing.assert_allclose(mixed.train_loss, 1.9 - mixed.accuracy)
    np.testing.assert_allclose(mixed.train_accuracy, mixed.accuracy + 0.01)


def test_every_run_that_something_is_wrong_with_says_so(mixed):
    assert mixed.note == (
        "", "", "the same hyper-parameters as a", "diverged after iteration 62",
        "unfinished (interrupted): 57 of 100 iterations", "no accuracy recorded",
        "another network than most", "no correlations of conv1, conv2", "",
    )  # fmt: skip
    assert mixed.holds.tolist() == [False, False, False, True, False, True, False, False, False]


def test_layers_are_those_of_the_runs_that_can_be_compared(mixed):
    assert mixed.layers == ("conv1", "conv2") and mixed.widths == {"conv1": 3, "conv2": 4}
    assert np.flatnonzero(~mixed.comparable).tolist() == [6, 7]


def test_correlations_are_those_recorded(mixed):
    step, r = correlations(mixed, 4, "conv2")
    assert step.tolist() == [0, 50] and r.shape == (2, 4, 4) and r.dtype == np.float32
    np.testing.assert_array_equal(r, mixed.runs[4].array("correlation/conv2"))
    for iteration, row in ((-1, 0), (0, 0), (49, 0), (50, 1), (99, 1), (1e9, 2)):
        step, found = correlation_at(mixed, 0, "conv1", iteration)
        assert step == STEPS[row]
        np.testing.assert_array_equal(found, correlations(mixed, 0, "conv1")[1][row])
    assert correlation_at(mixed, 7, "conv1", 50) == (None, None)
    with pytest.raises(store.UnknownName):
        correlations(mixed, 0, "conv3")


def test_text_missing_and_mixed_parameters(tmp_path):
    made = open_ensemble([
        make(tmp_path / "a", config(**{"weight_decay.factor": 0.1, "model.activation": "relu"})),
        make(tmp_path / "b", config(momentum=None, **{"weight_decay.nesterov": True})),
        make(tmp_path / "c", config(seed=3, **{"train.batch_size": None})),
    ])  # fmt: skip
    np.testing.assert_array_equal(made.parameters["factor"], [0.1, np.nan, np.nan])
    assert made.parameters["activation"].tolist() == ["relu", "", ""]
    assert made.parameters["momentum"].tolist() == ["0.5", "none", "0.5"]
    assert made.parameters["nesterov"].tolist() == ["", "true", ""]
    assert made.parameters["seed"].tolist() == [0, 0, 3]


def test_a_run_from_before_an_option_is_the_same_run(tmp_path):
    new = config(**{later.path: later.before for later in LATER if later.target is None})
    made = open_ensemble([make(tmp_path / "old", config()), make(tmp_path / "new", new)])
    assert made.parameters == {} and made.note[1].endswith("the same hyper-parameters as old")


def test_a_damaged_run_keeps_its_row_and_says_so(tmp_path):
    for seed, name in enumerate("abc"):
        make(tmp_path / name, config(seed=seed), STEPS, (0.1, 0.2, 0.3))
    (tmp_path / "b" / "run.json").write_text("{")
    made = open_ensemble([store.open_run(tmp_path / name) for name in "abc"])
    assert made.note[1].startswith("cannot be read: ") and "run.json" in made.note[1]
    assert made.note[0] == made.note[2] == "" and np.isnan(made.accuracy[1]).all()
    assert made.parameters["seed"].tolist() == [0, 1, 2]


def test_one_run_and_none(tmp_path):
    none = open_ensemble([])
    assert none.accuracy.shape == (0, 0) and none.parameters == {} and none.layers == () and none.note == ()
    one = open_ensemble([make(tmp_path / "one", config(), STEPS, (0.1, 0.2, 0.3))])
    assert one.parameters == {} and one.note == ("",) and one.accuracy.shape == (1, 3)
    assert one.layers == () and not one.comparable.any()


def test_names_that_tell_runs_apart():
    nested = {"optimizer": {"sigma": 0.05, "betas": [0.9, 0.99]}, "name": "x"}
    assert as_shown(nested) == {"optimizer.sigma": 0.05, "optimizer.betas": "0.9, 0.99", "name": "x"}
    assert differing([{"a": 1, "name": "x"}, {"a": True, "name": "y"}]) == ["a"]
    assert short_names(["a.b.c", "d.c", "e"]) == {"a.b.c": "b.c", "d.c": "d.c", "e": "e"}


def composed_like(optimizer, rate, **others):
    """A configuration in which the optimizer is a choice of the config group."""
    targets = {
        "sgd": {"_target_": "optax.sgd"},
        "momentum": {"_target_": "optax.sgd", "momentum": 0.9},
        "adam": {"_target_": "optax.adam", "b1": 0.9, "b2": 0.999, "eps": 1e-8},
        "mine": {"_target_": "my.module.mine", "depth": 3},
    }
    made = config(**others)
    made["optimizer"] = {**targets[optimizer], "learning_rate": rate} | made["optimizer"].get("more", {})
    return made


def test_a_choice_of_a_config_group_is_one_axis(tmp_path):
    """What follows from it has none; what varies within a choice has one, which the others lack."""
    names = ("sgd", "adam", "momentum", "mine")
    made = open_ensemble([
        make(tmp_path / f"{name}{rate}", composed_like(name, rate)) for name in names for rate in (0.1, 0.01)
    ])  # fmt: skip
    assert list(made.parameters) == ["optimizer", "learning_rate"]
    assert made.parameters["optimizer"].tolist() == [name for name in names for _ in range(2)]
    own = open_ensemble([
        make(tmp_path / "s", composed_like("sgd", 1.0)), make(tmp_path / "a", composed_like("adam", 0.1))
    ])  # fmt: skip
    assert list(own.parameters) == ["optimizer"]
    within = [composed_like("adam", 0.1), composed_like("adam", 0.1), composed_like("sgd", 0.1)]
    within[0]["optimizer"]["b1"] = 0.5
    made = open_ensemble([make(tmp_path / f"w{i}", one) for i, one in enumerate(within)])
    assert list(made.parameters) == ["optimizer", "b1"]
    np.testing.assert_array_equal(made.parameters["b1"], [0.5, 0.9, np.nan])
    more = [config(0.1), config(0.1, **{"optimizer.decay": 0.5})]
    made = open_ensemble([make(tmp_path / f"m{i}", one) for i, one in enumerate(more)])
    assert list(made.parameters) == ["decay"]  # an option of one's own makes no other optimizer


def test_a_group_that_is_null_and_one_that_stands_twice(tmp_path):
    search = {"_target_": "gdlab.linesearch.two_phase", "_partial_": True}
    runs = []
    for i, (sigma, schedule) in enumerate([(0.1, None), (0.2, None), (0.1, "gdlab.schedules.cosine")]):
        node = None if schedule is None else {"_target_": schedule}
        made = config(schedule=node, linesearch={**search, "sigma": sigma})
        made["optimizer"] = {
            "_target_": "mine.search",
            "learning_rate": 1.0,
            "line_search": made["linesearch"],
        }
        runs.append(make(tmp_path / str(i), made))
    made = open_ensemble(runs)
    assert made.parameters["sigma"].tolist() == [0.1, 0.2, 0.1] and len(made.parameters) == 2
    assert made.parameters["schedule"].tolist()[:2] == ["none", "none"]


def test_choices_are_named_by_their_yaml_or_their_target(tmp_path):
    nodes = [{"_target_": target, "a": 1} for target in ("my.thing", "my.other", "your.thing")]
    made = open_ensemble([make(tmp_path / str(i), config(dataset=node)) for i, node in enumerate(nodes)])
    assert made.parameters["dataset"].tolist() == ["my.thing", "my.other", "your.thing"]
    more = [{"_target_": "my.thing", **options} for options in ({"a": 1}, {"a": 1, "b": 2})]
    made = open_ensemble([make(tmp_path / f"m{i}", config(dataset=node)) for i, node in enumerate(more)])
    np.testing.assert_array_equal(made.parameters["b"], [np.nan, 2.0])


def test_levels_are_in_the_order_of_numbers():
    found, position = levels(np.array(["16", "none", "8", "", "16", "1e3"], object))
    assert found.tolist() == ["8", "16", "1e3", "none"] and position.tolist() == [1, 3, 0, -1, 1, 2]
    found, position = levels(np.array([3.0, np.nan, -1.0]))
    assert found.tolist() == [-1, 3] and position.tolist() == [1, -1, 0]
    assert levels(np.empty(0))[1].shape == (0,)


def test_a_seed_for_each_setting_is_no_axis(tmp_path):
    rates = (0.1, 0.2, 0.3)
    own = open_ensemble([make(tmp_path / f"o{i}", config(rate, seed=i)) for i, rate in enumerate(rates)])
    assert list(own.parameters) == ["learning_rate"]
    both = [(rate, seed) for rate in rates for seed in (0, 1)]
    grid = open_ensemble([make(tmp_path / f"g{i}", config(rate, seed=s)) for i, (rate, s) in enumerate(both)])
    assert list(grid.parameters) == ["learning_rate", "seed"]
    seeds = open_ensemble([make(tmp_path / f"s{i}", config(seed=i)) for i in range(3)])
    assert list(seeds.parameters) == ["seed"]


def test_numbers_that_are_none_are_words(tmp_path):
    odd = [10**400, float("inf"), None, "many"]
    made = hyperparameters([{"train.extra": value} for value in odd])
    assert made["extra"].tolist() == ["an integer of 1,329 bits", "inf", "none", "many"]
    planned = [make(tmp_path / f"p{i}", config(steps=v), (0,), (0.1,)) for i, v in enumerate(("ten", 10))]
    assert open_ensemble(planned).holds.tolist() == [False, True]


def test_runs_without_an_accuracy_are_measured_by_their_loss():
    loss = np.array([[1.0, 0.01, 0.0], [1.0, np.nan, 0.1]])
    unknown = np.full((2, 3), np.nan)
    made = Ensemble((), (), *(None,) * 2, np.arange(3), loss, unknown, *(None,) * 3, (), {}, None, ())
    assert not made.classifies
    np.testing.assert_array_equal(made.score, [[0, 2, np.nan], [0, np.nan, 1]])
    accurate = made._replace(accuracy=np.array([[0.1, 0.2, 0.3], [np.nan] * 3]))
    assert accurate.classifies and accurate.score is accurate.accuracy
