"""The pages of one run show a member of a group as they show the same run trained alone."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.document import Document

from gdlab import experiment
from gdlab.ensemble import train
from gdlab.execution.probing import run_probe
from server.core.runs_cache import RunsCache
from server.shell.session import Session
from tests.composing import composed

DUMPED = ("experiment=digits_sgd", "train.steps=6", "record=dumps", "record.dumps=3", "model.features=[8,10]")
DUMPED += ("record.validate_examples=60", "record.dump_examples=60", "precision=float64")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a run alone, and with the same run and another one as a group."""
    root = tmp_path_factory.mktemp("runs")
    configs = [composed(*DUMPED, f"seed={seed}") for seed in (0, 1)]
    outcomes = train(configs, [root / "member", root / "other"], progress=False)
    assert all(outcome.run.identity["group"] for outcome in outcomes)
    experiment.run(configs[0], root / "alone", progress=False)
    return root


class Asked:
    """A worker that notes what it is asked, and answers nothing."""

    def __init__(self):
        self.questions = []

    def submit(self, path, probe, options, **callbacks):
        self.questions.append((probe, options))
        return SimpleNamespace(cancelled=False, cancel=lambda: None, **callbacks)

    def warm(self):
        """It is ready."""


def shown(root, page, run):
    """(names of the cards and figures of a page of a run, what was asked of the worker)."""
    arguments = {"page": [page.encode()], "run": [run.encode()]}
    cache, worker = RunsCache(root, clock=itertools.count(0, 60).__next__), Asked()
    session = Session(Document(), root, arguments, cache, worker)
    session.start()
    session.show(session.page)
    assert session.page == page
    return sorted(model.name for model in session.doc.models if model.name), worker.questions


@pytest.mark.parametrize("page", ["tracker", "insides"])
def test_a_member_is_shown_as_alone(root, page):
    names, asked = shown(root, page, "member")
    assert (names, asked) == shown(root, page, "alone")
    assert len(names) > 10 and not [name for name in names if name.startswith("error_")]


def test_probes_of_insides_answer_for_a_member_as_for_the_run_alone(root):
    for probe, options in (("confusion", {"iteration": 6}), ("filters", {"iteration": 6})):
        member, alone = (run_probe(root / run, probe, options) for run in ("member", "alone"))
        assert member.columns.keys() == alone.columns.keys()
        for name, values in member.columns.items():
            if np.asarray(values).dtype.kind == "f":
                np.testing.assert_allclose(values, alone.columns[name], rtol=1e-6, atol=1e-9, err_msg=name)
        assert member.attrs["replay"]["different"] == 0
