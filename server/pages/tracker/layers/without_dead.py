"""The network without its dead filters: what it is worth, and its parameters as a file to take away."""

import io
import json
from typing import Any

import numpy as np

from gdlab.messages import counted
from gdlab.records import Table
from server.ui import card
from server.ui.choices import button
from server.ui.query import CardQuery

MOST_BYTES = 64_000_000  # that are sent to the reader's browser
COMMAND = "python -m gdlab task=probe run=FOLDER probe=pruned output=smaller.npz"


class WithoutDead:
    """root: a button and, when it was pressed, what the smaller network does. offer(count): how many are
    dead."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self.query = CardQuery(context, self._show, self._failed, name="without_dead")
        self.button = button(
            context, "Leave them out", "without_dead_ask", "What the network does without them", self._ask
        )
        self.save = button(
            context,
            "Save .npz",
            "without_dead_save",
            "The parameters of the smaller network",
            self._save,
            visible=False,
        )
        self.words = card.text("", "gd-caption", name="without_dead_words")
        row = card.row(context, self.button, self.save, classes=["gd-options-row"])
        parts = (row, self.query.progress.root, self.words)
        self.root = card.box(context, *parts, classes=["gd-body"], visible=False)

    def offer(self, count: int) -> None:
        """Shows the button where there is something to leave out."""
        self.root.visible = count > 0

    def _ask(self):
        self.words.text = ""
        self.query.probe(self.context.run(self.tracker.name), "pruned", {"samples": 10_000})

    def _show(self, table: Table) -> None:
        attrs, columns = table.attrs, table.columns
        left = int((columns["asked"] - (columns["before"] - columns["after"])).sum())
        words = (
            f"{attrs['parameters']:,} of {attrs['parameters_before']:,} parameters. Accuracy "
            f"{attrs['accuracy']:.2%}, with them {attrs['accuracy_before']:.2%}; {attrs['relabelled']:,} of "
            f"{counted(attrs['examples'], 'image')} "
            f"{'gets' if attrs['relabelled'] == 1 else 'get'} another label."
        )
        if left:
            words += f" {left:,} stay: the last of a layer, outputs, or added to what a shortcut carries."
        size = sum(array.nbytes for array in columns.values())
        self.save.visible = size <= MOST_BYTES
        self.words.text = words if self.save.visible else f"{words} Too large to send: {COMMAND}"

    def _save(self):
        table, file = self.query.rows(), io.BytesIO()
        arrays: dict[str, Any] = {**table.columns, "attrs": np.array(json.dumps(table.attrs))}
        np.savez(file, **arrays)
        self.context.download("without_dead_filters.npz", file.getvalue())

    def _failed(self, words: str) -> None:
        self.words.text = words
        self.save.visible = False
