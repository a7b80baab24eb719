"""A config that came with a run folder is data: whatever it says, opening the run runs nothing of it."""

import inspect
import itertools
import os
import shutil
import sys
from copy import deepcopy
from functools import cache

import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab import experiment, store
from gdlab.execution.replay import Replay
from gdlab.plan import assembly, targets
from gdlab.plan import builder as config
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import plan_of
from gdlab.plan.soundness import check_looked_at
from tests.composing import composed
from tests.forging import forge


class Harm:
    """Unpickling it makes the file `path`."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a network on data, with everything that a config can build."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = ("train.steps=6", "record.checkpoint_seconds=1000")
    return experiment.run(composed("experiment=digits_cg", *options), folder, progress=False)


def disguised(trained, folder, change):
    """The run again in `folder`, its config altered by change(config)."""
    shutil.copytree(trained.path, folder)
    return forge(folder, change)


def call(kind, made, folder):
    """A node that a builder too trusting would call, making `made`."""
    if kind == "pickle":
        np.save(folder / "harm.npy", np.array([Harm(made)], object), allow_pickle=True)
    path = {"_target_": "pathlib.Path", "_args_": [str(made)]}
    file = {"dataset": "x", "file": str(made), "urls": ["file:///etc/passwd"], "md5": None}
    return {
        "touch": {"_target_": "pathlib.Path.touch", "_args_": [path]},
        "makedirs": {"_target_": "os.makedirs", "name": str(made)},
        "pickle": {"_target_": "numpy.load", "file": str(folder / "harm.npy"), "allow_pickle": True},
        "download": {"_target_": "gdlab.data.files.download", **file},
        "save": {"_target_": "gdlab.data.decoding._save", "path": str(made), "images": [1]},
        "imported": {"_target_": "gdlab.data.decoding.os.makedirs", "name": str(made)},
        "optax": {"_target_": "optax.numpy.save", "file": str(made), "arr": [1]},
    }[kind]


KINDS = ("touch", "makedirs", "pickle", "download", "save", "imported", "optax")
PLACES = {
    "a section": lambda c, node: c.update(dataset=node),
    "the problem": lambda c, node: c.update(problem=node),
    "an option": lambda c, node: c["model"].update(activation=node),
    "an option of an option": lambda c, node: c["optimizer"]["line_search"].update(initial=node),
    "a list": lambda c, node: c["model"].update(features=[node, 10]),
    "a schedule": lambda c, node: c.update(schedule=node),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_looking_calls_nothing_that_the_config_names(kind, place, trained, tmp_path):
    made = tmp_path / "made"
    node = call(kind, made, tmp_path)
    path = disguised(trained, tmp_path / "evil", lambda c: PLACES[place](c, node))
    with pytest.raises(ConfigError, match=r"not a function|not gdlab.s own code"):
        experiment.run_probe(path, "segments", {"start": 0, "stop": 2})
    with pytest.raises(ConfigError, match=r"not a function|not gdlab.s own code"):
        experiment.run(store.open_run(path).config, tmp_path / "again", progress=False)
    assert not made.exists()


def resolver(node):
    """A text that OmegaConf turns into the node, for whoever lets it."""
    text = ",".join(f"{key}:{_in_braces(value)}" for key, value in node.items())
    return f"${{oc.create:{{{text}}}}}"


def _in_braces(value):
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_in_braces(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_in_braces, value)) + "]"
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else str(value).lower()


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_no_reference(kind, trained, tmp_path):
    made = tmp_path / "made"
    text = resolver(call(kind, made, tmp_path))
    path = disguised(trained, tmp_path / "evil", lambda c: c["model"].update(activation=text))
    with pytest.raises(ConfigError, match="activation"):
        experiment.run_probe(path, "segments", {"start": 0, "stop": 2})
    assert not made.exists()


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${data_dir}", "${gdlab.name:}", "${now:%Y}"])
def test_what_looks_like_an_interpolation_is_read_as_text(text, trained, tmp_path):
    path = disguised(trained, tmp_path / "evil", lambda c: c["dataset"].update(test_fraction=text))
    with pytest.raises(ConfigError) as said:
        Replay(path)
    assert os.environ["HOME"] not in str(said.value)


def test_hydra_takes_no_part_in_building(trained, monkeypatch):
    import hydra.utils

    monkeypatch.setattr(hydra.utils, "instantiate", None)
    assert Replay(trained.path).report().compared == 0


def test_the_list_of_optimizers_is_that_of_optax():
    import optax._src.alias as alias

    public = {name for name in dir(optax) if not name.startswith("_") and callable(getattr(optax, name))}
    found = {name for name in public if _defined(getattr(optax, name)) == alias.__name__}
    assert found == set(targets.OPTAX)
    for name in found:
        assert "learning_rate" in inspect.signature(getattr(optax, name)).parameters or name == "polyak_sgd"


def _defined(function):
    return getattr(getattr(function, "func", function), "__module__", "")


def test_one_slots_functions_are_not_anothers():
    installed = {slot: targets.installed(slot) for slot in targets.SLOTS}
    assert all(installed.values())
    for (_, ours), (_, theirs) in itertools.combinations(installed.items(), 2):
        assert not {*ours} & {*theirs}
    with pytest.raises(ConfigError, match=r"optimizer: _target_ 'gdlab.data.mnist'"):
        config.check({"_target_": "gdlab.data.mnist"}, "optimizer", ("optimizer",))
    with pytest.raises(ConfigError, match=r"optimizer.learning_rate: _target_ 'optax.sgd'"):
        config.instantiate({"_target_": "optax.sgd", "learning_rate": {"_target_": "optax.sgd"}}, "optimizer")


OWN = """
import os
from os import makedirs
from functools import partial

number = 4
def triple(x=1): return 3 * x
six = partial(triple, 2)
made = partial(makedirs, "/tmp")
def _hidden(): return 1

class Kept:
    def __init__(self, x=1): self.x = x
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of the user's, named by GDLAB_TARGETS."""
    (tmp_path / "my_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GDLAB_TARGETS", "other, my_own")
    yield
    sys.modules.pop("my_own", None)


@pytest.mark.usefixtures("own_module")
def test_ones_own_module_gives_what_it_defines():
    assert config.instantiate({"_target_": "my_own.triple", "x": [1]}, "problem") == [1, 1, 1]
    assert config.instantiate({"_target_": "my_own.six"}, "model") == 6
    nested = {"_target_": "my_own.Kept", "x": {"_target_": "my_own.triple", "_partial_": True, "x": 5}}
    assert config.instantiate(nested, "dataset").x() == 15


@pytest.mark.usefixtures("own_module")
@pytest.mark.parametrize("name", ["makedirs", "os.makedirs", "made", "_hidden", "number", "partial", "gone"])
def test_ones_own_module_gives_nothing_else(name):
    with pytest.raises(ConfigError, match="my_own"):
        config.instantiate({"_target_": f"my_own.{name}"}, "problem")


def test_a_module_that_is_not_named_is_not_even_imported(tmp_path, monkeypatch):
    (tmp_path / "bad_package").mkdir()
    (tmp_path / "bad_package" / "__init__.py").write_text("")
    (tmp_path / "bad_package" / "inner.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GDLAB_TARGETS", "bad_package")
    with pytest.raises(ConfigError, match="GDLAB_TARGETS"):
        config.instantiate({"_target_": "bad_package.inner.f"}, "problem")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("slot", ["problem", "model", "optimizer", "dataset", "schedule"])
@pytest.mark.parametrize(
    ("allowed", "says"),
    [
        ("", ["is not set", "GDLAB_TARGETS=bad_package.inner;"]),
        ("my_own, other", ["allows 'my_own,other' alone", "GDLAB_TARGETS=my_own,other,bad_package.inner;"]),
    ],
)
def test_code_that_is_not_allowed_is_refused_with_what_would_allow_it(slot, allowed, says, monkeypatch):
    monkeypatch.setenv("GDLAB_TARGETS", allowed)
    with pytest.raises(ConfigError) as refused:
        config.instantiate({"_target_": "bad_package.inner.rosenbrok"}, slot)
    message = str(refused.value)
    for words in (f"{slot}: ", "its module 'bad_package.inner' is", "docs/security.md", *says):
        assert words in message
    assert "Did you mean" not in message


def test_what_is_built_shares_nothing_with_the_config():
    node = {"_target_": "gdlab.problems.classification", "augment": {"flip": False, "shift": [1]}}
    value = config._value({key: item for key, item in node.items() if key != "_target_"}, "problem", ())
    value["augment"]["shift"].append(2)
    assert node["augment"] == {"flip": False, "shift": [1]}


TEXTS = ("_target_", "optax.sgd", "gdlab.optim.dai_yuan", "os.system", "${seed}", "auto", "relu")
KEYS = ("_target_", "_partial_", "_args_", "x", "sigma", "features")
VALUES = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
        st.sampled_from(TEXTS),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


def keys_of(node, prefix=()):
    """The places of a config, as paths of keys."""
    for key, value in node.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from keys_of(value, (*prefix, key))


@settings(max_examples=120)
@given(data=st.data())
def test_any_value_at_any_place_is_built_or_refused_in_words(data):
    made = composed_once()
    path = data.draw(st.sampled_from(sorted(keys_of(made))))
    value = data.draw(VALUES)
    node = made
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    try:
        built = assembly.assemble(plan_of(made))
        check_looked_at(built, lambda: assembly.training(built))
    except (ConfigError, FileNotFoundError) as error:
        assert len(str(error)) < 2500 and "object at 0x" not in str(error)
    else:
        assert built.problem is not None


WRONG = {
    "a text for a number": (("problem", "weight_decay"), ""),
    "too few outputs": (("model", "features"), [1]),
    "a number of thirty digits": (("optimizer", "line_search", "beta"), 10**30),
    "a descent without end": (("train", "descent_length"), 10**30),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_computed_is_said_in_words(kind, trained, tmp_path):
    (*path, last), value = WRONG[kind]

    def change(c):
        for key in path:
            c = c[key]
        c[last] = value

    with pytest.raises(ConfigError):
        Replay(disguised(trained, tmp_path / "evil", change))


GROUPS = (
    [1],
    {"varied": []},
    {"varied": ["seed"], "width": 10**9, "index": 0},
    {"varied": ["x"], "width": 2, "index": 0},
)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_that_cannot_be_is_refused(group, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(store.Run, "identity", {"group": group})
    with pytest.raises(ConfigError, match=r"identity\.group"):
        Replay(trained.path)


def composed_once():
    return deepcopy(_composed())


@cache
def _composed():
    return composed("experiment=digits_cg")
