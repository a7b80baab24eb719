"""What the claims are measured on and how a measurement is written down."""

from typing import Any, NamedTuple

ROSENBROCK, BATCH, MINIBATCH = "rosenbrock", "galaxy_batch", "galaxy_minibatch"


class Evidence(NamedTuple):
    """rosenbrock: Run; batch, minibatch: {seed: Run}; scanned: [patterns.Scanned]."""

    rosenbrock: Any
    batch: dict
    minibatch: dict
    scanned: list


def runs_by_name(evidence):
    """{experiment: [Run]} of all that was recorded."""
    return {
        ROSENBROCK: [evidence.rosenbrock],
        BATCH: list(evidence.batch.values()),
        MINIBATCH: list(evidence.minibatch.values()),
    }


def setting(evidence, *names):
    """The runs of a measurement in words; names: experiments, all by default."""
    seeds = ", ".join(map(str, evidence.batch))
    return f"{', '.join(names or runs_by_name(evidence))}; galaxy seeds {seeds}"


def losses(run):
    """J(theta_k), k = 0 ... K."""
    return run.table("steps").columns["loss"]
