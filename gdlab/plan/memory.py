"""Whether a network's parameters fit into the memory that this process may use, before they are made.

A config may come from elsewhere and ask for anything, and XLA on a CPU waits for ever where it cannot
allocate what a program returns. So what cannot fit is refused by its size, which costs nothing to know.
"""

import os

import jax

from gdlab.plan.targets import ConfigError

COPIES = 3  # the parameters, their gradient and the step: what every method holds at least


def check_room(leaves):
    """Refuse parameters that need more than there is; leaves: their shapes and dtypes.

    Only on a CPU: an accelerator knows its own memory, and says so.

    Raises:
      ConfigError: with how many there are and what they need.
    """
    allowed = memory_allowed()
    if allowed is None or jax.default_backend() != "cpu":
        return
    needed = COPIES * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    if needed > allowed:
        count = sum(leaf.size for leaf in leaves)
        raise ConfigError(
            f"model: {count:,} parameters need at least {needed / 2**30:.1f} GiB, and this process may use "
            f"{allowed / 2**30:.3g} GiB; take a smaller network, or allow more (--memory of the server)"
        )


def memory_allowed():
    """Bytes that this process may have of its own: the system's limit or the machine's memory; or None."""
    if not hasattr(os, "sysconf"):
        return None
    import resource

    known = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    limits = [limit for limit in known if limit != resource.RLIM_INFINITY]
    return min([*limits, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")])
