"""What a recorded configuration meant, said in today's words.

A configuration names the version of gdlab's options under which it was written (`version`; none: 1).
Options that came later are listed here with the value that trainings before them had, so that whoever reads
a configuration finds every option of today and never asks whether one is there. To add an option:
one line in LATER and, where it comes after a release, VERSION raised by one.
"""

from typing import Any, NamedTuple

VERSION = 2  # of the options; conf/config.yaml carries the same number


class Later(NamedTuple):
    """An option that came after others were recorded.

    path     its place, "linesearch.version"; the section before the last dot must be there
    before   the value that trainings without it had
    today    what conf/ gives it today; the same where its coming changed no training
    target   only in a section whose `_target_` is this; None: in any
    since    the version of the options that brought it; those of 1 belong to the hash of a run
    """

    path: str
    before: Any
    today: Any
    target: str | None = None
    since: int = VERSION


LATER: tuple[Later, ...] = (
    Later("record.dumps", False, False, since=1),
    Later("record.dump_examples", 2000, 2000, since=1),
    Later("record.correlations", False, False, since=1),
    Later("record.correlation_examples", 200, 200, since=1),
    Later("record.correlation_relu", False, False, since=1),
    Later("record.correlation_dense", False, False, since=1),
    Later("train.devices", 1, 1, since=1),
    Later("dataset.background", None, "white", target="gdlab.data.images"),
    Later("dataset.upright", False, True, target="gdlab.data.images"),
    # 1: batch normalisation measured on the first training examples instead of examples of all parts; dumps
    # sampled activations of the first classes alone, and counted zeros before the nonlinearity.
    Later("record.version", 1, 2),
    Later("train.validation", 0.0, 0.0),
    Later("record.functions", "auto", "auto"),
    Later("class_shares.on_test", True, False, target="gdlab.analysis.class_shares.from_run"),
    Later("model.pooling", 3, 3, target="gdlab.models.hamid_cifar"),
    Later("train.drop_last", True, True),
    Later("linesearch.version", 1, 2, target="gdlab.linesearch.two_phase"),
    Later("optimizer.line_search.version", 1, 2, target="gdlab.linesearch.two_phase"),
)


def version_of(config):
    """The version of the options that `config` was written with; ValueError where it is no such number.

    A recorded loop's own names lie one level lower, so that none of them is taken for an option.
    """
    version = config.get("version", 1)
    if type(version) is not int or version < 1:
        raise ValueError(f"version={version!r}: a whole number from 1 to {VERSION} is expected")
    return version


def migrated(config):
    """A copy of `config` in which no option of today is missing from a section that is there.

    The value of an option that is added is that of trainings before it. Raises ValueError as `version_of`.
    """
    version_of(config)
    config = dict(config)
    for later in LATER:
        section, name = _parent(config, later)
        if section is not None and name not in section:
            _replace(config, later.path, later.before)
    return config


def as_recorded(recorded, given):
    """`given` with what `recorded`, the configuration as it stands on disk, could not know.

    A run that was begun before an option existed goes on as it began: where `given` has for it what conf/
    says today, and not something that was asked for, it takes the value of trainings before.
    """
    given = migrated(given)
    for later in LATER:
        old, name = _parent(recorded, later)
        new, _ = _parent(given, later)
        if old is not None and new is not None and name not in old and _same(new[name], later.today):
            _replace(given, later.path, later.before)
    return given


def is_as_before(path, value):
    """Whether the option at `path` came after version 1 and `value` is what trainings before it had."""
    return any(later.path == path and later.since > 1 and _same(value, later.before) for later in LATER)


def migrated_flat(flat):
    """As `migrated`, of a configuration as flat keys {"record.dumps": False, ...}."""
    sections = {key.rpartition(".")[0] for key in flat}
    added = {}
    for later in LATER:
        section = later.path.rpartition(".")[0]
        if section in sections and later.target in (None, flat.get(f"{section}._target_")):
            added[later.path] = later.before
    return added | flat


def _parent(config, later):
    """(section that holds the option, its name); (None, name) where the section is not there or another."""
    *sections, name = later.path.split(".")
    for part in sections:
        config = config.get(part)
        if not isinstance(config, dict):
            return None, name
    if later.target is not None and config.get("_target_") != later.target:
        return None, name
    return config, name


def _replace(config, path, value):
    """Put `value` at `path`, copying the sections on the way: the caller's own are left alone."""
    *sections, name = path.split(".")
    for part in sections:
        config[part] = dict(config[part])
        config = config[part]
    config[name] = value


def _same(a, b):
    return type(a) is type(b) and a == b
