"""From a config to live objects: the only place that turns names into code.

A config may come from a run folder made elsewhere, so a `_target_` is data until proven harmless: it
must resolve to something *defined* in the packages listed here (or named by the user in the
environment variable GDLAB_TARGETS, comma separated). Looking at where an object was defined, not only
at how it is spelled, closes the way through a module's own imports (`gdlab.data.mnist.os.system`).
"""

import difflib
import inspect
import os
from functools import partial
from importlib import import_module

TARGETS = (
    "gdlab.problems",
    "gdlab.data",
    "gdlab.models",
    "gdlab.linesearch",
    "gdlab.optim",
    "gdlab.schedules",
    "gdlab.analysis.class_shares",
    "gdlab.probes",
    "optax",
)


class ConfigError(ValueError):
    """An option or value that cannot be used; says which, what is allowed, and the nearest valid name."""


def nearest(name, candidates):
    """' Did you mean ...?' for the candidate most like `name`, '' where none is."""
    found = difflib.get_close_matches(str(name), [str(c) for c in candidates], n=1, cutoff=0.5)
    return f" Did you mean '{found[0]}'?" if found else ""


def resolve(target):
    """The object that a `_target_` names, if it is defined in an allowed package.

    Raises:
      ConfigError: it does not exist, or is defined elsewhere.
    """
    allowed = (*TARGETS, *filter(None, os.environ.get("GDLAB_TARGETS", "").split(",")))
    if not isinstance(target, str) or not _within(target, allowed):
        raise ConfigError(
            f"_target_: {target!r} is not in the packages that a config may use ({', '.join(allowed)}). "
            "For code of your own name its module in the environment: GDLAB_TARGETS=my_problem."
        )
    module_name, _, attribute = target.rpartition(".")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"_target_: {target!r} cannot be imported: {error}") from error
    try:
        found = getattr(module, attribute)
    except AttributeError:
        names = getattr(module, "__all__", dir(module))
        raise ConfigError(
            f"_target_: {module_name} has no '{attribute}'.{nearest(attribute, names)}"
        ) from None
    function = found.func if isinstance(found, partial) else found
    if not callable(function) or not _within(getattr(function, "__module__", "") or "", allowed):
        raise ConfigError(f"_target_: {target!r} is not a function or class defined in {', '.join(allowed)}")
    return found


def check(node, where="config"):
    """Refuse a config whose targets are not allowed or do not take the options given.

    Raises:
      ConfigError: names the option, its place, what the target takes and the nearest valid name.
    """
    if isinstance(node, list | tuple):
        for number, child in enumerate(node):
            check(child, f"{where}[{number}]")
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        _check_options(resolve(node["_target_"]), node, where)
    for key, child in node.items():
        check(child, f"{where}.{key}")


def instantiate(node, where, **live):
    """Build the object that `node` describes; `live` are arguments that no yaml can hold.

    Raises:
      ConfigError: as `check`; or the target itself refused a value, with its own words.
    """
    check(node, where)
    from hydra.utils import instantiate as build

    # Flax modules as keyword arguments would be turned into configs: bind first, call with them after.
    bound = build({**node, "_partial_": True}, _convert_="all")
    try:
        return bound if node.get("_partial_") else bound(**live)
    except (ValueError, TypeError, FileNotFoundError) as error:
        raise ConfigError(f"{where}: {error}") from error


def takes(node, name):
    """Whether the target of `node` has a parameter called `name`."""
    return name in inspect.signature(resolve(node["_target_"])).parameters


def _check_options(target, node, where):
    parameters = inspect.signature(target).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for key in node:
        if key not in parameters and not key.startswith("_"):
            names = ", ".join(parameters)
            message = (
                f"{where}.{key}={node[key]!r}: {node['_target_']} has no option '{key}'; it takes {names}."
            )
            raise ConfigError(message + nearest(key, parameters))


def _within(name, packages):
    return any(name == p or name.startswith(p + ".") for p in packages)
