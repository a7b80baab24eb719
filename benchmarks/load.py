"""How many readers a server bears: raw websocket clients beside a live training of low priority.

    python -m benchmarks.load [--readers 1 10 50 100] [--seconds 60] [--every 10] [--processes 1]
                              [--picture load.svg]

Two minutes of preparation, and for each number of readers --seconds (the aims are meant for --seconds 300)
and a minute and a half. Readers come one after the other within the time of five acts, so that pages are
opened as often as later; that time is not counted. Then each acts every --every seconds: four times of five
by an arrow key or a change of theme, the fifth time by leaving and opening a page anew. "Response" is from
the act to the server's answer to it, with a page to the message that brings the page; the clients do not
parse and draw nothing. The training goes on all the time, at nice 19; its speed is compared with that
before the first reader. "server" and "clients" are the cores that these use. Memory is that of the server's
processes, without the worker's; "after" is when the sessions of the readers have expired, in relation to
that after every page had been opened once. "load" is the system's, of the last minute: where others compute
on the machine, times and the training's speed are theirs, too. Nothing here is asserted. Aims with 50
readers: no error, median below 1 s, 95 % below 3 s, memory within 20 %.
"""

import argparse
import asyncio
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.load_picture import drawn
from benchmarks.pages import serving
from benchmarks.readers import Failed, Reader
from gdlab import store

OPENS = 5  # every so many acts are the opening of a page
EXPIRED = 40  # s after which Bokeh has dropped the sessions that nobody looks at
RUNS = {
    "rosenbrock": ("experiment=rosenbrock",),
    "galaxy": ("experiment=galaxy_minibatch", "train.steps=45"),
}
LIVE = ("experiment=digits_sgd", "record.path=false")
PAGES = (
    {"page": "runs"},
    {"page": "descent", "run": "live"},
    {"page": "descent", "run": "rosenbrock"},
    {"page": "compare", "run": ["rosenbrock", "galaxy"]},
    {"page": "optimizers", "run": ["rosenbrock", "galaxy", "live"]},
    {"page": "line", "run": "rosenbrock"},
    {"page": "steps", "run": "galaxy"},
    {"page": "surface", "run": "galaxy"},
)


class Measured(NamedTuple):
    """One number of readers: seconds of openings and of acts, what failed, memory in MB at most and after,
    the cores that the server and the clients use, the training's speed in relation to that without readers,
    the load."""

    readers: int
    openings: list[float]
    acts: list[float]
    failed: list[str]
    most: float
    after: float
    busy: float
    clients: float
    speed: float
    load: float

    def quantiles(self, *shares: float) -> list[float]:
        """Seconds within which these shares of all openings and acts were answered."""
        return np.quantile([*self.openings, *self.acts] or [math.nan], shares).tolist()


def main():
    """Measure, print, and draw where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 10, 50, 100])
    parser.add_argument("--seconds", type=float, default=60, help="for each number of readers")
    parser.add_argument("--every", type=float, default=10, help="seconds between two acts of a reader")
    parser.add_argument("--timeout", type=float, default=60, help="seconds after which an act has failed")
    parser.add_argument("--processes", type=int, default=1, help="of the server")
    parser.add_argument("--picture", type=Path, help="an SVG file to draw response over readers into")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gdlab-load-") as folder:
        runs = Path(folder)
        for name, options in RUNS.items():
            subprocess.run(trained(runs / name, *options), check=True, capture_output=True)
        processes = ("--processes", str(arguments.processes))
        with training(runs / "live"), serving(runs, *processes) as (address, process):
            found = measure(runs / "live", address, process.pid, arguments)
    if arguments.picture:
        arguments.picture.write_text(drawn(found), encoding="utf-8")


def measure(live: Path, address: str, pid: int, arguments) -> list[Measured]:
    """Prints a row for each number of readers."""
    alone = speed(live, 10)
    asyncio.run(every_page(address, arguments.processes))
    time.sleep(EXPIRED)
    first = memory(pid)
    print(
        f"memory after every page was opened once: {first:.0f} MB; training alone: {alone:.0f} iterations/s; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    heads = (
        "readers",
        "openings",
        "acts",
        "failed",
        "median",
        "95 %",
        "worst",
        "server",
        "clients",
        "MB",
        "after",
        "training",
        "load",
    )
    print(" ".join(f"{head:>9}" for head in heads))
    found = []
    for readers in arguments.readers:
        one = asyncio.run(crowd(readers, live, address, pid, alone, arguments))
        time.sleep(EXPIRED)
        one = one._replace(after=memory(pid))
        found.append(one)
        print(
            f"{one.readers:9} {len(one.openings):9} {len(one.acts):9} {len(one.failed):9} "
            + " ".join(f"{value:8.2f}s" for value in one.quantiles(0.5, 0.95, 1))
            + f" {one.busy:9.2f} {one.clients:9.2f} {one.most:9.0f} {one.after / first:9.0%}"
            + f" {one.speed:9.0%} {one.load:9.1f}",
            flush=True,
        )
        for why in sorted(set(one.failed))[:5]:
            print(f"    {why}")
    return found


async def crowd(readers: int, live: Path, address: str, pid: int, alone: float, arguments) -> Measured:
    """What `readers` readers experience for the time asked for, once all have come."""
    coming = OPENS * arguments.every
    since = time.monotonic() + coming
    openings, acts, failed, most = [], [], [], [memory(pid)]
    dice = [random.Random(1000 * readers + number) for number in range(readers)]
    visits = [
        asyncio.create_task(reader(one, address, since, arguments, openings, acts, failed)) for one in dice
    ]

    async def watch():
        while True:
            most.append(memory(pid))
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(coming)
    before, began, rows = (busy(pid), time.process_time()), time.monotonic(), recorded(live)
    await asyncio.gather(*visits)
    watching.cancel()
    passed = time.monotonic() - began
    clients = (time.process_time() - before[1]) / passed
    speed_now, cores = (recorded(live) - rows) / passed, (busy(pid) - before[0]) / passed
    load = os.getloadavg()[0]
    return Measured(
        readers, openings, acts, failed, max(most), math.nan, cores, clients, speed_now / alone, load
    )


async def reader(dice, address, since, arguments, openings, acts, failed) -> None:
    """One reader's visit: acts at regular times, later only where an answer takes longer than that. What is
    done before the time `since` is not counted."""
    mine, lost = Reader(address, arguments.timeout), True
    await asyncio.sleep(dice.uniform(0, OPENS * arguments.every))
    for number in range(10**9):
        began = time.monotonic()
        due = began + arguments.every
        try:
            if number % OPENS == 0 or lost:
                mine.close()
                mine, lost = Reader(address, arguments.timeout), False
                query = dice.choice(PAGES)
                kind, took = openings, await mine.open(until=f"page_{query['page']}", **query)
            else:
                kind, took = acts, await act(mine, dice, number)
            if began >= since:
                kind.append(took)
        except Failed as error:
            failed.append(str(error)[:150])
            lost = True  # half of an answer may still come: the next act is another opening
        mine.seen = ""
        if due > since + arguments.seconds:
            break
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    mine.close()


async def act(mine: Reader, dice, number: int) -> float:
    """An arrow key, mostly; a change of theme."""
    if dice.random() < 0.7:
        return await mine.act("step", dice.choice((-1, 1)))
    return await mine.act("theme", ("dark", "light")[number % 2])


async def every_page(address: str, processes: int) -> None:
    """Opens every page once in every process, one page after the other."""
    for query in PAGES:
        readers = [Reader(address, 120) for _ in range(processes)]
        for one in readers:  # each goes where the fewest are
            await one.open(until=f"page_{query['page']}", **query)
        for one in readers:
            one.close()


# -- the processes ------------------------------------------------------------------------------------


def trained(folder: Path, *options: str) -> list[str]:
    """The command that records a run there."""
    return [sys.executable, "-m", "gdlab", *options, f"hydra.run.dir={folder}"]


@contextmanager
def training(folder: Path):
    """A training that goes on for as long as the block does, with what the readers leave of the machine."""
    command = ["nice", "-n", "19", *trained(folder, *LIVE, "train.steps=2000000000")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while recorded(folder) == 0:
                if process.poll() is not None:
                    raise RuntimeError(f"the training ended with {process.returncode}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()


def recorded(folder: Path) -> int:
    """Iterations that have been committed."""
    with suppress(store.StoreError):
        return store.open_run(folder).rows("scalars")
    return 0


def speed(folder: Path, seconds: float) -> float:
    """Iterations a second."""
    rows, began = recorded(folder), time.monotonic()
    time.sleep(seconds)
    return (recorded(folder) - rows) / (time.monotonic() - began)


def servers(pid: int) -> list[Path]:
    """Folders in /proc of a server's processes, but for those of its worker, which have loaded JAX."""
    found = [Path(f"/proc/{pid}")]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        folder = Path(f"/proc/{child}")
        with suppress(OSError):
            if "jaxlib" not in (folder / "maps").read_text():
                found.append(folder)
    return found


def memory(pid: int) -> float:
    """MB that a server's processes hold of their own: the rows that they have mapped are the files'."""
    texts = [(folder / "status").read_text() for folder in servers(pid)]
    return sum(int(text.split("RssAnon:")[1].split()[0]) for text in texts) / 1024


def busy(pid: int) -> float:
    """Seconds of CPU that a server's processes have used."""
    texts = [(folder / "stat").read_text().rpartition(")")[2].split() for folder in servers(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in texts) / 100


if __name__ == "__main__":
    main()
