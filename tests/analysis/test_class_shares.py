"""Shares of the classes by hand, and after a real record."""

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis.class_shares import from_run, shares_of
from gdlab.analysis.dumps import open_dumps
from tests.recording import record


def test_the_hardest_class_is_shown_whole_and_none_below_the_floor():
    rates = [[0.0, 0.0], [0.2, 0.4], [0.6, 0.6], [np.nan, 0.15]]
    assert shares_of(rates, 0.3) == pytest.approx([0.3, 0.5, 1.0, 0.3])
    assert shares_of(rates, 0.1) == pytest.approx([0.1, 0.5, 1.0, 0.25])


def test_nothing_wrong_or_nothing_known_is_shown_whole():
    assert shares_of(np.zeros((3, 2)), 0.25).tolist() == [1, 1, 1]
    assert shares_of([[np.nan], [0.5], [0.0]], 0.25).tolist() == [1, 1, 0.25]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("shares")
    record(root / "digits", "experiment=digits_adam", "train.steps=20", "train.validation=0.2", dumps=5)
    record(root / "tested", "experiment=digits_adam", "train.steps=6", dumps=5)
    record(root / "plain", "experiment=digits_adam", "train.steps=6")
    return root


def test_the_last_dumps_of_a_run_decide(recorded):
    dumps = open_dumps(store.open_run(recorded / "digits"))
    classes, shares = from_run(path=recorded / "digits", floor=0.05, last=0.4)
    assert classes == tuple(dumps.classes)
    wrong = dumps.predicted()[-2:] != np.repeat(np.arange(10), np.diff(dumps.starts))
    mean = [wrong[:, a:b].mean() for a, b in zip(dumps.starts[:-1], dumps.starts[1:], strict=True)]
    assert shares == pytest.approx(np.maximum(np.array(mean) / max(mean), 0.05))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"path": None}, ValueError, "class_shares.path=None"),
        ({"path": "absent"}, FileNotFoundError, "no such run"),
        ({"path": "plain"}, ValueError, "dumps"),
        ({"path": "digits", "floor": 0}, ValueError, "floor=0"),
        ({"path": "digits", "last": 1.5}, ValueError, "last=1.5"),
        ({"path": "digits", "on_test": 1}, ValueError, "on_test=1"),
        ({"path": "tested"}, ValueError, "dumps are of the test set.*train.validation=0.1"),
    ],
)
def test_bad_options_are_named(recorded, options, error, said):
    options = {**options, "path": options["path"] and recorded / options["path"]}
    with pytest.raises(error, match=said):
        from_run(**options)


def test_errors_on_the_test_set_are_weighed_where_it_is_asked_for(recorded):
    classes, shares = from_run(path=recorded / "tested", on_test=True)
    assert len(classes) == 10 and shares.max() == 1
