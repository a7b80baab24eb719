"""The experiment of Kuchta 2023 from nothing to its table, on small files of real handwriting."""

import json

import numpy as np
import pytest

from experiments import tables
from experiments.kuchta2023.__main__ import main
from experiments.kuchta2023.evidence import Curve, change, hill, trend_after
from experiments.kuchta2023.training import quick, settings


def test_a_quick_pass_measures_and_writes_every_claim(data, tmp_path):
    mnist, images = data
    arguments = ["--short", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    arguments += ["--mnist", str(mnist), "--cifar10", str(images), "--images"]
    claims = main(arguments)
    assert [claim.number for claim in claims] == [11, 12, 13, 14, 15, *range(16, 28)]
    by_number = {claim.number: claim for claim in claims}
    assert by_number[12].details == {"modified_lenet": 1830, "lenet5": 61706}
    assert by_number[12].verdict == tables.REPRODUCED
    assert by_number[14].verdict == by_number[25].verdict == tables.UNDECIDED
    assert all(len(values) == 1 for values in by_number[21].details.values())
    text = (tmp_path / "out" / "README.md").read_text()
    assert all(f"| {claim.number} | {claim.claim} |" in text for claim in claims)
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["claims"]) == 17


def test_every_training_is_wanted_once():
    wanted = settings(2)
    assert len(set(wanted)) == len(wanted) == 2 * (8 + 1 + 10)
    assert set(quick()) < set(wanted)
    assert {s for s in wanted if s.network == "vgg" and s.seed == 1} == set(wanted) - set(settings(2, 1))
    assert [s.data for s in settings(2, 1, ("mnist",)) if s.network == "vgg"] == ["mnist"]


def test_hills_and_trends_of_known_curves():
    def made(value):
        return Curve(np.arange(len(value), dtype=float), np.asarray(value, float), {})

    rising = np.concatenate([np.linspace(1, 2, 10), np.linspace(2, 1, 90)])
    assert hill(made(rising)) == pytest.approx(1.0)
    assert trend_after(made(rising)) == pytest.approx(-1, abs=0.01)
    assert hill(made(np.linspace(2, 1, 100))) == 0
    assert change(made(np.linspace(1, 3, 100))) == pytest.approx(2.909 / 1.091 - 1, rel=1e-3)
