"""A button that asks a training which is recorded just now to look closely at its next iterations."""

import os
from collections.abc import Callable

from gdlab import store
from gdlab.analysis import handed
from gdlab.store import requests
from gdlab.store.effects import is_of_recorder
from server.core.context import Context
from server.ui.choices import button

ITERATIONS = 20
LABEL = "Look closely"


class Closely:
    """button: shown where readers may ask, while the run goes on, hands over parameters, and its folder can
    be written."""

    def __init__(self, context: Context, name: str, run_name: Callable[[], str]):
        self.context, self._run_name = context, run_name
        help = f"Keep the next {ITERATIONS} iterations with the parameters before and after each"
        self.button = button(context, LABEL, name, help, self._ask)
        self.update()

    def update(self) -> None:
        """The run may have ended, or another may be looked at."""
        run = self.context.run(self._run_name())
        asks = self.context.control and is_of_recorder(run.config) and run.state == "running"
        asks = asks and os.access(run.path, os.W_OK)
        self.button.visible = bool(asks and handed.of(run).moments)
        if self.button.visible and self.button.disabled and not os.path.exists(run.path / requests.FILE):
            self.button.update(disabled=False, label=LABEL)

    def _ask(self) -> None:
        try:
            requests.ask(self.context.run(self._run_name()).path, ITERATIONS)
            self.button.update(disabled=True, label=f"Asked for {ITERATIONS}")
        except (store.StoreError, OSError) as error:
            self.button.update(disabled=True, label=str(error)[:80])
