"""What watches a training between its chunks, as the plan asks for it: validation, correlations, dumps.

Validation and correlations append rows of the parameters alone: each has `specs` and `rows(params, step)`.
"""

from gdlab.monitors.dumps import AUTO_COUNT, Dumper
from gdlab.monitors.filter_correlations import AUTO_COUNT as CORRELATED
from gdlab.monitors.filter_correlations import Correlations
from gdlab.monitors.judging import Judging, can_judge
from gdlab.monitors.network import describe
from gdlab.monitors.validation import Validation, can_validate, interval
from gdlab.plan.assembly import template
from gdlab.plan.builder import ConfigError
from gdlab.plan.parts import learning_rate

_NOT_VALIDATED = (
    "record.{name}={value!r}: this run cannot be validated: it needs a dataset with a test set and a problem "
    "that predicts its classes; use record.{name}=false"
)


def validation(assembly):
    """(Validation or Judging, iterations between its rows), or (None, None) where the run has none."""
    plan, record = assembly.plan, assembly.plan.record
    every = record.validate
    judged = can_judge(assembly.problem, assembly.dataset)
    possible = every and (judged or can_validate(assembly.problem, assembly.dataset))
    if not possible:
        if every not in ("auto", False):
            raise ConfigError(_NOT_VALIDATED.format(name="validate", value=every))
        return None, None
    examples = record.validate_examples
    if judged:
        judging = Judging(assembly.problem, assembly.dataset, examples=examples)
        return judging, interval(every, plan.train.steps)
    options = {"seed": plan.seed, "version": record.version}
    made = Validation(assembly.problem, assembly.dataset, examples=examples, **options)
    return made, interval(every, plan.train.steps)


def correlations(assembly):
    """(Correlations, iterations between its rows), or (None, None) where the run has none.

    Raises:
      ConfigError: correlations are asked of a run without a test set, or without layers to compare.
    """
    record = assembly.plan.record
    every = record.correlations
    if not every:
        return None, None
    if assembly.dataset is None or assembly.dataset.test is None:
        raise ConfigError(
            f"record.correlations={every!r}: this run has no test images to compare its filters on; use "
            "record.correlations=false"
        )
    options = {"relu": record.correlation_relu, "dense": record.correlation_dense}
    options["version"] = record.version
    try:
        made = Correlations(
            assembly.problem,
            assembly.dataset,
            template(assembly),
            examples=record.correlation_examples,
            **options,
        )
    except ValueError as error:
        raise ConfigError(f"record.correlations={every!r}: {error}; use record.correlations=false") from error
    return made, interval(every, assembly.plan.train.steps, CORRELATED)


def row_watchers(assembly):
    """[(watcher, iterations between its rows), ...] of what appends rows of the parameters alone."""
    found = [validation(assembly), correlations(assembly)]
    return [(watcher, every) for watcher, every in found if watcher is not None]


def dumper(assembly):
    """(Dumper, iterations between its dumps), or (None, None) where the run has none.

    Raises ConfigError as `make_dumper`.
    """
    every = assembly.plan.record.dumps
    if not every:
        return None, None
    return make_dumper(assembly), interval(every, assembly.plan.train.steps, AUTO_COUNT)


def make_dumper(assembly):
    """The Dumper of a run, whether it takes dumps itself or not.

    Raises:
      ConfigError: the run predicts no classes of a test set.
    """
    record = assembly.plan.record
    if not can_validate(assembly.problem, assembly.dataset):
        raise ConfigError(_NOT_VALIDATED.format(name="dumps", value=record.dumps))
    return Dumper(
        assembly.problem,
        assembly.dataset,
        describe(assembly.problem, template(assembly), assembly.dataset.train["x"][:1]),
        examples=record.dump_examples,
        train_examples=record.validate_examples,
        seed=assembly.plan.seed,
        rate=learning_rate(assembly.plan),
        version=record.version,
    )


def data_facts(assembly):
    """What the record's readers cannot know without loading the data."""
    schedule = assembly.schedule
    if schedule is None:
        return {}
    return {
        "examples": schedule.examples,
        "batch_size": schedule.batch_size,
        "classes": list(assembly.dataset.classes),
    }
