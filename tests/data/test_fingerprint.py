"""What tells data from other data, and who looks: a resume, a member of a group, a replay."""

import json

import numpy as np
import pytest

from gdlab import experiment, store
from gdlab.data import Dataset, digits
from gdlab.data.fingerprint import differences, fingerprint
from gdlab.execution import session
from gdlab.execution.replay import Replay
from gdlab.plan.builder import ConfigError
from tests.composing import composed


def changed(dataset, name="x", source=None):
    array = dataset.train[name].copy()
    array.flat[-1] += 1
    return dataset._replace(train={**dataset.train, name: array}, source=source)


def test_every_array_and_its_shape_and_type_count():
    data = digits()
    known = fingerprint(data)
    assert known.keys() == {"train.x", "train.y", "test.x", "test.y", "classes"}
    assert fingerprint(digits()) == known and not differences(known, fingerprint(digits()))
    x = data.train["x"]
    others = [
        changed(data), changed(data, "y"), data._replace(classes=data.classes[::-1]),
        data._replace(test=None),
        data._replace(train={**data.train, "x": x.reshape(-1, 64)}),
        data._replace(train={**data.train, "x": x.astype(np.float64)}),
    ]  # fmt: skip
    for other in others:
        assert differences(known, fingerprint(other))
    assert len({json.dumps(fingerprint(other)) for other in others}) == len(others)


def test_long_arrays_are_hashed_in_blocks():
    x = np.zeros((1 << 25) + 5, np.uint8)
    one = Dataset("d", {"x": x}, None, ())
    first = fingerprint(one)["train.x"]
    x[-1] = 1
    assert fingerprint(one)["train.x"] != first


def test_it_is_said_what_has_changed():
    data = digits()._replace(source="a")
    known = fingerprint(data)
    assert not differences(known, fingerprint(data._replace(source="b")))  # packed anew, the same images
    (said,) = differences(known, fingerprint(changed(data, source="b")))
    assert "train.x" in said and "the files are others" in said
    (said,) = differences(known, fingerprint(changed(data, source="a")))
    assert "decoded in another way" in said
    assert differences(None, known) == []


def interrupted(folder, monkeypatch):
    """A run of digits that was stopped on its way, its config."""
    config = composed("experiment=digits_sgd", "train.steps=30")
    chunk = session.Session._chunk

    def once(session, count):
        result = chunk(session, min(count, 5))
        assert result
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "_chunk", once)
        with pytest.raises(KeyboardInterrupt):
            experiment.run(config, folder, progress=False)
    return config


def test_other_data_are_refused_by_a_resume_and_said_by_a_replay(tmp_path, monkeypatch, capsys):
    config = interrupted(tmp_path / "run", monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("gdlab.plan.assembly.dataset_of", lambda config, places: changed(digits()))
        before = store.open_run(tmp_path / "run").rows("scalars")
        with pytest.raises(ConfigError, match=r"the data have changed \(train\.x\).*put them back"):
            experiment.run(config, tmp_path / "run", progress=False)
        assert store.open_run(tmp_path / "run").rows("scalars") == before
        assert any("the data have changed" in text for text in Replay(tmp_path / "run").report().changed)
    assert not any("data" in text for text in Replay(tmp_path / "run").report().changed)
    assert experiment.run(config, tmp_path / "run").state == "finished"
    assert "cannot be checked" not in capsys.readouterr().err


def test_a_run_that_noted_no_data_goes_on_and_says_so(tmp_path, monkeypatch, capsys):
    facts_of = session.facts_of
    with monkeypatch.context() as patch:
        patch.setattr(session, "facts_of", lambda *some: {**facts_of(*some), "data": None})
        config = interrupted(tmp_path / "run", monkeypatch)
    assert experiment.run(config, tmp_path / "run").state == "finished"
    assert "cannot be checked" in capsys.readouterr().err
