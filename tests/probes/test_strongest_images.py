"""The strongest images against a forward pass and a sort by hand."""

import numpy as np
import pytest

from gdlab.execution.replay import Replay
from gdlab.monitors.evaluation import chosen_rows
from gdlab.probes import strongest_images
from tests.recording import record


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strongest") / "digits"
    record(folder, "experiment=digits_adam", "train.steps=12")
    return Replay(folder)


def ask(replay, **options):
    return strongest_images.compute(replay, **options, progress=lambda share, words: None)


def test_the_images_are_those_of_a_sort_by_hand(replay):
    table = ask(replay, filters=[2, 33], iterations=[3, None], count=4, samples=100)
    columns, problem = table.columns, replay.assembly.problem
    rows = chosen_rows(replay.assembly.dataset, "test", 100)
    test = {name: array[rows] for name, array in replay.assembly.dataset.test.items()}
    assert columns["layer"].tolist() == ["dense1", "dense2"]
    assert table.attrs["iterations"] == [3, 12]
    for at, iteration in enumerate((3, 12)):
        activations = problem.activations(replay.params(iteration), test["x"])
        for place, (layer, unit) in enumerate((("dense1", 2), ("dense2", 1))):
            values = np.asarray(activations[layer])[:, unit]
            order = np.argsort(-values, kind="stable")[:4]
            np.testing.assert_allclose(columns["response"][at, place], values[order], rtol=1e-5)
            np.testing.assert_array_equal(columns["position"][at, place], rows[order])
            shown = columns["picture"][at, place]
            np.testing.assert_array_equal(columns["image"][shown], test["x"][order])
            np.testing.assert_array_equal(columns["label"][shown], test["y"][order])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"filters": []}, "filters: 0 of them"),
        ({"filters": [10**6]}, "position 1000000; allowed: 0 to"),
        ({"filters": [-1]}, "positions from 0"),
        ({"iterations": [13]}, "allowed: 0 to 12"),
        ({"count": 0}, "count=0"),
        ({"on": "other"}, "on='other'"),
    ],
)
def test_bad_options_are_named(replay, options, said):
    with pytest.raises(ValueError, match=said):
        ask(replay, **options)
