"""The pages of one run show a member of a group as they show the same run trained alone."""

import itertools

import pytest
from bokeh.document import Document
from bokeh.models import Div

from gdlab import experiment
from gdlab.ensemble import train
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


def shown(root, page, run):
    """{name: text} of a page of a run, the name of which is left out; names of its cards and figures."""
    arguments = {"page": [page.encode()], "run": [run.encode()]}
    cache = RunsCache(root, clock=itertools.count(0, 60).__next__)
    session = Session(Document(), root, arguments, cache, None)
    session.start()
    session.show(session.page)
    assert session.page == page
    names = sorted(model.name for model in session.doc.models if model.name)
    texts = {div.name: div.text.replace(run, "") for div in session.doc.select({"type": Div}) if div.text}
    return texts, names


@pytest.mark.parametrize("page", ["tracker", "insides"])
def test_a_member_is_shown_as_alone(root, page):
    (texts, names), (alone, wanted) = (shown(root, page, run) for run in ("member", "alone"))
    assert names == wanted and texts.keys() == alone.keys()
    assert len(names) > 10 and not any(name.startswith("error_") for name in names)
