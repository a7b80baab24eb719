"""What all tests share: JAX on the CPU, strict shapes, and one compilation cache for all processes.

The variables are set before anything imports JAX, so that the processes a test starts obey them too.
"""

import os
import shutil
import tempfile

import hypothesis
import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
# A silent broadcast of [n] against [n, 1] is the commonest numerical mistake; here it is an error.
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"

hypothesis.settings.register_profile("gdlab", deadline=None, database=None)
hypothesis.settings.load_profile("gdlab")


def pytest_configure(config):
    """Give the whole session, that is every xdist worker, one fresh compilation cache."""
    if not hasattr(config, "workerinput"):
        config.compilation_cache = tempfile.mkdtemp(prefix="gdlab-test-")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.compilation_cache
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_unconfigure(config):
    """Remove the cache with the session that made it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.compilation_cache, ignore_errors=True)


@pytest.fixture
def float64():
    """Run the test with JAX's 64-bit types."""
    import jax

    with jax.enable_x64(True):
        yield
