"""Threads beside the event loop: the end of the process waits for them, but not for ever."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def ended(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_end_of_the_process_waits_for_what_is_being_computed():
    done = ended(
        "import time\n"
        "from server.core.threads import in_thread\n"
        "in_thread(lambda: (time.sleep(0.5), print('computed')), 'a thread')\n"
        "print('ended')\n"
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["ended", "computed"])


def test_the_end_of_the_process_does_not_wait_for_ever():
    began = time.monotonic()
    done = ended(
        "import time\n"
        "from server.core import threads\n"
        "threads.PATIENCE = 0.2\n"
        "threads.in_thread(lambda: time.sleep(50), 'a thread')\n"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 30
