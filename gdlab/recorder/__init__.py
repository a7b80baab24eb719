"""Records a training that is not gdlab's own: a few lines in anybody's loop give a run folder.

`observe` and `watch` run inside the compiled step and make one small vector of what happened in it; a
`Recorder` on the host writes these vectors, and whatever numbers it is given, as the rows of a run.
"""

from gdlab.recorder.observation import Observation, observe
from gdlab.recorder.recorder import Recorder
from gdlab.recorder.responses import activations_of
from gdlab.recorder.watching import WatchState, watch

__all__ = ["Observation", "Recorder", "WatchState", "activations_of", "observe", "watch"]
