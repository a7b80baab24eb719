"""What a Ctrl-C does while gdlab starts, before there is anything to keep: one line, exit status 130.

Python's own handler raises in the middle of an import, where an exception comes out as any other error or
as a page of calls. Nothing is imported here that Python has not imported itself.
"""

import os
import signal
import sys

NOTHING = "gdlab: interrupted before there was anything to keep"


def answer_interrupts():
    """Make a Ctrl-C end the process with `leave`, where nobody has decided otherwise."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, leave)
    except ValueError:  # a thread that imports gdlab handles no signals
        pass


def leave(number, frame):
    """The handler: tidies up, says that nothing was lost, and ends without unwinding half an import."""
    del number, frame
    tidy()
    print(NOTHING, file=sys.stderr, flush=True)
    os._exit(130)


def tidy():
    """Remove empty folders that this command made."""
    # Not imported where it was never used: that would take Hydra.
    leftovers = sys.modules.get("gdlab.commands.leftovers")
    if leftovers is not None:
        leftovers.remove_empty()


def is_main():
    """Whether this process was started as `python -m gdlab` or by the script `gdlab`."""
    # While Python looks for the module of -m, that is all that stands there.
    if sys.argv[:1] == ["-m"]:
        given = sys.orig_argv[1:]
        return given[given.index("-m") + 1 :][:1] == ["gdlab"] if "-m" in given else "-mgdlab" in given
    return bool(sys.argv) and os.path.basename(sys.argv[0]) == "gdlab"
