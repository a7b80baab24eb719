"""Event loops of the tests' own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def run_apart(coroutine):
    """The result, from a thread of its own: that of the tests may run a browser's loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
