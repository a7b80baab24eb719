"""A server whose sessions are told something by threads all the time.

python noisy.py server RUNS ...        python noisy.py bokeh serve server ...
"""

import runpy
import sys
import threading
import time

sys.path.insert(0, "")
from server.core.worker import Job
from server.shell.session import Session

TIMES, EVERY = 600, 0.002  # messages for each session, and the seconds between two
start = Session.start


class Chatter:
    """A worker that reports progress, and nothing else, from a thread of its own."""

    def submit(self, path, probe, options, *, reader, on_progress, on_done, on_error):
        job = Job(on_progress, on_done, on_error, lambda job: None)

        def chat():
            for number in range(TIMES):
                time.sleep(EVERY)
                if job.cancelled:
                    return
                on_progress(number / TIMES, "chatter")

        threading.Thread(target=chat, daemon=True).start()
        return job


def overheard(session):
    """Starts a session while a thread speaks to it."""
    real, session.worker._worker = session.worker._worker, Chatter()
    session.worker.submit("", "", {}, on_progress=lambda *_: None, on_done=print, on_error=print)
    session.worker._worker = real
    start(session)


Session.start = overheard
sys.setswitchinterval(1e-5)  # s: threads take turns as often as they can
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
