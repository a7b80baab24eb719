"""The experiment of Hamid et al. 2019: from nothing to its table, and its measures on known ensembles."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import tables
from experiments.hamid2019 import filters, performance, training
from experiments.hamid2019.__main__ import main
from experiments.hamid2019.evidence import Evidence, observe, rank_correlation
from gdlab import store
from gdlab.analysis.ensemble import open_ensemble
from tests.analysis.made_ensembles import config, make, symmetric

STEP = np.arange(0, 101, 10)
SIDE = 4


def made(root, accuracy, correlated=None, **options):
    """The Observed of SIDE x SIDE runs: accuracy(a, b) -> [n], correlated(a, b) -> share of alike filters
    [n]; a, b: places of learning rate and momentum, in [0, 1]."""
    runs, random = [], np.random.default_rng(0)
    for i in range(SIDE):
        for j in range(SIDE):
            a, b = i / (SIDE - 1), j / (SIDE - 1)
            r = None
            if correlated is not None:
                share = np.broadcast_to(correlated(a, b), STEP.shape)
                r = {f"conv{k}": np.stack([alike(random, s) for s in share]) for k in (1, 2)}
            name, made_config = f"{i},{j}", config(0.01 * (i + 1), 0.2 * (j + 1))
            values = np.broadcast_to(accuracy(a, b), STEP.shape)
            runs.append(
                make(root / name, made_config, STEP, values, correlations=r, correlation_step=STEP, **options)
            )
    return observe(open_ensemble(runs))


def alike(random, share, count=8):
    """Correlations of filters of which a share are all but the same."""
    r = symmetric(random, 1, count)[0] * 0.3
    same = round(share * count)
    r[:same, :same] = 0.9
    np.fill_diagonal(r, 1)
    return r


def rising(a, b):
    """Best on the diagonal from low rate, high momentum to the opposite corner; the worst least steady."""
    return 0.9 - 0.2 * abs(a + b - 1) - (0.2 + 0.3 * abs(a + b - 1)) * np.exp(-STEP / 20)


def test_every_run_is_wanted_where_the_command_puts_it():
    jobs = training.jobs(training.Place("runs", mnist="there"), "mnist")
    assert len(jobs) == len({folder for _, folder in jobs}) == 121
    settings, folder = jobs[0]
    assert folder == Path("runs/hamid_mnist/learning_rate-0.0059049--momentum-0.313811")
    assert settings["optimizer"]["learning_rate"] == 0.0059049 and settings["data_dir"] == "there"
    rates = sorted({one["optimizer"]["learning_rate"] for one, _ in jobs})
    momenta = sorted({one["optimizer"]["momentum"] for one, _ in jobs})
    np.testing.assert_allclose(
        rates, [*(0.01 * 0.9 ** np.arange(5, -1, -1)), *(0.01 * 1.1 ** np.arange(1, 6))]
    )
    np.testing.assert_allclose(momenta, 0.9 ** np.arange(11, 0, -1), atol=1e-6)
    jobs = training.jobs(training.Place("runs", images=True, form="small"), "cifar10")
    assert len(jobs) == 16 and jobs[0][0]["dataset"]["_target_"].endswith("images")
    assert str(jobs[0][1]).startswith("runs/hamid_cifar10_small/dataset-images--")


def test_the_stripe_and_what_goes_with_it(tmp_path):
    seen = made(tmp_path, rising)
    finding = performance.diagonal(seen)
    assert finding.hits == [True, True] and finding.details["falls"] == pytest.approx(-1)
    assert performance.lines(seen).details["rows"] == (2, 4)  # those through the corners of the stripe
    assert performance.agree(seen).hits == [True] * 3 and performance.opposed(seen).hits == [False] * 2
    late = performance.throughout(seen)
    assert late.hits == [True, True, True] and late.details["stops"][0.5] <= 10
    assert performance.alike(seen, seen).details["r"] == pytest.approx(1)


def test_without_a_stripe(tmp_path):
    seen = made(tmp_path, lambda a, b: 0.5 + 0.3 * a + 0.1 * b - 0.1 * np.exp(-STEP / 30))
    assert performance.diagonal(seen).hits == [False, False]
    assert performance.lines(seen).hits == [False, False]
    low, high = (performance.deviations(seen).details[name] for name in ("low", "high"))
    inside = (STEP >= 10) & (STEP <= 60)
    assert low == pytest.approx(high) == pytest.approx((0.1 * np.exp(-STEP / 30))[inside].std())


def test_the_best_of_the_beginning_may_end_worst(tmp_path):
    seen = made(tmp_path, lambda a, b: 0.5 + (0.1 + 0.05 * a + 0.01 * b) * np.where(STEP < 50, 1, -1))
    assert performance.throughout(seen).hits == [False, False, False]


def test_corners_and_colours_of_correlated_filters(tmp_path):
    less = made(tmp_path, rising, lambda a, b: 1 - 0.5 * (a + b) * np.linspace(0, 1, len(STEP)))
    assert filters.cornered(less).hits == [True, True]
    assert filters.two(less).hits == [True, True]
    assert filters.sorting(less).hits == [True, True]
    assert less.shown == "conv2" and less.ensemble.layers == ("conv1", "conv2")
    step, count = filters.counts(less)
    assert step.tolist() == STEP.tolist() and count.shape == (16, len(STEP)) and (count[:, 0] == 8).all()


def test_the_other_way_round(tmp_path):
    more = made(tmp_path / "more", rising, lambda a, b: 0.25 + 0.25 * (a + b))
    assert filters.cornered(more).hits == [False, False] and filters.two(more).hits == [False, False]
    less = made(tmp_path / "less", rising, lambda a, b: 0.1)
    assert filters.compared(more, less).hits == [True, True]
    assert filters.compared(less, more).hits == [False, False]
    assert filters.sorting(less).hits == []


def test_smooth_and_shuffled_neighbourhoods():
    places = np.array([(a, b) for a in range(6) for b in range(6)]) / 5
    ratio, p_value = filters.neighbourhood(places @ [[2.0, 1.0], [-1.0, 2.0]], places)
    assert ratio < 0.5 and p_value == 0.001
    shuffled = np.random.default_rng(0).permutation(places)
    ratio, p_value = filters.neighbourhood(shuffled, places)
    assert 0.8 < ratio < 1.2 and p_value > 0.05


def test_runs_that_lack_something_are_left_out_and_counted(tmp_path):
    runs = [
        make(tmp_path / "diverged", config(1.0, 0.5), (0, 10, 20), (0.1, 0.1, 0.1), state="diverged"),
        make(tmp_path / "stopped", config(0.02, 0.5), (0,), (0.1,), state="interrupted"),
        make(tmp_path / "good", config(0.02, 0.9), STEP, STEP / 100),
    ]
    seen = observe(open_ensemble(runs))
    assert np.isnan(seen.p1).tolist() == [False, True, False] and seen.p3[0] == 1
    assert performance.diagonal(seen).details["left_out"] == 1
    assert "(1 run without)" in performance.deviations(seen).words
    for finding in (filters.two(seen), filters.cornered(seen), filters.sorting(seen)):
        assert finding.hits == []
    assert filters.smooth(seen, seen).words == "MNIST has 0 runs with correlations"
    one = performance.resemblance(Evidence(seen, None))
    assert one.verdict == tables.UNDECIDED and one.measured == "not asked for"


def test_cells_of_two_grids_meet_by_their_values():
    def seen(rates, momenta, good):
        parameters = {"learning_rate": np.array(rates), "momentum": np.array(momenta)}
        return SimpleNamespace(ensemble=SimpleNamespace(parameters=parameters), good=np.array(good))

    whole = seen([0.1, 0.1, 0.2, 0.2, 0.3, 0.3], [0.5, 0.9] * 3, [1.0, 2, 3, 4, 5, 6])
    part = seen([0.3, 0.1, 0.2], [0.9, 0.5, 0.5], [9.0, 7, 8])
    found = performance.alike(whole, part)
    assert found.words == "1.00 over 3 cells" and found.hits == [True]


def test_rank_correlation():
    assert rank_correlation([1, 2, 3, np.nan], [2, 3, 9, 1]) == pytest.approx(1)
    assert np.isnan(rank_correlation([1, 2], [1, 2])) and np.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


@pytest.mark.slow
def test_a_quick_pass_measures_and_writes_every_claim(data, tmp_path):
    mnist, images = data
    arguments = ["--short", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    arguments += ["--mnist", str(mnist), "--cifar10", str(images), "--images"]
    claims = main(arguments)
    assert [claim.number for claim in claims] == list(range(28, 40))
    assert all(claim.verdict != tables.UNDECIDED for claim in claims if claim.number not in (35,))
    text = (tmp_path / "out" / "README.md").read_text()
    assert all(f"| {claim.number} | {claim.claim} |" in text for claim in claims)
    assert "| mnist | 9 | 20 |" in text and "9 finished" in text
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["claims"]) == 12
    assert len(list((tmp_path / "runs" / "hamid_cifar10_short").iterdir())) == 9
    # Members of one program have the same start, and each its own course.
    folders = sorted((tmp_path / "runs" / "hamid_mnist_short").iterdir())
    filters_of = np.stack([store.open_run(folder).array("correlation/conv2") for folder in folders])
    assert filters_of.shape == (9, 11, 6, 6) and np.isfinite(filters_of).all()
    np.testing.assert_allclose(filters_of[:, 0], filters_of[[0] * 9, 0], atol=1e-5)
    assert min(np.abs(filters_of[i, -1] - filters_of[j, -1]).max() for i in range(9) for j in range(i)) > 1e-4


def test_the_readme_has_its_markers():
    text = (Path(performance.__file__).parent / "README.md").read_text()
    assert tables.BEGIN in text and tables.END in text
