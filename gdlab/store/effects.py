"""Which options of a configuration its training reads, told from the configuration alone.

A configuration is composed of defaults, of which not every training reads each: Adam has no line search, a
test function has no mini-batches. What nothing reads tells nothing of a run: it is part of the configuration
and of its hash, but no hyper-parameter, and `gdlab.plan.unread` refuses it if a person asks for it. Here no
problem or optimizer is imported, so that it can be said of runs recorded before and elsewhere; of code of
one's own it is taken that it reads everything.
"""

from collections.abc import Callable, Mapping

# Problems that take a model.
NETWORKS = (
    *("gdlab.problems.classification", "gdlab.problems.discriminant", "gdlab.problems.regression"),
    *("gdlab.problems.reconstruction", "gdlab.problems.heat_equation", "gdlab.problems.next_token"),
)
SEARCHERS = (  # optimizers that search lines
    *("gdlab.optim.conjugate_gradient", "gdlab.optim.lbfgs"),
    "gdlab.optim.limited_memory_conjugate_gradient",
)
# Sections that are read where an optimizer's option refers to them, and what they are.
REFERRED = {
    "beta": ("optimizer.beta", "beta formula"),
    "linesearch": ("optimizer.line_search", "line search"),
}
_BATCHES = ("batches", "batch_size", "descent_length", "drop_last", "validation", "devices")
_MEASURED = ("validate", "dumps", "correlations")
_TARGET = "._target_"
# The configuration of a loop that gdlab only looked at: the loop's own names, below CONFIG.
RECORDER, CONFIG = "recorder", "config"
IMPORTED = "imported"  # in the identity of a run: where its numbers come from

Takes = Callable[[str, str], bool]


def known_to_take(target: str, option: str) -> bool:
    """Whether a problem may take `option`; of gdlab's own it is known, of others taken for granted."""
    return option != "model" or target in NETWORKS or not _is_ours(target)


def without_effect(flat: Mapping[str, object], takes: Takes = known_to_take) -> dict[str, str]:
    """{place: why} of the sections and options of a flat configuration that its training does not read.

    takes: (target of the problem, name) -> whether it has a parameter of that name.
    """
    found = {**_of_data(flat), **_of_optimizer(flat), **_of_record(flat)}
    problem = flat.get("problem" + _TARGET)
    if isinstance(problem, str) and not takes(problem, "model"):
        found["model"] = f"the problem {problem} has no network"
        if "dataset" + _TARGET not in flat and _is_ours(problem):
            found["seed"] = f"nothing of the problem {problem} is drawn"
    return found


def is_of_recorder(flat: Mapping[str, object]) -> bool:
    """Whether a configuration, flat or not, is that of a loop which gdlab only looked at."""
    return RECORDER in flat


def with_effect(flat: Mapping[str, object]) -> dict[str, object]:
    """The flat configuration without what its training does not read, and without the sections that an
    optimizer's option refers to: what they say stands there. Of a recorded loop all is kept."""
    if is_of_recorder(flat):
        return dict(flat)
    places = {*without_effect(flat), *(name for name, (place, _) in REFERRED.items() if _at(flat, place))}
    return {key: value for key, value in flat.items() if not is_below(key, places)}


def named_once(flat: Mapping[str, object]) -> dict[str, object]:
    """`flat` with one name for one thing: what an optimizer's option holds of a section is called as that
    section, "linesearch.sigma", whether it was composed from it or is the optimizer's own. What a recorded
    loop was given is called as it called it."""
    if is_of_recorder(flat):
        own = f"{CONFIG}."
        return {key.removeprefix(own): value for key, value in flat.items() if key.startswith(own)}
    found = {}
    for key, value in flat.items():
        for section, (place, _) in REFERRED.items():
            if place + _TARGET in flat and is_below(key, (place,)):
                key = section + key.removeprefix(place)
        found[key] = value
    return found


def is_below(key: str, places) -> bool:
    """Whether a flat key is one of the places or stands below one."""
    while key:
        if key in places:
            return True
        key = key.rpartition(".")[0]
    return False


def _of_data(flat):
    if "dataset" + _TARGET not in flat:
        why = "this run has no data (dataset=null), hence no mini-batches"
        return {f"train.{name}": why for name in _BATCHES} | {"class_shares": "this run has no classes"}
    if flat.get("train.batch_size") is not None:
        return {"train.batches": "train.batches and train.batch_size exclude each other: give one of them"}
    found = {
        "train.batch_size": "the mini-batches are counted by train.batches",
        "train.drop_last": "it needs train.batch_size",
    }
    optimizer = flat.get("optimizer" + _TARGET)
    whole = flat.get("train.batches") == 1 and "class_shares" + _TARGET not in flat
    if whole and _is_ours(optimizer) and optimizer not in SEARCHERS:
        found["train.descent_length"] = (
            f"every iteration sees the whole training set, and the optimizer {optimizer} begins nothing anew"
        )
    return found


def _of_optimizer(flat):
    found, target = {}, flat.get("optimizer" + _TARGET)
    if target is None:
        return found
    for section, (place, what) in REFERRED.items():
        own = _at(flat, place)
        if not own:
            found[section] = f"the optimizer {target} has no {what}"
        elif own != _at(flat, section):
            found[section] = f"the optimizer has a {what} of its own ({place})"
    if "optimizer.learning_rate" not in flat:
        for section in ("schedule", "weight_decay"):
            if flat.get(section, "") is None:
                found[section] = f"the optimizer {target} has no learning rate"
    return found


def _of_record(flat):
    found = {}
    if "optimizer.line_search" + _TARGET not in flat:
        found["record.trace"] = "the optimizer has no line search whose evaluations could be kept"
    if flat.get("optimizer" + _TARGET) in SEARCHERS:
        why = "it is of methods without a line search, and this optimizer has one"
        found |= {"record.reach": why, "record.loss_end": why}
    able = _can_be_measured(flat)
    done = [name for name in _MEASURED if able and flat.get(f"record.{name}") not in (False, None)]
    if not able:
        why = "this run has no network or no test set to measure it on"
        found |= {f"record.{name}": why for name in _MEASURED}
    if not {"validate", "dumps"} & {*done}:
        found["record.validate_examples"] = "this run is not validated and has no dumps"
    if "dumps" not in done:
        found["record.dump_examples"] = "this run has no dumps"
    if "correlations" not in done:
        names = ("correlation_examples", "correlation_relu", "correlation_dense")
        found |= {f"record.{name}": "this run records no correlations" for name in names}
    if not done:
        found["record.version"] = "no network is measured in this run"
    return found


def _can_be_measured(flat):
    """Whether there may be a network and a test set to measure it on; what is not known to lack them may."""
    problem = str(flat.get("problem" + _TARGET))
    return "dataset" + _TARGET in flat and known_to_take(problem, "model")


def _is_ours(target):
    """Whether it is known what a target reads."""
    return str(target).startswith(("gdlab.", "optax."))


def _at(flat, place):
    """{rest of the name: value} of what a flat configuration holds below a place; {} where it is null."""
    below = place + "."
    return {key.removeprefix(below): value for key, value in flat.items() if key.startswith(below)}
