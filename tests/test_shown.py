"""What is shown of runs as hyper-parameters: what their training read, each thing once, of old runs too."""

import tarfile
from pathlib import Path

import pytest

from gdlab import store
from gdlab.analysis.ensemble import open_ensemble
from gdlab.analysis.hyper import as_shown, differing, shown
from gdlab.commands.extend_task import extend
from gdlab.plan.builder import ConfigError
from gdlab.plan.targets import installed, parameters, resolve
from gdlab.plan.unread import refuse_unread
from gdlab.store import effects, writer
from gdlab.store.config import config_hash
from server.core import hyper
from server.core.runs_cache import RunsCache
from server.pages.runs import columns as runs_columns
from tests.composing import composed
from tests.recording import record

ARCHIVES = Path(__file__).parent / "recorded_before"
DIGITS = ("train.steps=3", "record.validate=false")
RUNS = {
    "beale": ("problem=beale", "train.steps=3"),
    "beale_adam": ("problem=beale", "optimizer=adam", "train.steps=3"),
    "beale_fast": ("problem=beale", "optimizer=conjugate_gradient_fast", "train.steps=3"),
    "beale_sigma": ("problem=beale", "linesearch.sigma=0.2", "train.steps=3"),
    "digits_cg": ("experiment=digits_cg", *DIGITS),
    "digits_sgd": ("experiment=digits_sgd", *DIGITS),
    "digits_adam": ("experiment=digits_adam", *DIGITS),
    "digits_momentum": ("experiment=digits_momentum", *DIGITS),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Runs as they are recorded now; those in `before/`, with all of their config as hyper-parameters, as
    they were recorded before."""
    root = tmp_path_factory.mktemp("shown")
    for name, options in RUNS.items():
        record(root / name, *options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer.effects, "with_effect", lambda flat: flat)
        for name in ("beale", "beale_adam", "digits_sgd"):
            record(root / "before" / name, *RUNS[name])
    for name in ("finished", "interrupted"):
        with tarfile.open(ARCHIVES / f"{name}.tar.xz") as archive:
            archive.extractall(root / "before", filter="data")
    return root


def kept(run):
    return run.summary()["hyperparameters"]


def test_a_commit_record_holds_what_its_training_read(root):
    adam = store.open_run(root / "beale_adam")
    assert not {key.partition(".")[0] for key in kept(adam)} & {"beta", "linesearch", "model", "dataset"}
    assert [key for key in kept(adam) if key.startswith("train.")] == ["train.steps"]
    assert (
        not {"record.trace", "record.validate", "record.dump_examples", "record.version"} & kept(adam).keys()
    )
    assert {"record.reach", "record.loss_end", "record.path", "optimizer.b1"} <= kept(adam).keys()
    search = kept(store.open_run(root / "beale"))
    assert "linesearch.sigma" not in search and search["optimizer.line_search.sigma"] == 0.05
    assert "record.trace" in search and "record.reach" not in search
    digits = kept(store.open_run(root / "digits_sgd"))
    assert digits["train.batches"] == 5 and not {"train.batch_size", "train.drop_last"} & digits.keys()
    assert "model.features" in digits


@pytest.mark.parametrize("name", RUNS)
def test_the_config_and_its_hash_stay_whole(root, name):
    run, config = store.open_run(root / name), composed(*RUNS[name])
    assert run.config == config and "linesearch" in run.config and "batches" in run.config["train"]
    assert run._manifest.facts["config_hash"] == config_hash(config)


def test_a_run_that_was_extended_shows_no_more_than_before(tmp_path):
    run = record(tmp_path / "run", *RUNS["beale_adam"])
    before = kept(run)
    assert kept(extend(run.path, 6, progress=False)) == before | {"train.steps": 6}


@pytest.mark.parametrize("name", ["beale", "beale_adam", "digits_sgd"])
def test_runs_recorded_before_are_shown_as_those_of_now(root, name):
    now, before = store.open_run(root / name), store.open_run(root / "before" / name)
    assert len(kept(before)) > len(kept(now))
    assert shown(kept(before)) == shown(kept(now)) == shown(now.config)


def test_archived_runs_show_what_they_read_and_nothing_twice(root):
    for name in ("finished", "interrupted"):
        run = store.open_run(root / "before" / name)
        found = hyper.described(kept(run))
        assert {"linesearch.sigma", "beta._target_"} <= found.keys() and found[
            "optimizer"
        ] == "conjugate_gradient"
        assert not [key for key in found if key.startswith(("optimizer.line_search", "optimizer.beta"))]
        assert [key for key in found if key.startswith("train.")] == ["train.steps"]
        today = hyper.described(as_shown(composed("experiment=rosenbrock")))
        # The version of the search is what tells them apart, and it does: they train otherwise.
        assert hyper.differing([found, today]) == ["linesearch.version"]
    made = open_ensemble([store.open_run(root / "before" / name) for name in ("finished", "interrupted")])
    assert made.parameters == {} and "the same hyper-parameters" in made.note[1]


@pytest.mark.parametrize(("names", "columns", "labels"), [
    (("beale", "beale_adam"), ["optimizer"], ["conjugate_gradient", "adam"]),
    (("beale", "before/beale_adam"), ["optimizer"], ["conjugate_gradient", "adam"]),
    (("beale", "beale_sigma"), ["linesearch.sigma"], ["sigma 0.05", "sigma 0.2"]),
    (("before/beale", "beale_sigma"), ["linesearch.sigma"], ["sigma 0.05", "sigma 0.2"]),
    (("digits_sgd", "digits_adam", "digits_momentum"), ["optimizer"], ["sgd", "adam", "momentum"]),
    (("digits_cg", "before/digits_sgd"), ["optimizer"], ["conjugate_gradient", "sgd"]),
])  # fmt: skip
def test_what_tells_runs_apart_is_what_was_chosen(root, names, columns, labels):
    """In the columns of the list, in legends and on the axes of an ensemble."""
    cache = RunsCache(root)
    configs = [cache.configuration(name) for name in names]
    found = hyper.differing(configs)
    assert [name for name in found if not name.startswith("train.")] == columns
    assert found == hyper.telling(configs, 8)
    said = hyper.labels(names, cache.configuration)
    assert [said[name].split(", ")[0] for name in names] == labels
    made = open_ensemble([store.open_run(root / name) for name in names])
    assert [name for name in made.parameters if name.split(".")[-1] == "sigma"] == (
        ["sigma"] if columns == ["linesearch.sigma"] else []
    )
    assert ("optimizer" in made.parameters) == (columns == ["optimizer"])


def test_a_search_of_an_optimizers_own_is_the_same_thing(root):
    cache = RunsCache(root)
    names = ("beale", "beale_fast")
    found = hyper.differing([cache.configuration(name) for name in names])
    assert {"beta", "linesearch.sigma", "linesearch.rho", "linesearch.beta"} <= set(found)
    assert not [name for name in found if name.startswith("optimizer")]
    for words in hyper.labels(names, cache.configuration).values():
        assert "sigma" in words and "line_search" not in words and "optimizer" not in words


def test_the_list_has_columns_of_config_groups_and_finds_them(root):
    cache = RunsCache(root)
    listed = [(name, found) for name, found in cache.listing().runs if name.startswith(("beale", "digits"))]
    names, summaries = zip(*listed, strict=True)
    parameters = hyper.telling([cache.configuration(name) for name in names], 8)
    assert {"optimizer", "problem"} <= set(parameters)
    cells = runs_columns.data(names, summaries, parameters)
    chosen = dict(zip(names, cells["p.optimizer"], strict=True))
    assert chosen["beale_adam"] == "adam" and chosen["digits_momentum"] == "momentum"
    assert chosen["digits_sgd"] == "sgd" and chosen["beale"] == "conjugate_gradient"
    texts = dict(zip(names, cells["search"], strict=True))
    assert "optimizer=adam" in texts["beale_adam"] and "sigma=" not in texts["beale_adam"]
    assert "batches=" not in texts["beale_adam"] and "dump_examples=" not in texts["digits_sgd"]
    assert texts["beale"].count("sigma=") == 1


def test_mini_batches_are_counted_in_one_way():
    base = ("experiment=digits_sgd",)
    counted = as_shown(composed(*base, "train.batches=8"))
    sized = as_shown(composed(*base, "train.batches=1", "train.batch_size=64"))
    assert hyper.differing([hyper.described(one) for one in (counted, sized)]) == [
        "train.batches", "train.batch_size"
    ]  # fmt: skip
    assert "train.drop_last" in shown(sized) and "train.drop_last" not in shown(counted)


def test_what_is_shown_is_shown_of_what_is_shown():
    """Of a commit record that holds only what was read, no more is left out, and nothing comes back."""
    for options in RUNS.values():
        flat = as_shown(composed(*options))
        assert effects.with_effect(effects.with_effect(flat)) == effects.with_effect(flat)
        assert shown(effects.with_effect(flat)) == shown(flat)


def test_what_is_known_of_problems_is_what_they_take():
    for target in installed("problem"):
        assert effects.known_to_take(target, "model") == ("model" in parameters(resolve(target))), target
    for target in installed("optimizer"):
        assert ("line_search" in parameters(resolve(target))) == (target in effects.SEARCHERS), target
    assert effects.known_to_take("my_problem.valley", "model")


@pytest.mark.parametrize(("overrides", "said"), [
    (["problem=beale", "train.validation=0.2"], "train.validation=0.2 has no effect: this run has no data"),
    (["problem=beale", "record.reach=3"], "record.reach=3 has no effect: it is of methods without a line"),
    (["problem=beale", "record.dump_examples=9"], "record.dump_examples=9 has no effect: this run has no d"),
    (["problem=beale", "record.version=1"], "record.version=1 has no effect: no network is measured"),
    (["experiment=digits_sgd", "record.correlation_relu=true"], "correlation_relu=True has no effect"),
    (["experiment=digits_sgd", "record.validate=false", "record.validate_examples=9"], "is not validated"),
    (["experiment=digits_sgd", "train.drop_last=false"], "train.drop_last=False has no effect: it needs"),
    (["experiment=digits_sgd", "train.batch_size=64"], "exclude each other: give one of them"),
])  # fmt: skip
def test_options_of_recording_and_of_data_without_effect_are_refused(overrides, said):
    with pytest.raises(ConfigError) as error:
        refuse_unread(composed(*overrides))
    assert said in str(error.value)


def test_a_refusal_says_what_would_be_right():
    """An experiment may have set the option, which a command cannot leave out."""
    with pytest.raises(ConfigError, match=r"Leave it out, or set linesearch\.sigma=0\.05; a run would"):
        refuse_unread(composed("experiment=rosenbrock", "optimizer=adam"))
    with pytest.raises(ConfigError, match=r"Leave it out, or set record\.correlation_relu=false; "):
        refuse_unread(composed("experiment=digits_sgd", "record.correlation_relu=true"))


def test_what_is_switched_off_is_not_refused():
    refuse_unread(composed("problem=beale", "record.validate=false", "record.loss_end=false"))
    refuse_unread(composed("experiment=digits_sgd", "record.trace=false"))


def test_damaged_hyper_parameters_are_shown_as_they_are():
    odd = {"optimizer._target_": 3, "problem._target_": None, "dataset._target_": [1],
           "train.batch_size": "x", "optimizer.line_search._target_": {}}  # fmt: skip
    assert isinstance(hyper.described(odd), dict)
    assert differing([hyper.described(odd), hyper.described({})])
