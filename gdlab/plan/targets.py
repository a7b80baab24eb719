"""Which functions a config may name, place by place ("slot"): the yamls of conf/<slot> are the list.

A config may come from a run folder made elsewhere. What it names is looked up in a list and never followed:
no part of a name from a config is imported, and no attribute chain of it is walked. In the slot `problem`
stand the targets of the installed conf/problem/*.yaml, in `optimizer` those of conf/optimizer and optax's
own optimizers, so that such a one needs a yaml alone. The environment variable GDLAB_TARGETS (modules, comma
separated) adds, in every slot, the functions and classes that are defined in these very modules.
"""

import inspect
import os
from functools import cache, partial
from importlib import import_module

from gdlab.messages import closest

SLOTS = (
    *("problem", "dataset", "model", "optimizer", "beta", "linesearch", "schedule", "weight_decay"),
    *("class_shares", "probe"),
)
# What a node within the node of a slot may be, besides code named by GDLAB_TARGETS.
INSIDE = {"optimizer": ("beta", "linesearch")}
# The optimizers of optax itself; those of optax.contrib change from version to version.
OPTAX = (
    *(
        "adabelief",
        "adadelta",
        "adafactor",
        "adagrad",
        "adam",
        "adamax",
        "adamaxw",
        "adamw",
        "adan",
        "amsgrad",
    ),
    *(
        "fromage",
        "lamb",
        "lars",
        "lbfgs",
        "lion",
        "nadam",
        "nadamw",
        "noisy_sgd",
        "novograd",
        "optimistic_adam",
    ),
    *("optimistic_adam_v2", "optimistic_gradient_descent", "polyak_sgd", "radam", "rmsprop", "rprop", "sgd"),
    *("sign_sgd", "signum", "sm3", "yogi"),
)


class ConfigError(ValueError):
    """An option or value that cannot be used; says which, what is allowed, and the nearest valid name."""


def nearest(name, candidates):
    """' Did you mean ...?' for the candidate most like `name`, '' where none is."""
    found = closest(name, candidates)
    return f" Did you mean '{found}'?" if found else ""


def short(value):
    """`repr(value)` for a message: at most 200 characters of it."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


@cache
def installed(slot):
    """The targets that the slot's own list allows, sorted."""
    found = {f"optax.{name}" for name in OPTAX} if slot == "optimizer" else set()
    return tuple(sorted(found | _named_in_yamls(slot)))


def resolve(target, slots=SLOTS, where="config"):
    """The function or class that a `_target_` names, where one of `slots` or GDLAB_TARGETS allows it.

    Raises:
      ConfigError: it is not allowed there, or does not exist.
    """
    if isinstance(target, str):
        if any(target in installed(slot) for slot in slots):
            module, _, name = target.rpartition(".")
            found = getattr(import_module(module), name, None)
            if found is None:  # an optimizer that this version of optax lacks
                raise ConfigError(f"{where}: {target} is not in the installed {module}")
            return found
        if target.rpartition(".")[0] in _own_modules():
            return _own(target, where)
    raise ConfigError(_refusal(target, slots, where))


@cache
def parameters(function):
    """The parameters of a target by name, in order."""
    return inspect.signature(function).parameters


def _named_in_yamls(slot):
    # Not at the top: the optimizers and the line search do without YAML.
    import yaml

    from gdlab.app_path import conf_dir

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    nodes = (yaml.load(path.read_bytes(), Loader=loader) for path in (conf_dir() / slot).glob("*.yaml"))
    # none.yaml calls nothing; a page names one target a view
    named = (each for node in nodes for each in (node, *node.get("views", {}).values()))
    return {each["_target_"] for each in named if "_target_" in each}


def _own_modules():
    return [name.strip() for name in os.environ.get("GDLAB_TARGETS", "").split(",") if name.strip()]


def _own(target, where):
    """What a module named by GDLAB_TARGETS defines itself: its imports are not the config's to call."""
    module_name, _, name = target.rpartition(".")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"{where}: _target_ {target!r} cannot be imported: {error}; PYTHONPATH must hold the folder of "
            "the module"
        ) from error
    found = vars(module).get(name)
    function = found.func if isinstance(found, partial) else found
    defined = getattr(function, "__module__", None)
    if callable(function) and defined == module_name and not name.startswith("_"):
        return found
    if found is None:
        public = [each for each in vars(module) if not each.startswith("_")]
        raise ConfigError(f"{where}: {module_name} has no '{name}'.{nearest(name, public)}")
    other = f"it is defined in {defined}; name it there" if callable(function) else "it is no function"
    raise ConfigError(f"{where}: _target_ {target!r} is not a function or class of {module_name}: {other}")


def _refusal(target, slots, where):
    module = target.rpartition(".")[0] if isinstance(target, str) else ""
    if module and module.partition(".")[0] not in ("gdlab", "optax", "server"):
        allowed = ",".join(_own_modules())
        now = f"allows {short(allowed)} alone" if allowed else "is not set"
        more = f"{allowed},{module}" if allowed else module
        return (
            f"{where}: _target_ {short(target)} is not gdlab's own code, and its module {short(module)} is "
            f"not allowed: the environment variable GDLAB_TARGETS {now}. If you trust the module, start "
            f"with GDLAB_TARGETS={short(more)[1:-1]}; docs/security.md says what that permits."
        )
    whole = sorted({each for slot in slots for each in installed(slot)})
    names = sorted({each.rpartition(".")[2] for each in whole})
    hint = ""
    if isinstance(target, str):  # the last part may be right, as `build` is of every view
        last = target.rpartition(".")[2]
        hint = nearest(target, whole) if last in names else nearest(last, names) or nearest(target, whole)
    allowed = f"what {' and '.join(f'conf/{slot}' for slot in slots)} holds" if slots else "values alone"
    return (
        f"{where}: _target_ {short(target)} is not a function that may stand there; allowed: {allowed}.{hint}"
        " Code of your own is allowed by GDLAB_TARGETS, see docs/security.md."
    )
