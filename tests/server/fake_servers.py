"""Stands in for `server.processes.child` in a process of its own."""

import os
from pathlib import Path

from server.processes.child import REPORT


def serve(number, count, told, origins, hand, jobs):
    """Notes its start in the folder `told`; what it does depends on how many there have been: the first is
    ready and ends, the second ends before that, the third goes on for as long as its parent."""
    starts = Path(told) / "starts"
    with starts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    times = len(starts.read_text().split())
    if times == 1 or times == 3:
        hand.send(REPORT.pack(0, times))
    if times == 3:
        hand.recv(1)
