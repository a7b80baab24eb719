"""`python -m gdlab experiment=NAME`: Hydra composes a config, gdlab runs it.

Whatever is wrong ends in one line that says what, where and what would be right, and leaves nothing behind:
unknown options and groups are found by `gdlab.commands.overrides`, values by `gdlab.experiment` before a run
begins, and what nobody foresaw is caught here. HYDRA_FULL_ERROR=1 shows where it came from.
"""

import errno
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gdlab.starting import NOTHING, answer_interrupts, leave, tidy

# What takes long to import is imported in functions, where a Ctrl-C is answered.

_SCHEDULERS = (getattr(signal, "SIGUSR1", None),)  # ends a training; before one there is nothing to save
# What is wrong with a place, and not with what is read or written.
_PLACE = (errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
WHOLE = "HYDRA_FULL_ERROR"  # Hydra's own variable: whole tracebacks


def main():
    """Entry point of `python -m gdlab` and of the script `gdlab`."""
    if "--version" in sys.argv[1:]:
        from gdlab import __version__

        print(f"gdlab {__version__}")
        return
    if _explained(sys.argv[1:]) or _told_of(sys.argv[1:]):
        return
    with _answered():
        _compose_and_run()


def serve():
    """Entry point of the script `gdlab-serve`."""
    from gdlab.app_path import make_server_importable

    make_server_importable()
    from server.__main__ import main as start

    sys.exit(start(sys.argv[1:]))


def _explained(words):
    """Whether `words` ask for help or for completion, which is printed, and needs neither Hydra nor JAX."""
    if not {"-h", "--help", "-sc", "--shell-completion"} & set(words):
        return False
    from gdlab.commands import completion, helptext, hydras
    from gdlab.plan.targets import ConfigError

    found, others = hydras.parser().parse_known_args(words)
    asked = [*found.overrides, *others]
    try:
        if found.shell_completion:
            print(completion.answer(" ".join(asked), _started()))
        else:
            print(helptext.of(asked, found.config_dir))
        sys.stdout.flush()
    except ConfigError as error:
        sys.exit(f"gdlab: {error}")
    except BrokenPipeError:  # gdlab --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _told_of(words):
    """Whether `words` ask what is recorded, which is printed, and needs neither Hydra nor JAX."""
    if not any(word in ("task=runs", "task=summary") for word in words):
        return False
    from gdlab.commands import telling
    from gdlab.plan.targets import ConfigError
    from gdlab.store.errors import StoreError

    try:
        print(telling.answer(words))
        sys.stdout.flush()
    except (ConfigError, StoreError) as error:
        sys.exit(f"gdlab: {error}")
    except BrokenPipeError:  # gdlab task=runs | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _started():
    """The words that this process was started by, without its arguments: the script, or python -m gdlab."""
    if Path(sys.argv[0]).name == "__main__.py":
        return [sys.executable, "-m", "gdlab"]
    return [sys.argv[0]]


def _compose_and_run():
    from gdlab.commands import hydras, resolvers
    from gdlab.commands import overrides as command_line

    resolvers.register()
    command = command_line.parsed(sys.argv[1:])
    command_line.check(command)
    command, grid = command_line.take_grid(command)

    def run(config):
        _run(config, grid)

    hydras.run([*command.flags, *command.overrides], run)


def _run(config, grid):
    """The task of one composed config; `grid`: overrides of a task=ensemble, else None."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from gdlab import experiment  # noqa: F401
    from gdlab.commands import probe_task  # noqa: F401
    from gdlab.commands.leftovers import remove_empty
    from gdlab.commands.sweep import plain

    if signal.getsignal(signal.SIGINT) is leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    quiet()
    output = Path(HydraConfig.get().runtime.output_dir)
    if grid is not None:
        _train_grid(grid, output)
        return
    try:
        outcome = _perform(plain(config), output)
    except Exception as error:
        remove_empty(output)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            _name_failure(output, error)
        elif os.environ.get(WHOLE) != "1":
            sys.exit(_told(error))  # Hydra would say first with which overrides
        raise
    if outcome is not None and outcome.state == "interrupted":
        sys.exit(130)


def quiet():
    """Keep what JAX says of its backends and checkpoints from being taken for something that went wrong."""
    import logging

    for chatty in ("absl", "jax"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


@contextmanager
def _answered():
    """Turns every end that is not a success into one line on stderr and an exit status, and tidies up."""
    answer_interrupts()
    from gdlab.commands import hydras
    from gdlab.execution.interruption import handled
    from gdlab.messages import missing

    whole = os.environ.get(WHOLE) == "1"
    ending = [number for number in handled() if number not in (signal.SIGINT, *_SCHEDULERS)]
    before = {number: signal.signal(number, _end) for number in ending}
    quiet()
    try:
        with hydras.raising(_returned):
            yield
    except KeyboardInterrupt:
        print(NOTHING, file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if whole:
            raise
        lacking = missing(error)  # of Hydra itself, perhaps, whose errors are told otherwise
        sys.exit(f"gdlab: {lacking}" if lacking else _told(error))
    finally:
        tidy()
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) is leave:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _returned(job, usual):
    """The value of a job; the error of one that has been named, instead of with which overrides it failed."""
    error = job._return_value
    if getattr(error, "told", None) == os.getpid():  # elsewhere it was told to another's stderr
        raise error
    return usual.fget(job)


def _end(number, frame):
    """SIGTERM or SIGHUP while nothing is trained: as Ctrl-C, so that what was begun is tidied up."""
    del frame
    sys.exit(128 + number)


def _told(error):
    """What the user is told of an error that ended the command; an exit status where it was told already."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from gdlab.messages import described, readable
    from gdlab.plan.builder import ConfigError
    from gdlab.store.errors import StoreError

    if getattr(error, "told", None):
        return 1
    if isinstance(error, HydraException) and error.__cause__ is not None:
        causes = [str(one) for one in (error, error.__cause__) if str(one)]
        return readable("gdlab: " + "\n".join(causes))
    if isinstance(error, OSError) and error.errno in _PLACE and error.filename is not None:
        file = isinstance(error, (FileExistsError, NotADirectoryError))
        why = "a file is in its place" if file else error.strerror
        return readable(
            f"gdlab: {error.filename}: {why}; another place to write is chosen by hydra.run.dir=FOLDER, of a "
            "sweep by hydra.sweep.dir=FOLDER, of a probe by output=FILE"
        )
    expected = (ConfigError, StoreError, FileNotFoundError, HydraException, OmegaConfBaseException)
    said = described(error, expected)
    more = (
        ""
        if isinstance(error, (*expected, OSError, ValueError, ModuleNotFoundError))
        else f" ({WHOLE}=1 shows all of it)"
    )
    return f"gdlab: {said}{more}"


def _train_grid(overrides, output):
    """Train all runs of the grid that the config's sweeper and the overrides span; exits with 1 or 130."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from gdlab.commands.leftovers import remove_empty
    from gdlab.commands.sweep import grid, jobs_of, train_jobs

    remove_empty(output)
    settings: Any = HydraConfig.instance().cfg
    lists = grid(settings.hydra.sweeper.get("params"), overrides)
    jobs = jobs_of(GlobalHydra.instance().config_loader(), settings, lists)
    width = OmegaConf.select(settings, "hydra.launcher.width", default=None)
    states = {outcome.state for outcome in train_jobs(jobs, width)}
    if states & {"interrupted", "not started"}:
        sys.exit(130)
    if "failed" in states:
        sys.exit(1)


def _perform(config, output):
    """The task that `config` names; the Run of a training."""
    from hydra.core.hydra_config import HydraConfig

    from gdlab import experiment
    from gdlab.commands import extend_task, import_task, packing_tasks, probe_task, stop_task
    from gdlab.commands.leftovers import remove_empty
    from gdlab.commands.tasks import TASKS, check_paths
    from gdlab.plan.builder import ConfigError, nearest

    check_paths(config)
    if config["task"] not in TASKS:
        hint = nearest(config["task"], TASKS)
        raise ConfigError(f"task={config['task']!r}: allowed: {', '.join(TASKS)}.{hint}")
    if config["task"] == "probe":
        probe_task.probe_task(config)
        return None
    if config["task"] == "extend":
        return extend_task.extend_task(config, HydraConfig.get().overrides.task)
    others = {
        "import": import_task.import_task, "stop": stop_task.stop_task,
        "pack": packing_tasks.pack_task, "unpack": packing_tasks.unpack_task,
    }  # fmt: skip
    if config["task"] in others:
        others[config["task"]](config)
        remove_empty(output)
        return None
    probe_task.check_probes(config["probes"])
    outcome = experiment.run(config, output)
    if outcome.state == "finished":
        probe_task.run_probes(config["probes"], output, config=config)
    return outcome


def _name_failure(output, error):
    """Hydra shows the first job of a sweep that fails, when all have been run; this names each at once."""
    from gdlab.messages import described
    from gdlab.plan.builder import ConfigError
    from gdlab.store.errors import StoreError

    said = described(error, (ConfigError, StoreError, FileNotFoundError))
    print(f"gdlab: failed: {output.name}: {said}", file=sys.stderr, flush=True)
    error.told = os.getpid()


if __name__ == "__main__":
    main()
