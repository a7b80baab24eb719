"""The launcher behind `hydra/launcher=vmap`, a thin layer over `gdlab.ensemble.train`.

Hydra imports every plugin at every start, so JAX is imported in `launch` alone.
"""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher


@dataclass
class VmapLauncherConf:
    """width: members of a program on each device; null: as many as fit."""

    _target_: str = "hydra_plugins.gdlab_vmap.vmap_launcher.VmapLauncher"
    width: int | None = None


ConfigStore.instance().store(
    group="hydra/launcher", name="vmap", node=VmapLauncherConf, provider="gdlab_vmap"
)


class VmapLauncher(Launcher):
    """Trains the jobs of gdlab's sweeps together; what cannot be grouped one by one, with the reason said."""

    def __init__(self, width=None):
        self.width = width
        self.config = self.hydra_context = None

    def setup(self, *, hydra_context, task_function, config):
        """Called by Hydra. The task function is not: gdlab trains the configs itself."""
        del task_function
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides, initial_job_idx):
        """A JobReturn for each job, its value the run's Outcome. Ctrl-C ends the program with 130."""
        del initial_job_idx
        from gdlab.commands.sweep import jobs_of, train_jobs

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        jobs = jobs_of(self.hydra_context.config_loader, self.config, job_overrides)
        outcomes = train_jobs(jobs, self.width)
        if any(outcome.state in ("interrupted", "not started") for outcome in outcomes):
            raise SystemExit(130)
        return [_returned(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]


def _returned(job, outcome):
    failed = outcome.error is not None
    made = JobReturn(overrides=list(job.overrides), cfg=None, hydra_cfg=None)
    made.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
    made.return_value = outcome.error if failed else outcome
    return made
