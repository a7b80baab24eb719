"""What Bokeh calls when the server begins and ends."""

from server import app


def on_server_unloaded(server_context) -> None:
    """Ends the worker's process with the server."""
    app.stop()
