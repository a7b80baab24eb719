"""Sweeps: the same run folders by whatever launcher they are trained, and by task=ensemble."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from gdlab import store
from gdlab.app_path import conf_dir
from gdlab.commands import resolvers
from gdlab.commands.sweep import grid, jobs_of, plain

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("problem=rosenbrock", "optimizer=momentum", "train.steps=20", "optimizer.learning_rate=1e-4")
WAYS = {
    "ensemble": ("task=ensemble",),
    "vmap": ("-m", "hydra/launcher=vmap"),
    "basic": ("-m", "hydra/launcher=basic"),
    "joblib": ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit": ("-m", "hydra/launcher=submitit_local"),
}


def gdlab(*arguments, sweep):
    """The finished process of `python -m gdlab ...` with its runs in the folder `sweep`."""
    command = [
        sys.executable,
        "-m",
        "gdlab",
        *arguments,
        f"hydra.sweep.dir={sweep}",
        f"hydra.run.dir={sweep}",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def states(sweep):
    return {path.name: store.open_run(path).state for path in sweep.iterdir() if (path / "run.json").exists()}


def test_every_way_finds_the_runs_of_the_others(tmp_path):
    momenta = []
    for number, way in enumerate(WAYS):
        momenta += [f"0.{number + 1}", f"0.{number + 1}5"]
        before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/run.json")}
        done = gdlab(*WAYS[way], *SMALL, f"optimizer.momentum={','.join(momenta)}", sweep=tmp_path)
        assert done.returncode == 0, done.stderr
        common = "optimizer-momentum--problem-rosenbrock--steps-20"
        expected = [f"learning_rate-0.0001--momentum-{m}--{common}" for m in momenta]
        assert states(tmp_path) == dict.fromkeys(expected, "finished")
        assert {path: path.stat().st_mtime_ns for path in before} == before
        new = store.open_run(tmp_path / expected[-1])
        assert new.config["optimizer"]["momentum"] == float(momenta[-1]) and new.config["task"] == "train"
        assert ("group" in new.identity) == (way in ("ensemble", "vmap"))


@pytest.mark.parametrize("way", list(WAYS))
def test_failed_jobs_are_named_and_the_others_trained(way, tmp_path):
    done = gdlab(*WAYS[way], *SMALL, "optimizer.momentum=0.1,-1,0.2", sweep=tmp_path)
    assert done.returncode == 1
    # The jobs of submitit write into files of their own: there Hydra itself names the first that failed.
    words = "Error executing job" if way == "submitit" else "failed: "
    named = [line for line in done.stderr.splitlines() if words in line]
    assert named and all("momentum=-1" in line or "momentum--1" in line for line in named)
    assert sorted(states(tmp_path).values()) == ["finished", "finished"]


def test_ctrl_c_ends_a_sweep_that_the_same_command_continues(tmp_path):
    command = [sys.executable, "-m", "gdlab", "task=ensemble", "experiment=digits_momentum"]
    command += ["train.steps=100000", "model.features=[8,10]", "seed=0,1"]
    command += [f"hydra.sweep.dir={tmp_path}", f"hydra.run.dir={tmp_path}"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        runs = [p.parents[1] for p in tmp_path.glob("*/log.zarr/zarr.json")]
        if len(runs) == 2 and all(store.open_run(run).rows("scalars") for run in runs):
            break
        threading.Event().wait(0.1)
    os.kill(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 130, errors
    assert "2 interrupted" in errors
    for run in map(store.open_run, runs):
        assert run.state == "interrupted" and run.checkpoints[-1] == run.rows("scalars") > 0


@pytest.fixture
def loader():
    """Hydra's loader and the master config of a command."""
    resolvers.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        master = compose("config", return_hydra_config=True)
        yield GlobalHydra.instance().config_loader(), master


def test_what_is_composed_once_equals_what_hydra_composes_for_each_job(loader):
    overrides = (
        *("experiment=digits_sgd", "optimizer=sgd,momentum,adam", "seed=range(2)", "+note=a,b"),
        *("optimizer.learning_rate=1e-2,0.5", "model.features=[8,10],[16,10]", "name=some"),
    )
    lists = grid({"train.steps": "3, 4", "seed": "7"}, overrides)
    assert len(lists) == 2 * 3 * 2 * 2 * 2 * 2
    jobs = jobs_of(*loader, lists)
    assert len({job.folder for job in jobs}) == len(jobs)
    for job in jobs[:: len(jobs) // 12]:
        composed = loader[0].load_sweep_config(loader[1], list(job.overrides))
        assert job.config == plain(composed)
        assert job.folder == (Path(composed.hydra.sweep.dir) / composed.hydra.sweep.subdir).absolute()


def test_each_setting_has_a_seed_of_its_own(loader):
    """The same whenever it is composed and whatever is recorded, another for another setting."""
    overrides = [
        "experiment=digits_sgd",
        "optimizer.learning_rate=0.1,0.2,0.3",
        "model.features=[8,10],[9,10]",
    ]
    seeds = [job.config["seed"] for job in jobs_of(*loader, grid(None, [*overrides, "seed=each"]))]
    assert len(set(seeds)) == 6 and all(0 <= seed < 2**31 for seed in seeds)
    again = jobs_of(*loader, grid(None, [*overrides, "seed=each", "record.dumps=5", "record.version=1"]))
    assert [job.config["seed"] for job in again] == seeds
    assert {job.config["seed"] for job in jobs_of(*loader, grid(None, overrides))} == {0}


def test_the_grid_of_an_experiment_is_the_sweepers(loader):
    del loader
    lists = grid({"a.b": "1, 2", "c": "x,y"}, ["c=z", "d=range(3)"])
    assert len(lists) == 6 and sorted(lists[0]) == ["a.b=1", "c=z", "d=0"]
    assert grid(None, []) == [[]]


def test_an_ensemble_is_no_sweep(tmp_path):
    done = gdlab("-m", "task=ensemble", *SMALL, sweep=tmp_path)
    assert done.returncode == 1 and "leave -m out" in done.stderr and not list(tmp_path.iterdir())
