"""A composed configuration as a plan: its sections, frozen, with a field for each option.

The options of a section are those of conf/, in its words; `gdlab.plan.options.plan_of` reads and checks
them once. What is built by a target (problem, optimizer, ...) stays a node, which its target's signature
describes.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from gdlab.training.devices import precision

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Train:
    """How long, and on how many examples at a time; as conf/config.yaml says of each."""

    steps: int
    batches: int | None
    batch_size: int | None
    drop_last: bool
    descent_length: int | None
    validation: float
    devices: int | str | None


@dataclass(frozen=True)
class Recorded:
    """What is recorded besides the descent; as conf/record/default.yaml says of each."""

    path: bool | str
    layers: bool | str
    trace: bool
    loss_end: bool
    reach: float
    validate: bool | int | str
    validate_examples: int | None
    dumps: bool | int | str
    dump_examples: int | None
    version: int
    correlations: bool | int | str
    correlation_examples: int | None
    correlation_relu: bool
    correlation_dense: bool
    functions: bool | str
    commit_seconds: float
    checkpoint_seconds: float
    sync: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """A training as it was asked for.

    config: the plain dict that it was read from, as it is recorded; nothing may change it any more.
    """

    config: Mapping[str, Any]
    precision: str
    seed: int
    data_dir: str | None
    train: Train
    record: Recorded
    problem: Node
    optimizer: Node
    dataset: Node | None
    model: Node | None
    schedule: Node | None
    weight_decay: Node | None
    class_shares: Node | None

    def in_precision(self) -> AbstractContextManager[None]:
        """JAX in the precision of the training within the block."""
        return precision(self.precision)
