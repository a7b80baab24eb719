"""The published experiments run from nothing to their tables, in a shortened form."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from experiments import tables
from experiments.becker2019.__main__ import SHORT_SWEEP, main
from experiments.becker2019.curves import stretches
from experiments.becker2019.minibatch import Setting, trends
from experiments.becker2019.patterns import patterns
from experiments.becker2019.training import sweep
from experiments.recorded import chosen, trained
from gdlab import store
from gdlab.plan import naming
from gdlab.records import CUBIC, QUADRATIC, TRACE_COLUMNS


def rows(*searched):
    """Trace rows from (phase, kind, minimiser, lower, upper, next_eta)."""
    made = np.full((len(searched), len(TRACE_COLUMNS)), np.nan)
    names = ("phase", "kind", "minimiser", "lower", "upper", "next_eta")
    for row, values in zip(made, searched, strict=True):
        row[[TRACE_COLUMNS.index(name) for name in names]] = values
    return made


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("becker2019")
    out = root / "out"
    out.mkdir()
    (out / "README.md").write_text(f"before\n\n{tables.BEGIN}\nold\n{tables.END}\n\nafter\n")
    claims, settings = main(["--short", "--runs", str(root / "runs"), "--out", str(out)])
    return root / "runs", out, claims, settings


def test_every_claim_has_a_verdict(finished):
    _, _, claims, _ = finished
    assert [claim.number for claim in claims] == list(range(1, 11))
    assert {claim.verdict for claim in claims} <= {"reproduced", "partly", "not reproduced"}
    verdicts = {claim.number: claim.verdict for claim in claims}
    # What does not depend on the length of the galaxy runs.
    assert verdicts[1] == verdicts[2] == "reproduced" and verdicts[4] == "partly"
    by_number = {claim.number: claim.details for claim in claims}
    assert 1e-17 <= by_number[1]["loss_22"] <= 1e-14
    assert by_number[2]["marked"] == [24, 25]
    assert [p["iteration"] for p in by_number[4]["here"]] == [13]
    assert list(by_number[7]["seeds"][0]["jumps"]) == [20, 40] and by_number[7]["batch_gap"] == 0
    assert by_number[8][0]["rises_batch"] == 0


def test_tables_figures_and_numbers_are_written(finished):
    _, out, claims, settings = finished
    text = (out / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "\nold\n" not in text
    assert all(f"| {claim.number} | {claim.claim} |" in text for claim in claims)
    document = json.loads((out / "results.json").read_text())
    assert len(document["claims"]) == 10 and len(document["sweep"]) == len(settings) == 2
    assert [(s["batch_size"], s["descent_length"]) for s in document["sweep"]] == [(480, 5), (480, 20)]
    for setting in settings:
        assert sum(setting.histogram) == 25 and 1 <= setting.measures["evaluations"] <= 25
        assert 0 <= setting.measures["loose_ends"] <= 1 and setting.measures["smoothness"] > 1
        assert setting.measures["jump"] > 0
    for name, panels in (("rosenbrock.svg", 1), ("galaxy.svg", 2)):
        figure = ElementTree.parse(out / name).getroot()
        lines = figure.findall("{http://www.w3.org/2000/svg}polyline")
        assert len(lines) >= 26 * panels


def test_runs_that_are_there_are_used(finished):
    runs, _, _, _ = finished
    names = [name for name, _ in store.list_runs(runs)]
    assert "rosenbrock" in names and sum(name.startswith("galaxy_sweep/") for name in names) == 2
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("zarr.json")}
    again = [trained(runs, "rosenbrock"), *sweep(runs, *SHORT_SWEEP)]
    assert [run.rows("scalars") for run in again] == [27, 25, 25]
    assert before == {path: path.stat().st_mtime_ns for path in runs.rglob("zarr.json")}


def test_the_pattern_of_figure_3_is_recognised():
    none = (1, CUBIC, np.nan, 0.1, 3, 3)
    beyond = (1, CUBIC, 4, 0.1, 3, 3)
    inside = (1, CUBIC, 2, 0.1, 3, 2)
    accepted = (1, 0, np.nan, np.nan, np.nan, np.nan)
    assert [p.exact for p in patterns(7, rows(beyond, beyond, inside, accepted))] == [True]
    assert [p.exact for p in patterns(7, rows(none, beyond, inside, accepted))] == [False]
    assert patterns(7, rows(beyond, inside, inside, accepted)) == []
    assert patterns(7, rows(beyond, beyond, beyond, accepted)) == []


def test_the_pattern_of_figure_4_is_recognised():
    extrapolated = (1, CUBIC, np.nan, 0.1, 3, 3)
    low, inside = (2, QUADRATIC, 0.1, 1, 2, 1), (2, QUADRATIC, 1.5, 1, 2, 1.5)
    end = [(2, CUBIC, 1.5, 1, 2, 1.5), (2, 0, np.nan, np.nan, np.nan, np.nan)]
    (seen,) = patterns(3, rows(*[extrapolated] * 3, *[low] * 5, *end))
    assert (seen.claim, seen.iteration, seen.bounds, seen.exact) == (4, 3, 5, True)
    (seen,) = patterns(3, rows(*[extrapolated] * 3, inside, *[low] * 4, *end))
    assert (seen.bounds, seen.exact) == (4, False)
    assert patterns(3, rows(*[extrapolated] * 2, *[low] * 6, *end)) == []


def test_stretches_are_long_flat_and_do_not_overlap():
    assert stretches(np.geomspace(1, 0.5, 30)) == []
    assert stretches(np.array([1.0, 1, 1, 1, 1, 0.9])) == []
    flat = np.concatenate([np.linspace(2, 1, 10), np.full(8, 1.0), [0.5], np.full(6, 0.5)])
    assert stretches(flat) == [(9, 17), (18, 24)]


def test_trends_are_rank_correlations():
    names = (
        "loose_ends", "evaluations", "steepness", "curvature", "jump", "smoothness", "training_error",
    )  # fmt: skip
    settings = [
        Setting(b, 5, 1440 // b, 5 * b / 1440, dict.fromkeys(names, 1.0) | {"jump": -(b**3)}, [1])
        for b in (1, 3, 6)
    ]
    found = trends(settings)
    assert found["jump"]["batches"] == pytest.approx(-1)
    assert np.isnan(found["jump"]["descent_length"]) and np.isnan(found["steepness"]["batches"])


def test_wrong_options_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--seeds", "0"])
    assert "allowed: an integer >= 1" in capsys.readouterr().err


def test_a_run_under_a_long_name_of_before_is_found(tmp_path):
    """Longer than 120 characters, names were cut and had a hash: the run is not trained again."""
    overrides = [f"optimizer.learning_rate={n}.123456789" for n in range(5)] + ["seed=1"]
    (tmp_path / "runs").mkdir()
    long = naming.old_name("digits_sgd", ",".join(sorted(overrides)))
    assert len(long) <= 120 < sum(map(len, overrides))
    (tmp_path / "runs" / long).mkdir()
    (tmp_path / "runs" / long / "run.json").write_text("{}")
    assert chosen(tmp_path / "runs", "digits_sgd", overrides) == long
