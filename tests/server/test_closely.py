"""The button by which a reader asks a training that is recorded just now for more."""

from types import SimpleNamespace

import jax.numpy as jnp
from bokeh.document import Document

import gdlab
from gdlab.store import requests
from server.core.address import UrlState
from server.core.context import Context
from server.core.mailbox import Mailbox
from server.views.closely import Closely


def test_a_reader_asks_a_training_that_goes_on(tmp_path):
    doc = Document()
    context = Context(
        root=tmp_path, doc=doc, mail=Mailbox(doc),
        cache=SimpleNamespace(run=lambda name: gdlab.open_run(tmp_path / name)),
        state=UrlState({}), worker=None, download=None, open_runs=None, selected=("r",), control=True,
    )  # fmt: skip
    recorder = gdlab.Recorder(tmp_path / "r", strict=True)
    recorder.write(0, loss=1.0)
    made = Closely(context, "closely", lambda: "r")
    assert not made.button.visible  # nothing is handed over
    for k in range(1, 9):
        recorder.write(k, loss=1.0, params={"w": jnp.zeros(3)})
    recorder._pen.every = 1e-9
    while not (tmp_path / "r" / "moments").exists() or gdlab.open_run(tmp_path / "r").rows("scalars") < 5:
        recorder._pen.put(None)
    recorder._pen.every = 1000.0
    made.update()
    assert made.button.visible and not made.button.disabled
    made._ask()
    assert made.button.disabled and made.button.label == "Asked for 20"
    assert requests.asked(tmp_path / "r") == 20
    recorder.close()
    made.update()
    assert not made.button.visible
