"""What people already have, as runs: `python -m gdlab task=import from=lightning_logs into=runs/old`."""

import sys

from gdlab.execution.progress import Progress
from gdlab.interchange import Imported, Unreadable, import_runs
from gdlab.messages import counted, one_line
from gdlab.plan.builder import ConfigError

MOST_TOLD = 20  # places and notes that are named
_EXAMPLE = "task=import from=lightning_logs into=runs/old"
_OPTIONS = ("loss", "accuracy", "step", "run")


def import_task(config: dict, *, progress: bool = True) -> Imported:
    """Import what the config's `from` names, and say what was done.

    Raises ConfigError: an option is missing or wrong, or nothing was imported; with what would be right.
    """
    options = _checked(config)
    name = str(config["into"] or "import")
    with Progress(name, 100, unit="bytes") as shown:
        try:
            done = import_runs(
                config["from"], config["into"], **options, progress=shown.share if progress else None
            )
        except Unreadable as error:
            raise ConfigError(str(error)) from None
    lines = [one_line(line) for line in said(done)]
    if not done.folders:
        raise ConfigError("\n".join(["nothing was imported", *lines[1:]]))
    for line in lines if progress else ():
        print(f"gdlab: {line}", file=sys.stderr)
    return done


def said(done: Imported) -> list[str]:
    """What was done, in lines: runs and numbers, then what was skipped, then what was read with losses."""
    words = [f"{counted(number, 'run')} {word}" for word, number in done.counts.items() if number]
    where = (
        f", in {done.folders[0].parent if len(done.folders) > 1 else done.folders[0]}" if done.folders else ""
    )
    numbers = f" ({counted(done.points, 'number')} read)" if done.points else ""
    lines = [f"{', '.join(words) or 'no run imported'}{where}{numbers}"]
    skipped = [f"skipped: {place}: {why}" for place, why in done.skipped]
    notes = [f"{folder}: {note}" for folder, note in done.notes]
    for found, what in ((skipped, "skipped"), (notes, "notes")):
        lines += found[:MOST_TOLD]
        if len(found) > MOST_TOLD:
            lines.append(f"... and {len(found) - MOST_TOLD:,} more {what}")
    return lines + done.left


def _checked(config):
    """The options of `import_runs` in a config."""
    if not isinstance(config.get("from"), str) or not config["from"]:
        raise ConfigError(f"task=import needs what is to be imported: {_EXAMPLE}")
    if not isinstance(config["into"], str | None):
        raise ConfigError(f"into={config['into']!r}: a folder is expected: {_EXAMPLE}")
    section = config["import"]
    options = {name: section[name] for name in _OPTIONS}
    for name, value in options.items():
        if value is not None and not isinstance(value, str):
            raise ConfigError(
                f"import.{name}={value!r}: a name is expected; in quotes if it looks like a number"
            )
    metrics = section["metrics"]
    metrics = [metrics] if isinstance(metrics, str) else metrics or []
    if not (isinstance(metrics, list) and all(isinstance(one, str) for one in metrics)):
        raise ConfigError(
            f"import.metrics={section['metrics']!r}: names are expected: import.metrics=[loss,val/*]"
        )
    if not isinstance(config["format"], str | None):
        raise ConfigError(f"format={config['format']!r}: a name is expected")
    return {**options, "metrics": metrics, "format": config["format"]}
