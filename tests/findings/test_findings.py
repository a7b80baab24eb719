"""What is said of made records, in which the truth is known; and that nothing is said where nothing is so."""

import json

import numpy as np
import pytest

from gdlab import store
from gdlab.findings import comparison, error, findings, held_out, importance
from gdlab.records import DIVERGED, LINE_SEARCH_FAILED, STEP_COLUMNS
from tests.server import make_ensemble

VALIDATION = ("iteration", "loss", "accuracy", "train_loss", "train_accuracy")
PRECISION = {"precision": "float64"}


def record(path, steps, *, validation=(), config=PRECISION, evaluations=0):
    """The Run of `path` with these columns of its steps, each ending where the next begins, the others 0."""
    count = len(steps["loss"])
    steps = {"loss_end": np.append(steps["loss"][1:], steps["loss"][-1:])} | steps
    rows = np.zeros((count, len(STEP_COLUMNS)))
    for name, values in steps.items():
        rows[:, STEP_COLUMNS.index(name)] = values
    arrays = {"scalars": store.ArraySpec("f8", (len(STEP_COLUMNS),), STEP_COLUMNS)}
    found = {"scalars": rows}
    if len(validation):
        arrays["validation"] = store.ArraySpec("f8", (len(VALIDATION),), VALIDATION)
        found["validation"] = np.asarray(validation, float)
    with store.RunWriter.create(path, config=config, identity={}, arrays=arrays, pyramids=()) as writer:
        writer.append(found)
        writer.commit()
        writer.set_status("finished")
    return store.open_run(path)


def descent(rate, count=20, start=1.0):
    """Gradient descent on x^2 / 2, whose minimum along every step lies 1 / rate steps away."""
    x = start * (1 - rate) ** np.arange(count + 1)
    steps = {"loss": x[:-1] ** 2 / 2, "loss_end": x[1:] ** 2 / 2, "slope": -rate * x[:-1] ** 2}
    return steps | {"step_size": 1.0, "update_norm": rate * np.abs(x[:-1])}


def texts(runs, page=None):
    return [finding.text for finding in findings(runs, page)]


def of(module, *runs):
    """What one module says of runs, so that a new one beside it may speak of them, too."""
    return module.find_among(runs) if hasattr(module, "find_among") else module.find(*runs)


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.1, "too short: by its parabola the error is lowest 10 steps along them"),
        (1.9, "too long"),
        (1.0, ""),
    ],
)
def test_steps_that_are_too_short_or_too_long(tmp_path, rate, words):
    said = [text for text in texts([record(tmp_path / "a", descent(rate))]) if "of the steps" in text]
    assert (f"100 % of the steps of a were {words}" in "".join(said)) if words else not said


def test_a_share_of_the_steps_is_what_is_said(tmp_path):
    """Fifteen of twenty were too short, the others right."""
    steps = descent(0.1)
    right = descent(1.0)
    for name in ("loss", "loss_end", "slope", "update_norm"):
        steps[name][::4] = right[name][0]
    (finding,) = [one for one in findings([record(tmp_path / "a", steps)]) if "of the steps" in one.text]
    assert finding.number == 0.75 and finding.text.startswith("75 % of the steps of a were too short")


def test_differences_within_rounding_say_nothing(tmp_path):
    steps = descent(0.1)
    steps["loss"], steps["loss_end"] = 1e12 + steps["loss"], 1e12 + steps["loss_end"]
    assert not [text for text in texts([record(tmp_path / "a", steps)]) if "of the steps" in text]


def test_an_error_that_is_not_finite_is_said_before_all_else(tmp_path):
    steps = descent(0.1)
    steps["loss"][7:] = np.inf
    steps["status"] = np.where(np.arange(20) >= 7, DIVERGED, 0)
    first = of(error, record(tmp_path / "a", steps))[0]
    assert first in findings([store.open_run(tmp_path / "a")])
    assert first.text == "The error of a is not finite from iteration 7 on."
    assert first.link == {"page": "descent", "run": "a", "k": 7}


def test_what_is_said_of_an_error_that_is_not_finite_is_true_of_every_later_iteration(tmp_path):
    steps = descent(0.1, 40)
    steps["loss"][[3, 30, 38, 39]] = np.nan
    steps["status"] = np.where(np.isnan(steps["loss"]), DIVERGED, 0)
    assert texts([record(tmp_path / "a", steps)])[0] == "The error of a is not finite from iteration 38 on."
    steps["loss"][39], steps["status"][39] = 1e-4, 0
    (first,) = [text for text in texts([record(tmp_path / "b", steps)]) if "finite" in text]
    assert first.endswith("not finite at 3 iterations, first at iteration 3, and became finite again.")
    steps["loss"][38], steps["status"][38:] = (
        1e-4,
        (0, DIVERGED),
    )  # the error at the end of the last step is not
    assert texts([record(tmp_path / "c", steps)])[0] == "The error of c is not finite after iteration 39."


def test_an_error_that_is_not_told_at_every_iteration_is_not_called_infinite(tmp_path):
    loss = np.where(np.arange(200) % 4 == 0, np.linspace(1, 0.1, 200), np.nan)
    assert texts([record(tmp_path / "a", {"loss": loss})]) == []
    assert texts([record(tmp_path / "b", {"loss": np.full(200, np.nan)})]) == []


def test_scatter_between_mini_batches_is_no_rise(tmp_path):
    """An error that falls to 1 and stays there, each iteration on another mini-batch."""
    said = []
    for seed in range(20):
        scatter = np.random.default_rng(seed).normal(0, 0.2, 60)
        loss = 1 + np.exp(-np.arange(60) / 5) + scatter
        said += texts([record(tmp_path / f"a{seed}", {"loss": loss})])
    assert not [text for text in said if "has risen" in text]


@pytest.mark.parametrize("scale", [1.0, 1e307])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (1e-9, 1.0)])
def test_a_rise_from_nothing_or_from_below_it_is_said_by_both_values(tmp_path, scale, low, high):
    loss = scale * np.concatenate([np.linspace(10, low, 60), np.full(20, low), np.full(20, high)])
    (text,) = texts([record(tmp_path / "a", {"loss": loss})])
    assert f"has risen from {low * scale:.3g} to {high * scale:.3g} since" in text


def test_an_error_that_rises_again(tmp_path):
    k = np.arange(200)
    loss = np.where(k < 100, 1 - 0.009 * k, 0.1 + 0.002 * (k - 100))
    ((text, *_),) = of(error, record(tmp_path / "a", {"loss": loss}))
    assert text.startswith("The smoothed error of a was lowest at iteration 10")
    assert "has risen by 1" in text  # from 0.1 to 0.29, smoothed


def test_a_second_half_that_brings_nothing(tmp_path):
    loss = np.where(np.arange(200) < 60, 1 - 0.015 * np.arange(200), 0.1)
    ((text, *_),) = of(error, record(tmp_path / "a", {"loss": loss}))
    assert text == "The second half of a, from iteration 100, brought 0.0 % of the fall of the error."


def test_a_steady_fall_is_nothing_to_speak_of(tmp_path):
    assert of(error, record(tmp_path / "a", {"loss": np.linspace(1, 0.1, 200)})) == []


def test_accuracy_that_was_given_up(tmp_path):
    rows = [(10 * i, 1.0, accuracy, 1.0, 1.0) for i, accuracy in enumerate((0.5, 0.9, 0.95, 0.9))]
    run = record(tmp_path / "a", {"loss": np.linspace(1, 0.1, 40)}, validation=rows)
    (finding,) = of(held_out, run)
    words = "On examples that it has not seen, a was best at iteration 20 with 5.00 % wrong"
    assert finding.text == f"{words}; at its end 10.00 % are."
    assert finding.link["k"] == 20


def test_searches_without_a_step_and_what_a_search_costs(tmp_path):
    from tests.server import make_runs

    make_runs.make(tmp_path / "plain")
    run = store.open_run(tmp_path / "plain")
    rows = run.array("scalars")
    failed = np.flatnonzero(rows[:, STEP_COLUMNS.index("status")] == LINE_SEARCH_FAILED)
    spent = rows[:, STEP_COLUMNS.index("evaluations")]
    said = {one.text.split(" of ")[0]: one for one in findings([run]) if "line search" in one.text.lower()}
    assert bool(len(failed)) == any("found no step" in one.text for one in said.values())
    assert ("A line search" in said) == (spent[spent > 0].mean() > 6)
    for one in said.values():
        if "found no step" in one.text:
            assert one.number == len(failed) and one.link["k"] == failed[0]
        else:
            assert one.number == spent[spent > 0].mean() and one.link["k"] == int(np.argmax(spent))


def test_which_run_came_furthest(tmp_path):
    runs = [
        record(tmp_path / name, {"loss": np.linspace(1, low, 40)}) for name, low in (("a", 0.2), ("b", 0.1))
    ]
    (finding,) = of(comparison, *runs)
    assert finding.text == "b reached the lowest error, 0.1; next is a with 0.2."
    assert finding.text in texts(runs, "compare") and finding.text not in texts(runs, "tracker")


def test_runs_that_are_equal_in_every_digit_shown_are_not_told_apart(tmp_path):
    runs = [
        record(tmp_path / name, {"loss": np.linspace(1, low, 40)})
        for name, low in (("a", 0.2), ("b", 0.2 + 1e-9))
    ]
    assert texts(runs, "compare") == []


def test_runs_that_minimise_different_things_are_not_compared(tmp_path):
    runs = []
    for name in ("a", "b"):
        config = PRECISION | {"problem": {"_target_": f"gdlab.problems.{name}"}}
        runs.append(
            record(tmp_path / name, {"loss": np.linspace(1, 0.1 if name == "a" else 0.2, 40)}, config=config)
        )
    assert of(comparison, *runs) == []


def test_which_hyper_parameter_matters(tmp_path):
    """The loss is a function of the learning rate alone."""
    runs = []
    for rate in (0.1, 0.2, 0.3, 0.4):
        for seed in (0, 1, 2):
            path = tmp_path / f"r{rate}s{seed}"
            config = {"optimizer": {"learning_rate": rate}, "train": {"batches": 2 + seed}}
            rows = [(0, 1.0, 0.1, 1.0, 0.1), (10, 1.0, rate, 1.0, rate)]
            make_ensemble.write(path, config, rows)
            runs.append(store.open_run(path))
    (finding,) = of(importance, *runs)
    assert finding.text in texts(runs, "ensemble")
    assert finding.text == "Among 12 runs, learning_rate explains 100 % of the variance of the best accuracy."


def test_findings_of_a_page_are_some_of_all_and_can_be_written_down(tmp_path):
    run = record(tmp_path / "a", descent(0.1, 40))
    every, some = findings([run]), findings([run], "steps")
    assert some and set(map(str, some)) <= set(map(str, every))
    for finding in every:
        json.dumps(finding._asdict())
        assert finding.text.endswith(".") and 0 <= finding.weight <= 1 and finding.link["run"] == "a"


def test_a_run_of_nothing(tmp_path):
    run = record(tmp_path / "a", {"loss": np.empty(0)})
    assert findings([run]) == findings([run, run]) == findings([]) == []


def test_another_module_that_speaks_of_a_run_is_heard_and_breaks_nothing(tmp_path, monkeypatch):
    """As one of one's own would be: found by its being there."""
    import gdlab.findings as package

    (tmp_path / "rows.py").write_text(
        "from gdlab.findings import Finding\nPAGES = ('mine',)\n\n\ndef find(run):\n"
        "    text = f'{run.name} has many rows.'\n"
        "    return [Finding(text, 1.0, {'page': 'mine', 'run': run.name}, 0.9)]\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    package._modules.cache_clear()
    try:
        run = record(tmp_path / "a", descent(1.0))
        assert texts([run], "mine") == ["a has many rows."] and "a has many rows." in texts([run])
        assert "a has many rows." not in texts([run], "descent")
    finally:
        package._modules.cache_clear()
