"""A button that asks a training which runs to end cleanly, as `task=stop` does."""

import os

from gdlab import store
from gdlab.store import requests
from server.core.context import Context
from server.ui.choices import button

LABEL, SURE, ASKED = "Stop", "Stop it?", "Stopping …"
HELP = "Ends this training at its next commit; the command that began it goes on with it"


class Stop:
    """button: shown where readers may ask, while the run goes on and its folder may be written. The second of
    two clicks asks; another refresh of the page takes the first one back."""

    def __init__(self, context: Context, name: str, widget: str):
        self.context, self.name = context, name
        self.button = button(context, LABEL, widget, HELP, self._clicked, classes=["gd-quiet", "gd-stop"])
        self.button.visible = False
        self._refreshes = 0  # that a first click outlives

    def update(self) -> None:
        """The run may have ended, or have taken note."""
        if not self.context.control:
            return
        try:
            run = self.context.run(self.name)
            runs = run.state == "running" and os.access(run.path, os.W_OK)
            asked = runs and (run.path / requests.STOP).exists()
        except (store.StoreError, OSError):
            runs = asked = False
        self._refreshes = max(0, self._refreshes - 1)
        label = ASKED if asked else SURE if self._refreshes else LABEL
        self.button.update(visible=bool(runs), label=label, disabled=bool(asked))

    def _clicked(self) -> None:
        if self.button.label == LABEL:
            self._refreshes = 3
            self.button.label = SURE
            return
        try:
            requests.ask_to_stop(self.context.run(self.name).path)
            self.button.update(label=ASKED, disabled=True)
        except (store.StoreError, OSError) as error:
            self.button.update(label=str(error)[:80], disabled=True)
