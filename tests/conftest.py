"""What all tests share: JAX on the CPU, strict shapes, and one compilation cache for all processes.

The variables are set before anything imports JAX, so that the processes a test starts obey them too.
"""

import gc
import os
import shutil
import signal
import sys
import tempfile

import hypothesis
import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
# A silent broadcast of [n] against [n, 1] is the commonest numerical mistake; here it is an error.
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"

# The suite tries the same examples everywhere, so a change is never refused for what it did not touch;
# `pytest --hypothesis-profile=explore` looks for new ones.
hypothesis.settings.register_profile("gdlab", deadline=None, database=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("gdlab")


def pytest_configure(config):
    """Give the whole session, that is every xdist worker, one fresh compilation cache, and an ear for Ctrl-C,
    which a script's background has not: tests send it to themselves and to what they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.compilation_cache = tempfile.mkdtemp(prefix="gdlab-test-")
        os.environ["XDG_STATE_HOME"] = config.compilation_cache  # the key of what is derived
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.compilation_cache
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_unconfigure(config):
    """Remove the cache with the session that made it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.compilation_cache, ignore_errors=True)


@pytest.fixture(autouse=True)
def single_precision():
    """Start every test with JAX's 32-bit types, whatever precision the run before it asked for."""
    _forget_precision()
    yield
    _forget_precision()


def _forget_precision():
    if jax := sys.modules.get("jax"):
        jax.config.update("jax_enable_x64", False)


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Give back what a module's programs hold: all of the suite's together are gigabytes."""
    yield
    if jax := sys.modules.get("jax"):
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def float64(single_precision):
    """Run the test with JAX's 64-bit types."""
    import jax

    with jax.enable_x64(True):
        yield


@pytest.fixture
def data(tmp_path, monkeypatch):
    """(folder in MNIST's format, folder of images): a little real handwriting."""
    from tests.handwriting import write

    return write(tmp_path, monkeypatch)
