"""How many members one program trains at once: as many as fit the memory, and on a CPU its caches.

Members that are cheap alone, a small network's, cost little more than one when trained together. Members that
already keep a CPU busy lose by it, the cache to one another and fast products of matrices to batches of
them: they are trained one after the other, by a program that is compiled once for all.
"""

import math
from pathlib import Path

import jax

CPU_BYTES = 16 << 20  # of the largest intermediate arrays of all members of a group, on a CPU
CPU_LEAST = 8  # members of a group there; fewer gain nothing
SHARE = 0.5  # of the free memory that a group may take
UNKNOWN = 4 << 30  # free memory where nobody says


def choose_width(assembly, count, devices=1):
    """Members of each device for `count` runs, such that all groups are about as large."""
    largest, total = footprint(assembly)
    most = SHARE * free_memory() / max(total, 1)
    if jax.default_backend() == "cpu":
        at_once = CPU_BYTES / max(largest, 1)
        most = min(most, at_once if at_once >= CPU_LEAST else 1)
    most = max(1, int(most))
    groups = math.ceil(count / (most * devices))
    return math.ceil(count / (groups * devices))


def footprint(assembly):
    """(bytes of the largest, bytes of all) intermediate arrays of one gradient of one member."""
    with assembly.plan.in_precision():
        return _footprint(assembly)


def _footprint(assembly):
    params = jax.eval_shape(assembly.problem.init, assembly.key)
    batch = jax.eval_shape(lambda: assembly.batch(0))

    def loss(params, batch):
        return assembly.problem.loss(params, batch, key=None)

    jaxpr = jax.make_jaxpr(jax.value_and_grad(loss))(params, batch)
    sizes = [v.aval.size * v.aval.dtype.itemsize for e in jaxpr.eqns for v in e.outvars]
    state = 4 * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))
    return max(sizes), sum(sizes) + state


def free_memory():
    """Bytes that a group may hope for on one device."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return UNKNOWN
    facts = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return int(facts["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in facts else UNKNOWN
