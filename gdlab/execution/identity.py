"""What else a run's last bits depend on: versions, flags, cores, devices."""

import os
import platform
import sys

import jax
import jaxlib
import numpy as np
import optax

from gdlab.execution.own_code import changed_code


def identity():
    """Facts about this process that decide whether a replay can be equal to the last bit."""
    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "optax": optax.__version__,
        "numpy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in devices],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def differences(recorded, current=None):
    """['jax 0.10.2 -> 0.11.0', ...]: what has changed since `recorded` was taken."""
    current = identity() if current is None else current
    changed = (key for key in current if key in recorded and recorded[key] != current[key])
    texts = [f"{key} {recorded[key]} -> {current[key]}" for key in changed if key != "code"]
    return texts + changed_code(recorded.get("code"), current.get("code", {}))
