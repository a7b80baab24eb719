"""What a config asks for is within its range and has an effect, or is refused before a folder is made."""

import numpy as np
import pytest
import yaml

from gdlab import experiment
from gdlab.app_path import conf_dir
from gdlab.data.sampling import Schedule
from gdlab.execution import recording as recorder
from gdlab.plan.builder import ConfigError
from gdlab.plan.ranges import RANGES, Range, check_ranges, numbers_of
from gdlab.plan.unread import refuse_unread, unread
from tests import recording
from tests.composing import composed

YAMLS = sorted(path for path in conf_dir().glob("**/*.yaml") if path.parent.name != "page")


def nodes_of(path):
    node = yaml.safe_load(path.read_text())
    return node if path.parent.name in ("conf", "experiment") else {path.parent.name: node}


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_number_of_every_yaml_has_a_range_and_lies_in_it(path):
    for place, value, allowed in numbers_of(nodes_of(path)):
        assert allowed is not None, f"{place}: a line in gdlab.plan.ranges.RANGES is missing"
        refers = isinstance(value, str) and value.startswith("${")  # to a number of another section
        assert refers or allowed.holds(value), f"{place}={value!r}: allowed: {allowed}"


@pytest.mark.parametrize(("overrides", "said"), [
    (["optimizer=adam", "optimizer.learning_rate=-0.1"], "learning_rate=-0.1: allowed: a number > 0"),
    (["optimizer=adam", "optimizer.b1=1.5"], "optimizer.b1=1.5: allowed: a number >= 0, < 1"),
    (["optimizer=sgd", "optimizer.learning_rate=true"], "learning_rate=True: allowed: a number > 0"),
    (["optimizer=sgd", "optimizer.learning_rate=fast"], "learning_rate='fast': allowed: a number > 0"),
    (["optimizer=adam", "optimizer.eps=nan"], "optimizer.eps=nan: allowed: a number >= 0"),
    (["experiment=digits_cg", "problem.weight_decay=-1"], "problem.weight_decay=-1: allowed: a number >= 0"),
    (["experiment=digits_cg", "model.features=[8,0]"], "model.features=0: allowed: an integer >= 1"),
    (["record.reach=0"], "record.reach=0: allowed: a number > 0"),
    (["optimizer=sgd", "optimizer.learning_rate=null"], "learning_rate=None: allowed: a number > 0"),
    (["optimizer=adam", "optimizer.b1=null"], "optimizer.b1=None: allowed: a number >= 0, < 1"),
    (["optimizer=adam", "optimizer.b1=[0.9]"], "optimizer.b1=[0.9]: allowed: a number >= 0, < 1"),
    (["optimizer=adam", "optimizer.learning_rate={a:1}"], "learning_rate={'a': 1}: allowed: a number > 0"),
    (["optimizer=adam", "optimizer.learning_rate='1e-3 '"], "learning_rate='1e-3 ': allowed: a number > 0"),
    (["linesearch.sigma=null"], "linesearch.sigma=None: allowed: a number > 0, < 1"),
    (["linesearch.sigma=[0.1]"], "linesearch.sigma=[0.1]: allowed: a number > 0, < 1"),
    (["linesearch.max_evaluations=null"], "linesearch.max_evaluations=None: allowed: an integer >= 1"),
    (["experiment=galaxy_batch", "dataset.noise=null"], "dataset.noise=None: allowed: a number >= 0"),
    (["experiment=galaxy_batch", "model.code=null"], "model.code=None: allowed: an integer >= 1"),
    (["experiment=digits_cg", "model.features=[[8],10]"], "model.features=[8]: allowed: an integer >= 1"),
    (["experiment=digits_cg", "model.features=[null,10]"], "model.features=None: allowed: an integer >= 1"),
    (["experiment=digits_cg", "problem.weight_decay=null"], "problem.weight_decay=None: allowed: a number"),
    (["experiment=digits_cg", "model.features=10"], "model.features=10: allowed: a list, each an integer >="),
    (["optimizer=nesterov", "optimizer.nesterov=5"], "optimizer.nesterov=5: allowed: true, false"),
    (["optimizer=nesterov", "optimizer.nesterov=null"], "optimizer.nesterov=None: allowed: true, false"),
    (["experiment=digits_sgd", "train.batches=null"], "train.batches=None: allowed: an integer >= 1"),
    (["experiment=digits_sgd", "train.devices=null"], "train.devices=None: allowed: an integer >= 1, all"),
    (["optimizer=sgd", "record.reach=null"], "record.reach=None: allowed: a number > 0"),
    (["experiment=digits_sgd", "data_dir=5"], "data_dir=5: allowed: a path, or null"),
    (["experiment=digits_sgd", "schedule=from_run", "schedule.path=5"], "schedule.path=5: allowed: a path"),
    (["train.steps=true"], "train.steps=True: allowed: an integer >= 1"),
    (["seed=null"], "seed=None: allowed: an integer >= 0"),
])  # fmt: skip
def test_a_number_out_of_range_is_refused_before_a_folder_is_made(tmp_path, overrides, said):
    with pytest.raises(ConfigError) as error:
        experiment.run(composed(*overrides), tmp_path / "run", progress=False)
    assert said in str(error.value)
    assert not (tmp_path / "run").exists()


def test_what_may_be_null_may(tmp_path):
    """Where the target itself has no value, or conf/ says null."""
    for overrides in (["optimizer=momentum", "optimizer.momentum=null"], ["train.descent_length=null"],
                      ["experiment=mnist_sgd", "dataset.n_train=null"]):  # fmt: skip
        check_ranges(composed(*overrides))


def test_a_problem_without_its_data_is_told_so_and_not_of_its_mini_batches(tmp_path):
    config = composed("experiment=digits_sgd") | {"dataset": None}
    with pytest.raises(ConfigError, match=r"this problem needs data: give dataset=NAME"):
        experiment.run(config, tmp_path / "run", progress=False)


def test_words_switches_null_and_code_of_ones_own_pass():
    check_ranges({"record": {"dumps": False, "validate": "auto"}, "train": {"devices": "all"}})
    check_ranges({"train": {"batch_size": None}, "problem": {"_target_": "mine.valley", "n": -1.5}})
    with pytest.raises(ConfigError, match=r"train\.devices='many': allowed: an integer >= 1, all"):
        check_ranges({"train": {"devices": "many"}})


def test_ranges_in_words():
    assert str(RANGES["schedule"]["boundaries"]) == "a list, each a number >= 0, <= 1"
    assert str(Range(0, 1, (False, True))) == "a number > 0, <= 1"
    assert str(RANGES["seed"]) == "an integer >= 0, each"
    assert not RANGES["seed"].holds(1.0) and not RANGES["seed"].holds(True)


@pytest.mark.parametrize(("overrides", "said"), [
    (["problem=beale", "train.batch_size=32"], "train.batch_size=32 has no effect: this run has no data"),
    (["problem=beale", "optimizer=adam", "train.batches=8"], "train.batches=8 has no effect"),
    (["problem=beale", "train.descent_length=8"], "train.descent_length=8 has no effect"),
    (["experiment=rosenbrock", "model=mlp"], "model=mlp has no effect: the problem gdlab.problems"),
    (["optimizer=adam", "beta=dai_yuan"], "beta=dai_yuan has no effect: the optimizer optax"),
    (["optimizer=adam", "linesearch.sigma=0.2"], "linesearch.sigma=0.2 has no effect: the"),
    (["optimizer=sgd", "linesearch=fast"], "has no effect"),
    (["optimizer=conjugate_gradient_fast", "linesearch.sigma=0.1"], "has a line search of its own"),
    (["experiment=rosenbrock", "optimizer=adam"], "linesearch.sigma=0.011 has no effect"),
    (["problem=beale", "seed=3"], "seed=3 has no effect: nothing of the problem gdlab.problems"),
    (
        ["experiment=digits_sgd", "train.batches=1", "train.descent_length=4"],
        "train.descent_length=4 has no effect: every iteration sees the whole training set",
    ),
])  # fmt: skip
def test_an_option_that_nothing_reads_is_refused_with_the_reason(tmp_path, overrides, said):
    with pytest.raises(ConfigError) as error:
        experiment.run(composed(*overrides), tmp_path / "run", progress=False)
    assert said in str(error.value)
    assert not (tmp_path / "run").exists()


EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_ask_for_nothing_without_effect(name):
    refuse_unread(composed(f"experiment={name}"))


def test_what_is_read_is_not_refused():
    found = unread(composed("experiment=digits_cg", "beta=dai_yuan", "linesearch.sigma=0.2"))
    assert not {"beta", "linesearch", "model", "train.batches", "record.trace"} & found.keys()
    refuse_unread(composed("problem=beale", "optimizer=adam"))
    refuse_unread(composed("optimizer=conjugate_gradient_fast", "optimizer.line_search.sigma=0.1"))


def test_a_run_that_was_begun_with_such_options_is_still_there(tmp_path, monkeypatch):
    """Runs of before may have been recorded with options without effect: they are shown, not refused."""
    options = ("problem=beale", "optimizer=adam", "train.steps=3", "train.batch_size=32")
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "check_asked", lambda config: None)
        run = recording.record(tmp_path / "run", *options)
    assert recording.record(run.path, *options).rows("scalars") == 3


def test_the_rest_of_an_epoch_can_be_trained_on():
    schedule = Schedule(100, batch_size=16, seed=3, drop_last=False)
    assert (schedule.batches, schedule.left) == (7, 4)
    index, _, _, epoch = schedule.rows(0, 14)
    assert index.shape == (14, 16) and epoch.tolist() == [0] * 7 + [1] * 7
    for start in (0, 7):
        assert set(index[start : start + 7].ravel()) == set(range(100))
        last, count = np.unique(index[start + 6], return_counts=True)
        assert len(last) == 4 and (count == 4).all(), "the mean over it is that over what was left"
    whole = Schedule(100, batch_size=16, seed=3)
    np.testing.assert_array_equal(whole.rows(0, 6)[0], index[:6])


@pytest.mark.parametrize(("options", "said"), [
    ({"batch_size": 16}, "6 examples are left, which do not go evenly into 16"),
    ({"batches": 5}, "needs batch_size"),
])  # fmt: skip
def test_a_rest_that_does_not_fill_a_mini_batch_evenly_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Schedule(102, drop_last=False, **options)
    assert Schedule(102, batch_size=17, drop_last=False).batches == 6


def test_the_thesis_has_938_mini_batches():
    train = composed("experiment=mnist_sgd")["train"]
    schedule = Schedule(60_000, batch_size=train["batch_size"], drop_last=train["drop_last"])
    assert train["steps"] == 13 * schedule.batches == 12_194
    train = composed("experiment=cifar10_adam")["train"]
    schedule = Schedule(50_000, batch_size=train["batch_size"], drop_last=train["drop_last"])
    assert train["steps"] == 13 * schedule.batches == 10_166


def test_what_is_left_out_is_said(tmp_path, capsys):
    overrides = ("experiment=digits_sgd", "train.batches=1", "train.batch_size=100", "train.steps=2")
    experiment.run(composed(*overrides, "train.descent_length=null"), tmp_path / "run")
    said = capsys.readouterr().err.replace("\n", " ")
    assert "14 mini-batches of 100: 38 of 1,438 examples are left out in each epoch" in said.replace(
        "\n", " "
    )


@pytest.mark.parametrize("option", ["train.steps", "optimizer.learning_rate", "seed"])
def test_a_number_of_400_digits_is_refused_in_words(option, tmp_path):
    config = composed("experiment=digits_sgd", f"{option}={'9' * 400}")
    with pytest.raises(ConfigError, match=rf"{option}=9.*allowed: "):
        experiment.run(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("+train.step=3", "train has no option 'step'; allowed: steps, .*Did you mean 'steps'"),
        ("+record.foo=1", "record has no option 'foo'; allowed: "),
    ],
)
def test_an_option_that_is_added_and_that_there_is_not_is_refused(tmp_path, override, said):
    with pytest.raises(ConfigError, match=said):
        experiment.run(composed("experiment=rosenbrock", override), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_seed_that_would_be_another_one_is_refused(tmp_path):
    given = ("experiment=digits_sgd", "train.steps=1", f"seed={2**32 + 1}")
    with pytest.raises(
        ConfigError, match="allowed in float32: below 4294967296; JAX would take the seed 1 for it"
    ):
        experiment.run(composed(*given), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    run = experiment.run(composed(*given, "precision=float64"), tmp_path / "double", progress=False)
    other = experiment.run(
        composed(*given[:2], "seed=1", "precision=float64"), tmp_path / "one", progress=False
    )
    assert run.array("scalars")[0, 0] != other.array("scalars")[0, 0]
