"""Entry of the Bokeh directory app; runs once per session: `python -m bokeh serve server --args RUNS`.

What sessions share lives in the imported modules, not here.
"""

import sys

from bokeh.io import curdoc

from server.shell import app

app.open_session(curdoc(), sys.argv[1:])
