"""Paths in a recorded config are names while one looks: where data and earlier runs come from instead."""

import os
import queue
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gdlab import experiment, store
from gdlab.commands import probe_task
from gdlab.data import files
from gdlab.execution.replay import Replay
from gdlab.plan.builder import ConfigError
from gdlab.plan.sources import Places, around, as_recorded, located
from server.core import arguments
from server.core.worker import Worker
from tests.composing import composed
from tests.forging import forge

PROBE = ("segments", {"start": 0, "stop": 2})
SMALL = ("train.steps=3", "train.batch_size=20", "optimizer=sgd", "record.validate=false")
REFUSED = "--data-dir FOLDER"


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Neither GDLAB_DATA nor files downloaded before."""
    monkeypatch.delenv("GDLAB_DATA", raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda name: tmp_path / "cache" / name)


@pytest.fixture
def on_mnist(data, tmp_path):
    """A run on a little MNIST, its data in tmp_path/mnist."""
    options = ("dataset=mnist", "problem=classification", "model=mlp", *SMALL, f"data_dir={data[0]}")
    return experiment.run(composed(*options), tmp_path / "runs" / "on_mnist", progress=False)


@pytest.fixture
def on_images(data, tmp_path):
    """A run on image files, its data in tmp_path/images."""
    options = ("dataset=images", "problem=classification", "model=mlp", *SMALL, "dataset.path=images")
    config = composed(*options, f"data_dir={data[1].parent}")
    return experiment.run(config, tmp_path / "runs" / "on_images", progress=False)


def changed(run, change):
    """Alters the config that a run has recorded."""
    forge(run.path, change)


def probed(run, *data):
    """Whether the run may be looked at with its data, read from `data`."""
    places = Places(tuple(map(str, data)), (Path(run.path).parent,))
    return Replay(run.path, places).assembly.dataset is not None


@pytest.mark.parametrize("kind", ["on_mnist", "on_images"])
def test_data_are_read_from_what_is_allowed_alone(kind, request, tmp_path, monkeypatch):
    run = request.getfixturevalue(kind)
    folder = tmp_path / kind.removeprefix("on_")
    (tmp_path / "other").mkdir()
    for data in ((), (tmp_path / "other",)):
        with pytest.raises(ConfigError, match=REFUSED):
            probed(run, *data)
    with pytest.raises(ConfigError, match=REFUSED):
        Replay(run.path)
    assert probed(run, tmp_path / "other", folder)
    assert probed(run, tmp_path)
    assert Replay(run.path, as_recorded(run.config)).assembly.dataset is not None
    monkeypatch.setenv("GDLAB_DATA", str(folder))
    assert probed(run)


@pytest.mark.parametrize("kind", ["on_mnist", "on_images"])
def test_data_that_were_moved_are_found_by_their_name(kind, request, tmp_path):
    run = request.getfixturevalue(kind)
    (tmp_path / "moved" / "all").mkdir(parents=True)
    name = kind.removeprefix("on_")
    shutil.move(tmp_path / name, tmp_path / "moved" / "all" / name)
    assert probed(run, tmp_path / "moved" / "all")
    assert probed(run, tmp_path / "moved" / "all" / name)
    with pytest.raises(ConfigError, match=REFUSED):
        probed(run, tmp_path / "moved")


def test_images_of_another_name_are_no_substitute(on_images, tmp_path):
    shutil.copytree(tmp_path / "images", tmp_path / "cats")
    with pytest.raises(ConfigError, match=REFUSED):
        probed(on_images, tmp_path / "cats")


@pytest.mark.parametrize(
    "path", ["../images", "x/../../images", "/images", "images/../../images", "a\0b", "a/" * 9999]
)
def test_no_path_leads_out_of_what_is_allowed(path, on_images, tmp_path):
    (tmp_path / "allowed").mkdir()
    absolute = path if path != "/images" else str(tmp_path / "images")
    changed(on_images, lambda c: c["dataset"].update(path=absolute))
    with pytest.raises(ConfigError, match=REFUSED):
        probed(on_images, tmp_path / "allowed")


def test_a_link_does_not_lead_out_either(on_images, tmp_path):
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "images").symlink_to(tmp_path / "images")
    with pytest.raises(ConfigError, match=REFUSED):
        probed(on_images, tmp_path / "allowed")
    (tmp_path / "named").symlink_to(tmp_path / "images")  # but what the owner names may be one
    changed(on_images, lambda c: c["dataset"].update(path=None, data_dir=str(tmp_path / "named")))
    assert probed(on_images, tmp_path / "named")


@pytest.mark.parametrize("section", ["data_dir", "dataset"])
@pytest.mark.parametrize("value", [["/etc"], {"x": 1}, 7, True])
def test_a_path_that_is_no_text_is_named(section, value, on_mnist):
    changed(
        on_mnist,
        lambda c: c.update(data_dir=value) if section == "data_dir" else c["dataset"].update(data_dir=value),
    )
    with pytest.raises(ConfigError, match="allowed: a path, or null"):
        Replay(on_mnist.path)


def test_looking_downloads_nothing(on_mnist, monkeypatch):
    import pooch

    def reached(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(pooch, "retrieve", reached)
    monkeypatch.setattr(socket.socket, "connect", reached)
    changed(on_mnist, lambda c: c.update(data_dir=None))
    with pytest.raises(ConfigError, match="looking downloads nothing"):
        probed(on_mnist)


def test_what_was_downloaded_is_read_from_the_cache(tmp_path, monkeypatch):
    (tmp_path / "cache" / "mnist").mkdir(parents=True)
    file = tmp_path / "cache" / "mnist" / "a.gz"
    file.write_bytes(b"published")
    with files.without_downloads():
        assert (
            files.download("mnist", "a.gz", ["http://0.0.0.0/a"], "8f888fedf6bd5ff7c93c6d76bb8dc21c") == file
        )
        with pytest.raises(files.DataFileError, match="MD5"):
            files.download("mnist", "a.gz", ["http://0.0.0.0/a"], "0" * 32)


def test_the_command_names_the_data_and_the_training_has_them(on_mnist, tmp_path):
    asked = composed("task=probe", f"run={on_mnist.path}", "probe=smoothness", "probe.stop=2")
    with pytest.raises(ConfigError, match="task=probe data_dir=FOLDER"):
        probe_task.probe_task(asked, progress=False)
    asked["data_dir"] = str(tmp_path / "mnist")
    assert probe_task.probe_task(asked, progress=False).columns["smoothness"].shape
    nodes = {"end": asked["probe"]}
    assert isinstance(probe_task.run_probes(nodes, on_mnist.path, progress=False)["end"], ConfigError)
    tables = probe_task.run_probes(nodes, on_mnist.path, config=on_mnist.config, progress=False)
    assert tables["end"].columns["smoothness"].shape


def test_earlier_runs_are_followed_below_the_folder_of_runs_alone(tmp_path):
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    for folder in (runs / "group" / "earlier", elsewhere / "secret"):
        experiment.run(composed("problem=beale", "optimizer=sgd", "train.steps=4"), folder, progress=False)
    path = str(runs / "group" / "earlier")
    config = composed(
        "problem=beale", "optimizer=sgd", "train.steps=4", "schedule=from_run", f"schedule.path='{path}'"
    )
    run = experiment.run(config, runs / "later", progress=False)
    found = Replay(run.path)
    assert [step.iteration for step in found.steps(0, 4)] == [0, 1, 2, 3] and not found.report().different
    shutil.move(runs, tmp_path / "moved")
    assert Replay(tmp_path / "moved" / "later").config["schedule"]["path"] == str(
        tmp_path / "moved" / "group" / "earlier"
    )
    moved = store.open_run(tmp_path / "moved" / "later")
    (tmp_path / "moved" / "link").symlink_to(elsewhere / "secret")
    for wrong in (
        str(elsewhere / "secret"),
        "../elsewhere/secret",
        "group/../../elsewhere/secret",
        "link",
        5,
    ):
        changed(moved, lambda c, wrong=wrong: c["schedule"].update(path=wrong))
        with pytest.raises(ConfigError, match=r"schedule\.path"):
            Replay(moved.path)


def test_shares_of_classes_follow_the_same_rule(tmp_path):
    node = {"_target_": "gdlab.analysis.class_shares.from_run", "path": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"class_shares\.path"):
        located({"class_shares": node}, Places((), (str(tmp_path / "runs"),)))


def test_a_run_below_runs_looks_there_for_earlier_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert around("runs/sweep/a=1").runs == (tmp_path / "runs",)
    assert around("/elsewhere/run").runs == (Path("/elsewhere"),)


def test_the_server_is_told_its_data_folders(tmp_path):
    told = arguments.parse([str(tmp_path), "--data-dir", "a", f"--data-dir={tmp_path}/b"])
    assert told.places == Places((str(Path("a").absolute()), f"{tmp_path}/b"), (str(tmp_path),))
    assert arguments.parse(told.arguments()) == told
    assert arguments.parse([]).root == Path("runs")
    with pytest.raises(ValueError, match="--data-dir FOLDER"):
        arguments.parse([str(tmp_path), "--nonsense"])


def test_the_server_refuses_a_data_folder_that_is_not_there(tmp_path):
    command = [sys.executable, "-m", "server", str(tmp_path), "--port=0", "--no-browser", "--data-dir=gone"]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--data-dir" in done.stderr and "Traceback" not in done.stderr


def test_the_worker_hands_the_places_on(on_images, tmp_path):
    ends = queue.Queue()
    on = {"on_progress": lambda *a: None, "on_done": ends.put, "on_error": ends.put}
    for data, kind in (((), str), ((str(tmp_path / "images"),), tuple)):
        worker = Worker(given={"places": Places(data, (str(tmp_path / "runs"),))})
        try:
            worker.submit(on_images.path, *PROBE, **on)
            answer = ends.get(timeout=120)
        finally:
            worker.stop()
        assert isinstance(answer, kind), answer
        assert kind is tuple or REFUSED in answer
