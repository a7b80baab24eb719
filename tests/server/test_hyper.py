"""Which hyper-parameters tell runs apart, what runs are called and how they are coloured."""

import json
import zlib

import numpy as np
import pytest

from gdlab.analysis.hyper import as_shown
from server.core import hyper
from server.core.context import MAX_SELECTED
from server.core.palette import DARK, LIGHT
from server.pages.runs import columns as runs_columns

CATEGORIES = ("a", "b", "c", "d", "e", "f")


def test_flatten():
    config = {"optimizer": {"sigma": 0.05, "betas": [0.9, 0.99]}, "seed": 1}
    assert as_shown(config) == {"optimizer.sigma": 0.05, "optimizer.betas": "0.9, 0.99", "seed": 1}


def test_only_what_differs_counts_and_paths_and_names_do_not():
    one = {"seed": 0, "sigma": 0.1, "name": "x", "data_dir": "/a", "problem._target_": "p", "n": 2}
    two = {"seed": 1, "sigma": 0.1, "name": "y", "data_dir": "/b", "problem._target_": "q"}
    assert hyper.differing([one, two]) == ["seed", "problem", "n"]
    assert hyper.differing([one]) == []
    assert hyper.differing([]) == []


def test_values_of_different_types_differ():
    assert hyper.differing([{"x": 1}, {"x": True}, {"x": "1"}]) == ["x"]


def test_the_most_common_of_the_differing_are_kept_in_order():
    configs = [{"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 2}, {"c": 3}]
    assert hyper.telling(configs, 2) == ["b", "c"]


def test_short_names_are_unique_ends():
    names = ["optimizer.sigma", "linesearch.rho", "a.rho", "seed"]
    assert hyper.short_names(names) == {
        "optimizer.sigma": "sigma",
        "linesearch.rho": "linesearch.rho",
        "a.rho": "a.rho",
        "seed": "seed",
    }


def test_labels_name_what_differs_and_fall_back_to_the_name():
    configs = {
        "r1": {"s.sigma": 0.05, "seed": 0},
        "r2": {"s.sigma": 0.2, "seed": 0},
        "r3": {"s.sigma": 0.2, "seed": 0},
    }
    assert hyper.labels(["r1", "r2"], configs.get) == {"r1": "sigma 0.05", "r2": "sigma 0.2"}
    assert hyper.labels(["r2", "r3"], configs.get) == {"r2": "r2", "r3": "r3"}
    assert hyper.labels(["r1", "r2", "r3"], configs.get) == {"r1": "sigma 0.05", "r2": "r2", "r3": "r3"}
    assert hyper.labels(["r1"], configs.get) == {"r1": "r1"}


def test_labels_of_different_optimizers_begin_with_their_names():
    sgd = {"optimizer._target_": "optax.sgd", "optimizer.learning_rate": 1.0, "seed": 0}
    adam = {
        "optimizer._target_": "optax.adam",
        "optimizer.learning_rate": 0.01,
        "optimizer.b1": 0.9,
        "seed": 0,
    }
    configs = {
        "a": sgd,
        "b": adam,
        "c": {**adam, "optimizer.learning_rate": 0.1},
        "d": {**sgd, "optimizer.momentum": 0.9},
        "e": {**sgd, "seed": 1},
    }
    assert hyper.labels(["a", "b"], configs.get) == {"a": "sgd", "b": "adam"}
    assert hyper.labels(["a", "b", "c"], configs.get) == {
        "a": "sgd, learning_rate 1",
        "b": "adam, learning_rate 0.01",
        "c": "adam, learning_rate 0.1",
    }
    assert hyper.labels(["a", "b", "d"], configs.get) == {"a": "sgd", "b": "adam", "d": "momentum"}
    # What differs beside the optimizer is always said.
    assert hyper.labels(["b", "e"], configs.get) == {"b": "adam, seed 0", "e": "sgd, seed 1"}
    assert hyper.labels(["a", "d"], configs.get) == {"a": "sgd", "d": "momentum"}


def test_a_colour_belongs_to_the_name_and_six_runs_have_six():
    assert hyper.colours(["x"], CATEGORIES, "x") == CATEGORIES[zlib.crc32(b"x") % 6]
    names = [f"run {i}" for i in range(6)]
    assert {hyper.colours(names, CATEGORIES, name) for name in names} == set(CATEGORIES)
    assert hyper.colours(list(reversed(names)), CATEGORIES, "run 3") == hyper.colours(
        names, CATEGORIES, "run 3"
    )


def test_more_runs_than_colours():
    names = [f"run {i}" for i in range(40)]
    assert {hyper.colours(names, CATEGORIES, name) for name in names} == set(CATEGORIES)


def test_no_two_runs_of_a_page_share_a_colour_and_few_runs_have_those_that_differ_most():
    for count in (2, 6, 7, 8, 13, MAX_SELECTED):
        names = [f"digits_sgd--seed-{i}" for i in range(count)]
        for palette in (LIGHT, DARK):
            found = [hyper.colours(names, palette.runs, name) for name in names]
            assert len(set(found)) == count
            assert set(found) <= set(palette.runs[: -(-count // 6) * 6])


def test_as_many_colours_as_a_page_shows_runs_differ_from_each_other_and_from_the_card():
    """Distances in OKLab, where 0.02 is just seen."""
    for palette in (LIGHT, DARK):
        assert len(palette.runs) >= MAX_SELECTED and palette.runs[:6] == palette.categories
        colours = oklab(palette.runs)
        apart = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + np.eye(len(colours))
        assert apart.min() > 0.035 and apart[:12, :12].min() > 0.07
        assert np.linalg.norm(colours - oklab([palette.card]), axis=-1).min() > 0.2


def oklab(colours) -> np.ndarray:
    """Colours "#rrggbb" [N] as [N, 3] in OKLab (Ottosson 2020)."""
    srgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    cones = [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696]]
    cones += [[0.08830246, 0.28171884, 0.6299787]]
    axes = [[0.21045426, 0.79361778, -0.00407205], [1.9779985, -2.42859221, 0.45059371]]
    axes += [[0.02590404, 0.78277177, -0.80867577]]
    return np.cbrt(linear @ np.transpose(cones)) @ np.transpose(axes)


def test_chosen_colours_from_the_address():
    values = ["FF0000:a", "00ff00:b:c", "red:d", "12345:e", "javascript:f"]
    assert hyper.chosen_colours(values) == {"a": "#ff0000", "b:c": "#00ff00"}


@pytest.mark.parametrize(
    ("leaf", "text"), [(0.1, "0.1"), (1e-8, "1e-08"), (None, "none"), (True, "true"), (3, "3")]
)
def test_values_as_text(leaf, text):
    assert hyper.value(leaf) == text


def test_what_is_recorded_tells_no_runs_apart():
    configs = [
        {"seed": 0, "record.dumps": False},
        {"seed": 1, "record.dumps": "auto", "probes.end.on": "test"},
    ]
    assert hyper.differing(configs) == ["seed"]


@pytest.mark.parametrize(
    ("leaf", "cell"),
    [(3, 3), (0.5, 0.5), (2**53 + 1, str(2**53 + 1)), (-(10**400), "-about 1e400"), (None, "none")],
)
def test_cells_are_numbers_of_the_browser_or_text(leaf, cell):
    summary = {"hyperparameters": {"n": leaf}, "iterations": leaf if leaf is not None else 1}
    found = runs_columns.data(["a"], [summary], ["n"])
    assert found["p.n"] == [cell]
    json.dumps(found)
