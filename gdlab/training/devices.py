"""What a training runs on: JAX as it is set up, and one device or several.

On several each mini-batch is split over them, parameters and data lie on all. It is the same program with a
note where its batch lies; XLA adds what the devices tell each other. A batch normalisation therefore measures
the whole mini-batch, and results differ in the order of sums alone.
"""

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

_AXIS = "batch"


def mesh_of(wanted, batch_size, fewer=False):
    """The devices that share a training as a Mesh of one axis; None: one device, nothing to share.

    wanted      how many devices, or None or "all": all that JAX sees
    batch_size  examples of a mini-batch; None: there is no data to share
    fewer       where there are not so many devices, take as many as there are and can share the batch
                equally: to look at what was trained elsewhere

    Raises ValueError where there are not so many devices, or they cannot share the batch equally.
    """
    visible = jax.devices()
    count = len(visible) if wanted in (None, "all") else wanted
    if fewer and isinstance(count, int) and (wanted == "all" or count > len(visible)):
        shared = range(1, min(count, len(visible)) + 1) if batch_size else (1,)
        count = max(n for n in shared if n == 1 or batch_size % n == 0)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(visible):
        raise ValueError(
            f"devices={wanted!r}: allowed: 1 to {len(visible)}, the devices that JAX sees here, or all"
        )
    if count == 1:
        return None
    if batch_size is None or batch_size % count:
        batch = "there is no data" if batch_size is None else f"a mini-batch has {batch_size} examples"
        raise ValueError(
            f"devices={wanted!r}: {count} devices would each take an equal part of a mini-batch, but "
            f"{batch}; use a batch_size that {count} divides, or devices=1"
        )
    return jax.make_mesh((count,), (_AXIS,), axis_types=(AxisType.Auto,), devices=visible[:count])


def on_all(mesh):
    """How an array lies that each device of `mesh` holds in full."""
    return NamedSharding(mesh, PartitionSpec())


def split(batch, mesh):
    """A batch of arrays [b, ...], each device of `mesh` holding b / n examples; as it is without a mesh."""
    if mesh is None:
        return batch
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec(_AXIS)))


@contextmanager
def precision(name: str) -> Iterator[None]:
    """JAX in "float32" or "float64" within the block, in this thread alone: the caller's stays as it was.

    Programs that are compiled meanwhile are kept in a folder, which JAX knows of from then on.
    """
    if jax.config.jax_compilation_cache_dir is None:
        default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "gdlab" / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(default.expanduser()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    with jax.enable_x64(name == "float64"):
        yield


def in_its_precision(method):
    """A method that runs within `self.in_precision()`; the steps of a generator each do."""
    if inspect.isgeneratorfunction(method):

        @wraps(method)
        def generated(self, *args, **options):
            found = method(self, *args, **options)
            while True:
                # Between two steps the thread is the caller's, whose precision it then has.
                with self.in_precision():
                    try:
                        step = next(found)
                    except StopIteration:
                        return
                yield step

        return generated

    @wraps(method)
    def called(self, *args, **options):
        with self.in_precision():
            return method(self, *args, **options)

    return called
