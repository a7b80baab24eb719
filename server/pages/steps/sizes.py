"""How far each iteration moves the parameters: of the network, of its layers, and relative to them.

Kuchta 2023, chapter 5. Several runs share all axes but the height of each card.
"""

from server.core.context import Context, View
from server.pages.steps.layers import Layers
from server.pages.steps.page import page
from server.pages.steps.panel import Panel, having
from server.ui import card, figures, recorded


def build(context: Context) -> View:
    """The cards that follow one window: step size with the loss, update ratio, step width, layers."""
    shared = page(context)
    runs = having(context, "update_norm")
    if not runs:
        words = "This page shows how far each iteration moves the parameters"
        none = recorded.refusal(context, "No step sizes", words, ("observed",), name="steps_none")
        if none and any(context.run(name).rows("scalars") for name in context.selected):
            return none
        message = "No iteration has been recorded yet. Reload the page once there is one."
        return View(card.empty_card(context, "Step sizes", message, name="steps_empty"), lambda: None)
    members = [
        Panel(
            context, shared, "update_norm", name="step_size", title="Step size", label="|Δθ|", span=12,
            words="How far each iteration moves the parameters, |θ(k + 1) − θ(k)|.", height=320, runs=runs,
            loss=True, controls=shared.tools,
        )
    ]  # fmt: skip
    members += _more(context, shared)
    layers = Layers(context, shared) if having(context, "layers") else None
    roots = [member.root for member in members]
    roots.append(layers.root if layers else _no_layers(context))
    plots = [member.lines.figure for member in members] + ([layers.figure] if layers else [])
    figures.crosshair(context, *plots, name="steps_crosshair")
    shared.viewport.start()
    root = card.box(context, *roots, classes=["gd-grid", "gd-span-12"], name="step_sizes")
    return View(root, shared.viewport.grown)


def _more(context: Context, shared) -> list[Panel]:
    """Update ratio and step width, side by side where both exist."""
    found = {quantity: having(context, quantity) for quantity in ("ratio", "step_size")}
    there = {quantity: runs for quantity, runs in found.items() if runs}
    span = 12 // max(len(there), 1)
    words = {
        "ratio": (
            "step_ratio",
            "Update ratio",
            "|Δθ| / |θ|",
            "Step size relative to the parameters. Dashed: 0.001.",
        ),
        "step_size": ("step_width", "Step width", "η", "What the line searches chose."),
    }
    return [
        Panel(
            context, shared, quantity, name=name, title=title, label=label, words=text, runs=runs, span=span
        )
        for quantity, runs in there.items()
        for name, title, label, text in [words[quantity]]
    ]


def _no_layers(context: Context):
    count = len(context.selected)
    who = "This run has not" if count == 1 else f"{'Neither' if count == 2 else 'None'} of these runs has"
    how = (
        "A loop does by gdlab.observe(params=params, updates=updates) in its step, or by an "
        "optimizer made by gdlab.watch."
        if recorded.alone(context)
        else "Runs record them where there are several layers; record.layers=true or false decides otherwise."
    )
    message = f"{who} recorded the steps of its layers. {how}"
    return card.empty_card(context, "Layers", message, name="step_layers_empty")
