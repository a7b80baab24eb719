"""The experiment of Liu 2018 (DeepTracker): from nothing to its table, and its measures on known records."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import made_up_dumps
from experiments import tables
from experiments.liu2018 import classes, easy_classes, filters, layers, relations, training
from experiments.liu2018.__main__ import main
from experiments.liu2018.evidence import Evidence, Record, losses, observe
from experiments.liu2018.training import Place, Setting, command, quick, settings
from experiments.recorded import composed, folder
from gdlab import store
from gdlab.analysis.dumps import Dumps, Node
from gdlab.records import Table

NODES = (
    Node("conv1", -1, 0, 4, 9, "conv"),
    Node("stage1", -1, 4, 4, 72, "group"),
    Node("stage1/block1", 1, 4, 4, 72, "group"),
    Node("stage1/block1/conv1", 2, 4, 2, 18, "conv"),
    Node("stage1/block1/conv2", 2, 6, 2, 18, "conv"),
    Node("dense1", -1, 8, 2, 2, "dense"),
)
FILTERS, DUMPS = 10, 40


def made(error=None, rates=None, found=(), begin=(0, 20, 30, DUMPS), right=None, **statistics):
    """A Record of 40 dumps and two layers' blocks; found: anomalies (class, dump); statistics [D, F or N]."""
    dumps = object.__new__(Dumps)
    dumps.count, dumps.nodes, dumps.classes = DUMPS, NODES, ("cat", "dog")
    dumps.filter = lambda stat, node=None: statistics[stat]
    dumps.layer = lambda stat: statistics[stat]
    dumps.right = lambda: right
    dumps.starts = None if right is None else np.array([0, 3, right.shape[1]])
    dumps.scalars = {"learning_rate": np.repeat([0.1, 0.01, 0.001], [20, 10, 10])}
    which, at = np.array(found, int).reshape(-1, 2).T
    columns = {"class": which, "dump": at, "rule": np.full(len(at), "left")}
    table = Table(columns, dict.fromkeys(columns, ("anomaly",)), {})
    return Record(SimpleNamespace(path="nowhere"), dumps, rates, error, 2, 3, table, np.array(begin))


def changes(moved):
    """cosine_distance [D, F] of {dump: filters}."""
    change = np.zeros((DUMPS, FILTERS))
    for dump, which in moved.items():
        change[dump, which] = 0.5
    return change


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    path = tmp_path_factory.mktemp("made_up") / "run"
    made_up_dumps.write(path, dumps=120, classes=20, images=30)
    return observe(store.open_run(path))


@pytest.mark.slow
@pytest.mark.skipif("GDLAB_LONG" not in os.environ, reason="minutes of compiling; GDLAB_LONG=1 runs it")
def test_a_quick_pass_measures_and_writes_every_claim(data, tmp_path):
    mnist, images = data
    arguments = ["--short", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    arguments += ["--mnist", str(mnist), "--cifar10", str(images), "--images"]
    claims = main(arguments)
    assert [claim.number for claim in claims] == list(range(40, 53))
    verdicts = {tables.REPRODUCED, tables.PARTLY, tables.REFUTED, tables.UNDECIDED}
    assert {claim.verdict for claim in claims} <= verdicts
    by_number = {claim.number: claim for claim in claims}
    assert set(by_number[40].details) == {"ResNet-20, CIFAR-10", "Modified-LeNet, MNIST, sgd"}
    assert len(by_number[46].details) == 2 and set(by_number[50].details) == {"ResNet-20, CIFAR-10"}
    assert by_number[47].verdict == tables.UNDECIDED and by_number[41].verdict != tables.UNDECIDED
    text = (tmp_path / "out" / "README.md").read_text()
    assert all(f"| {claim.number} | {claim.claim} |" in text for claim in claims)
    assert "| ResNet-20, CIFAR-10 | 0 | 24 | 7 | finished |" in text
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(document["claims"]) == 13 and len(document["easy classes less often"]) == 2
    assert "| Modified-LeNet, MNIST, sgd | 0 | hard classes |" in text


def test_every_training_is_wanted_once_and_its_folder_can_be_made():
    wanted = settings(2)
    assert len(set(wanted)) == len(wanted) == 1 + 2 * 6 and set(quick()) < set(wanted)
    place = Place("runs", images=True)
    assert all(len(folder(*command(place, one))) < 250 for one in wanted)
    config = _config(place, Setting("mnist", times=32, warmup=True))
    assert config["schedule"]["_target_"].endswith("warmup_cosine")
    assert config["train"]["batch_size"] == 2048 and config["train"]["steps"] == 58
    assert config["optimizer"]["learning_rate"] == 3.2 and config["record"]["dumps"] == 2
    config = _config(place, Setting("cifar10"))
    assert config["dataset"]["_target_"].endswith("images") and config["train"]["batch_size"] == 64


def _config(place, setting):
    name, overrides = command(place, setting)
    return composed(name, *overrides)[0]


def test_types_of_classes():
    course = np.linspace(0, 1, DUMPS)
    easy, hard = np.where(course > 0.05, 0.1, 0.9), np.full(DUMPS, 0.9)
    middle = 0.9 - 0.7 * course
    rates = np.array([easy, easy + 0.01, middle, middle - 0.02, hard, hard - 0.3 * course**2])
    finding = classes.types(made(rates=rates))
    assert finding.hits == [True, True, True]
    assert finding.details["sizes"].tolist() == [2, 2, 1, 1]
    assert classes.types(made(rates=rates[[0, 1]])).hits == [True, False, False]
    assert classes.types(made(rates=rates[[4, 4, 5, 5]])).hits == [False, True, False]


def test_drops_at_boundaries():
    ripple = 0.01 * np.sin(np.arange(DUMPS))
    stages = np.repeat([0.6, 0.4, 0.4], [20, 10, 10]) + ripple
    finding = classes.dropping(made(error=stages))
    assert finding.hits == [True, False]
    assert finding.details["drops"][0][0] == pytest.approx(0.2, abs=0.02)
    assert classes.dropping(made(error=np.linspace(1, 0, DUMPS))).hits == [False, False]
    assert classes.dropping(made(error=stages, begin=(0, 2, DUMPS))).hits == []


def test_images_that_stay_wrong():
    rates = np.array([np.full(DUMPS, 0.2), np.full(DUMPS, 0.8)])
    right = np.ones((DUMPS, 8), bool)
    right[:, :2] = False  # two of the easy class's three images; all of the hard class's are right
    record = made(rates=rates, right=right)
    assert classes.staying(record).hits == [True, True]
    right[0, 1] = True  # by chance, before anything is learnt
    assert classes.staying(record).hits == [False, True]
    right[9, 1] = True
    assert classes.staying(record).hits == [False, False]


def test_peaks_and_anomalies():
    error = np.linspace(0.6, 0.4, DUMPS)
    error[[7, 12, 17]] += 0.2
    assert classes.peaks_of(error).tolist() == [7, 12, 17]
    assert classes.restless(made(error=error, found=[(0, 8), (0, 12), (1, 17)])).hits == [True, True]
    elsewhere = classes.restless(made(error=error, found=[(0, 3), (0, 25), (1, 26), (0, 27)]))
    assert elsewhere.hits == [False, False] and elsewhere.details["met"] == 0
    assert classes.restless(made(error=error)).hits == []


def test_a_made_up_record_shows_what_was_put_into_it(made_up):
    finding = classes.restless(made_up)
    assert made_up.begin.tolist() == [0, 30, 60, 90, 120]
    assert finding.hits == [True, True] and finding.details["rates"][0] > 3 * finding.details["rates"][1]
    spread = layers.falling(made_up)
    # Every width is that of He et al. at first, and all shrink alike.
    assert spread.hits == [True, False] and (spread.details["change"] < -0.3).all()
    assert layers.leaning(made_up).hits[0] and layers.leaning(made_up).details["dense"][1] > 0
    steady = filters.steady(made_up)
    assert len(steady) >= made_up_dumps.RESTLESS // 2
    change = made_up.dumps.filter("cosine_distance")[-30:]
    assert change[:, steady].mean() > 10 * np.median(change.mean(axis=0))
    assert filters.number_dead(made_up) == made_up_dumps.DEAD + made_up_dumps.DYING


def test_dead_filters_of_the_first_layer_are_zeroed(made_up, monkeypatch):
    asked, attrs = [], {"accuracy": 0.9, "control_accuracy": [0.7, 0.8]}

    def without(record, which):
        asked.append(list(which))
        return Table({}, {}, attrs)

    monkeypatch.setattr(filters, "without", without)
    for accuracy, harmless in ((0.899, True), (0.85, False)):
        attrs["accuracy_without"] = accuracy
        assert filters.dead(made_up).hits == [True, harmless, True]
        assert asked[-1] == list(range(made_up_dumps.DEAD))
    assert losses(Table({}, {}, attrs)) == pytest.approx((0.05, 0.15))
    alive = changes({dump: np.arange(FILTERS) for dump in range(DUMPS)})
    assert filters.dead(made(cosine_distance=alive, gradient_norm=alive)).hits == [False]


def test_warm_up_avoids_dead_filters():
    alive = changes({dump: np.arange(FILTERS) for dump in range(DUMPS)})
    dying = alive.copy()
    dying[5:, [0, 3, 7]] = 0
    one = Setting("mnist", times=8)
    records = {
        setting: made(cosine_distance=values, gradient_norm=values)
        for setting, values in (
            (one, dying), (one._replace(warmup=True), alive), (one._replace(times=32), alive),
            (one._replace(times=32, warmup=True), dying),
        )
    }  # fmt: skip
    claim = filters.warmed(Evidence(records, []))
    assert claim.details == {"k = 8, seed 0": (3, 0), "k = 32, seed 0": (0, 3)}
    assert claim.verdict == tables.REPRODUCED
    records[one._replace(warmup=True)] = records[one]
    assert filters.warmed(Evidence(records, [])).verdict == tables.REFUTED
    del records[one]
    assert filters.warmed(Evidence(records, [])).verdict == tables.UNDECIDED


def test_layers_and_mini_sets_of_known_changes(monkeypatch):
    found = [(0, 3), (0, 6), (1, 9)]
    change = changes({3: [0, 5, 6, 7], 6: [0, 5, 6, 7], 9: [0, 1], 20: [2, 3, 4]})
    record = made(found=found, cosine_distance=change)
    assert relations.shallow(record).details[8] == {"shallow": 1, "deep": 2, "last": 0.5, "usual": 0.5}
    assert relations.shallow(record).hits[:2] == [False, False]
    # Only the last convolution of the block: 6 and 7 are its filters.
    last = made(found=found, cosine_distance=changes({3: [0, 6], 6: [0, 7]}))
    assert relations.shallow(last).hits[:2] == [False, True]
    which, number = relations.repeated(record)
    # The filters that are anomalous twice, for class 0 alone; 0 is so for class 1 too, 5 is in another layer.
    assert which.tolist() == [6, 7] and number == 0
    columns = {"error": np.array([0.2, 0.3]), "without": np.array([0.3, 0.3])}
    attrs = {"accuracy": 0.75, "accuracy_without": 0.748, "control_accuracy": [0.7]}
    monkeypatch.setattr(relations, "without", lambda record, which: Table(columns, {}, attrs))
    assert relations.own(record).hits == [True, False]
    assert relations.own(made(found=[(0, 3)], cosine_distance=change)).hits == []


def test_depth_of_modules_and_spans(made_up):
    grown = relations.growing(made_up).details[100]
    tops = np.unique(relations.tops(made_up, 100).columns["filter"])
    of_layer = made_up.dumps.layer_of_filter()[tops]
    names = [made_up.dumps.nodes[i].name.partition("/")[0] for i in of_layer]
    assert grown["counts"].tolist() == [names.count(f"stage{s}") for s in (1, 2, 3, 4)]
    found = relations.spanning(made_up).details[100]
    assert found["dumps"] == relations.rank_correlation(*spans(made_up))


def spans(record):
    """(layer, dumps) of every mini-set of two or more appearances, filter by filter."""
    tops = relations.tops(record, 100).columns
    anomalous = np.unique(record.found.columns["dump"])
    lines = np.bincount(np.unique(np.stack([record.found.columns[n] for n in ("class", "dump")]), axis=1)[1])
    of_filter = {f: tuple(tops["dump"][tops["filter"] == f]) for f in np.unique(tops["filter"])}
    assert set(tops["dump"]) <= set(anomalous)
    positions = record.dumps.layers()
    keys = {(positions.index(record.dumps.layer_of_filter()[f]), dumps) for f, dumps in of_filter.items()}
    kept = sorted((layer, len(dumps)) for layer, dumps in keys if sum(lines[list(dumps)]) >= 2)
    return np.array(kept).T


def test_easy_classes_are_told_apart_on_other_images_than_they_are_measured_on(monkeypatch):
    errors = {  # run, part: error of each of six classes
        ("plain", "train"): [0.1, 0.5, 0.2, 0.3, 0.0, 0.4],
        ("plain", "test"): [0.2, 0.6, 0.2, 0.3, 0.1, 0.4],
        ("shares", "test"): [0.3, 0.4, 0.2, 0.3, 0.2, 0.4],
    }

    def probe(path, name, options):
        columns = {"recall": 1 - np.array(errors[path, options["on"]])}
        return Table(columns, dict.fromkeys(columns, ("class",)), {})

    monkeypatch.setattr(easy_classes, "run_probe", probe)
    found = easy_classes.compared(SimpleNamespace(path="plain"), SimpleNamespace(path="shares"))
    assert found["all classes"] == pytest.approx((0.3, 0.3))
    assert found["hard classes"] == pytest.approx((0.5, 0.4))  # classes 1 and 5
    assert found["easy classes"] == pytest.approx((0.15, 0.25))  # 4 and 0
    rows = easy_classes.rows({Setting("mnist"): found})
    assert rows[1][2:] == ("hard classes", "50.00%", "40.00%", "-10.00") and rows[1][:2][1] == 0


def test_a_training_with_shares_knows_the_plain_one(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(training, "trained", lambda *names, **options: asked.update(names=names, **options))
    training.run_with_shares(Place("runs"), Setting("mnist", seed=2), SimpleNamespace(path="runs/a,b=1"))
    assert folder(asked["names"][1], asked["names"][2:]) == "mnist_stages--class_shares-from_run--seed-2"
    config, _ = composed(*asked["names"][1:], *asked["unnamed"])
    assert config["class_shares"]["path"] == "runs/a,b=1" and config["seed"] == 2


def test_the_readme_has_its_markers():
    text = (Path(classes.__file__).parent / "README.md").read_text()
    assert tables.BEGIN in text and tables.END in text
