"""A server that notes every session that it builds: SESSIONS=FILE python counting.py RUNS --processes N ...

Its processes import this file, too: it is their main module.
"""

import os
import sys

sys.path.insert(0, "")
from server.__main__ import main
from server.shell.session import Session

start = Session.start


def noted(session):
    """Starts a session, and writes a line: process, session, what the reader has in the filter."""
    line = f"{os.getpid()} {session.doc.session_context.id} {session.state.get('filter', '-')}\n"
    file = os.open(os.environ["SESSIONS"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, line.encode())
    os.close(file)
    start(session)


Session.start = noted
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
