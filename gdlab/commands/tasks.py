"""What a command may be asked to do: `task=NAME`, with one line of what it does."""

from typing import NamedTuple

PATHS = ("run", "output", "from", "into")


class Task(NamedTuple):
    """says: one line; options: those that it reads besides, or instead of, those of a training; example."""

    says: str
    options: tuple[str, ...]
    example: str


TASKS = {
    "train": Task(
        "train what the configuration describes and record it; the default",
        (),
        "python -m gdlab experiment=rosenbrock",
    ),
    "ensemble": Task(
        "train a whole grid of runs, those that differ in numbers and seeds alone as one program",
        (),
        "python -m gdlab task=ensemble experiment=digits_sgd optimizer.learning_rate=0.01,0.1 seed=range(3)",
    ),
    "probe": Task(
        "ask a recorded run what needs its parameters, by replaying it",
        ("run", "probe", "output", "accept_difference", "data_dir"),
        "python -m gdlab task=probe run=runs/digits_adam probe=confusion output=confusion.csv",
    ),
    "extend": Task(
        "train a finished run on, in its folder, to train.steps iterations in all",
        ("run", "train.steps", "data_dir"),
        "python -m gdlab task=extend run=runs/digits_adam train.steps=4000",
    ),
    "runs": Task(
        "list the runs below a folder, as a table or with --json as JSON",
        ("run",),
        "python -m gdlab task=runs run=runs",
    ),
    "summary": Task(
        "tell of a recorded run how far it got and what its record says; --json",
        ("run",),
        "python -m gdlab task=summary run=runs/digits_adam",
    ),
    "stop": Task(
        "ask a training that runs to end cleanly, so that it can go on later; waits until it has",
        ("run",),
        "python -m gdlab task=stop run=runs/digits_adam",
    ),
    "pack": Task(
        "make one file of a run folder, to be passed on; it is checked before it takes its name",
        ("run", "output"),
        "python -m gdlab task=pack run=runs/digits_adam output=digits_adam.zip",
    ),
    "unpack": Task(
        "make a run folder of what task=pack wrote; it is checked before it takes its name",
        ("from", "into"),
        "python -m gdlab task=unpack from=digits_adam.zip into=runs/theirs",
    ),
    "import": Task(
        "make runs of what TensorBoard, W&B, MLflow or trackio recorded, or of CSV, JSON lines, Parquet",
        (
            *("from", "into", "format"),
            *("import.loss", "import.accuracy", "import.metrics", "import.step", "import.run"),
        ),
        "python -m gdlab task=import from=lightning_logs into=runs/old",
    ),
}


def check_paths(config: dict) -> None:
    """Raise ConfigError where an option that names a file or a folder is no text, as run=7 is to YAML."""
    from gdlab.plan.builder import ConfigError

    for name in PATHS:
        if not isinstance(value := config.get(name), str | None):
            raise ConfigError(
                f"{name}={value!r}: allowed: a path; in quotes where it is a number, '{name}=\"7\"'"
            )
