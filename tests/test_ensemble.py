"""Many runs at once: each an ordinary run folder, as if it had been trained alone."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gdlab import experiment, store
from gdlab.ensemble import train, width
from gdlab.ensemble.grouping import ALONE, compatible, differing
from gdlab.execution import session as sessions
from gdlab.execution.replay import Replay
from gdlab.plan.assembly import assemble
from gdlab.plan.options import plan_of
from tests.composing import composed
from tests.recording import assert_same_record, recorded

ROOT = Path(__file__).resolve().parents[1]
BASE = ("problem=rosenbrock", "optimizer=momentum", "train.steps=40")
GRID = [(rate, momentum) for rate in (1e-4, 5e-4) for momentum in (0.5, 0.9)]


def descent(rate=1e-4, momentum=0.9, *more):
    return composed(*BASE, f"optimizer.learning_rate={rate}", f"optimizer.momentum={momentum}", *more)


def grid():
    return [descent(*values) for values in GRID]


def folders_in(root, count):
    return [root / f"run{number}" for number in range(count)]


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """The folders of four descents trained together."""
    folders = folders_in(tmp_path_factory.mktemp("ensemble"), len(GRID))
    outcomes = train(grid(), folders, progress=False)
    assert [outcome.state for outcome in outcomes] == ["finished"] * len(GRID)
    return folders


def test_members_are_ordinary_runs_that_know_their_group(ensemble, tmp_path):
    for number, folder in enumerate(ensemble):
        run = store.open_run(folder)
        assert run.identity["group"] == {
            "width": len(GRID),
            "index": number,
            "varied": ["optimizer.learning_rate", "optimizer.momentum"],
        }
        assert run.config == grid()[number]
        assert run.rows("scalars") == 40 and run.checkpoints[-1] == 40
    alone = experiment.run(grid()[3], tmp_path / "alone", progress=False)
    assert "group" not in alone.identity
    single, member = recorded(alone.path), recorded(ensemble[3])
    assert single.keys() == member.keys()
    for name in single:
        np.testing.assert_allclose(member[name], single[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_finished_runs_are_not_trained_again(ensemble):
    files = {p: p.stat().st_mtime_ns for folder in ensemble for p in folder.rglob("*") if p.is_file()}
    outcomes = train(grid(), ensemble, progress=False)
    assert [outcome.state for outcome in outcomes] == ["finished"] * len(GRID)
    assert files == {p: p.stat().st_mtime_ns for folder in ensemble for p in folder.rglob("*") if p.is_file()}


def test_a_member_is_replayed_bit_for_bit(ensemble):
    replay = Replay(ensemble[2])
    path = np.array(replay.run.array("path"))
    for step in replay.steps(7, 40):
        np.testing.assert_array_equal(step.params, path[step.iteration])
    assert replay.report()[1:3] == (0, 0.0) and replay.report().compared >= 33


def interrupt_after(monkeypatch, chunks):
    """Ctrl-C in the chunk after so many; each chunk runs at most 3 iterations."""
    left = iter(range(chunks))
    chunk = sessions.Session._chunk

    def interrupting(session, count):
        result = chunk(session, min(count, 3))
        if next(left, None) is None:
            signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(sessions.Session, "_chunk", interrupting)


def test_an_interrupted_group_goes_on_to_the_same_bits(ensemble, tmp_path, monkeypatch, capsys):
    folders = folders_in(tmp_path, len(GRID))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        outcomes = train(grid(), folders)
    assert [outcome.state for outcome in outcomes] == ["interrupted"] * len(GRID)
    assert "4 interrupted" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        train(grid(), folders, progress=False)
    # One member lost its last state: all go back to the last one that they have in common.
    last = store.open_run(folders[1]).checkpoints[-1]
    shutil.rmtree(folders[1] / "checkpoints" / str(last))
    train(grid(), folders[:], progress=False)
    for whole, cut in zip(ensemble, folders, strict=True):
        assert store.open_run(cut).state == "finished" and store.open_run(cut).generation == 2
        assert_same_record(whole, cut)


def test_a_member_continues_alone_with_the_width_of_its_group(ensemble, tmp_path, monkeypatch):
    folders = folders_in(tmp_path, len(GRID))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        train(grid(), folders, progress=False)
    experiment.run(grid()[1], folders[1], progress=False)
    assert_same_record(ensemble[1], folders[1])


def test_who_diverges_ends_and_the_others_go_on(tmp_path):
    configs = [descent(rate) for rate in (1e-4, 10.0, 5e-4)]
    folders = folders_in(tmp_path, 3)
    outcomes = train(configs, folders, progress=False)
    assert [outcome.state for outcome in outcomes] == ["finished", "diverged", "finished"]
    alone = experiment.run(configs[1], tmp_path / "alone", progress=False)
    member = outcomes[1].run
    assert alone.state == "diverged" and member.reason == alone.reason
    assert member.rows("scalars") == alone.rows("scalars") == member.checkpoints[-1] < 40
    assert [run.rows("scalars") for run in (outcomes[0].run, outcomes[2].run)] == [40, 40]


def test_what_fails_is_named_and_can_be_run_again(tmp_path, capsys):
    configs = [*grid(), descent()]
    configs[4]["optimizer"]["momentumm"] = 0.5
    configs[2]["problem"]["start"] = [1e30, 1e30]
    folders = folders_in(tmp_path, 5)
    outcomes = train(configs, folders)
    assert [outcome.state for outcome in outcomes] == ["finished"] * 2 + ["failed", "finished", "failed"]
    said = capsys.readouterr().err
    assert "failed: " in said and "run4" in said and "momentumm" in said
    assert "run2" in said and "not finite" in said
    assert not folders[4].exists() and not folders[2].exists()
    del configs[4]["optimizer"]["momentumm"]
    configs[2] = grid()[2]
    outcomes = train(configs, folders, progress=False)
    assert [outcome.state for outcome in outcomes] == ["finished"] * 5


def test_a_folder_that_cannot_be_written_ends_that_member_alone(tmp_path, monkeypatch):
    folders = folders_in(tmp_path, len(GRID))
    (folders[1]).mkdir()
    (folders[1] / "letter.txt").write_text("somebody else's")
    outcomes = train(grid(), folders, progress=False)
    assert [outcome.state for outcome in outcomes] == ["finished", "failed", "finished", "finished"]
    assert isinstance(outcomes[1].error, store.NotARun)
    assert [path.name for path in folders[1].iterdir()] == ["letter.txt"]


def test_seeds_and_validation_of_members_are_those_of_single_runs(tmp_path):
    overrides = ("experiment=digits_momentum", "train.steps=6", "record.validate=3")
    overrides += ("record.validate_examples=100", "model.features=[8,10]")
    configs = [composed(*overrides, f"seed={seed}", f"optimizer.momentum=0.{8 - seed}") for seed in (0, 1)]
    outcomes = train(configs, folders_in(tmp_path, 2), progress=False)
    assert outcomes[1].run.identity["group"]["varied"] == ["optimizer.momentum", "seed"]
    single = recorded(experiment.run(configs[1], tmp_path / "single", progress=False).path)
    member = recorded(outcomes[1].folder)
    assert single.keys() == member.keys() and member["validation"][:, 0].tolist() == [0, 3, 6]
    for name in single:
        np.testing.assert_allclose(member[name], single[name], rtol=1e-3, atol=1e-5, err_msg=name)
    starts = [recorded(outcome.folder)["validation"][0, 1] for outcome in outcomes]
    assert starts[0] != starts[1]


def test_groups_of_one_are_trained_one_after_the_other_by_one_program(tmp_path):
    outcomes = train(grid()[:2], folders_in(tmp_path, 2), width=1, progress=False)
    for outcome in outcomes:
        assert outcome.state == "finished" and outcome.run.identity["group"]["width"] == 1
        assert outcome.run.identity["group"]["index"] == 0
    single = experiment.run(grid()[1], tmp_path / "single", progress=False)
    np.testing.assert_allclose(outcomes[1].run.array("path"), single.array("path"), rtol=1e-6)
    replay = Replay(outcomes[1].folder)
    assert len(list(replay.steps(0, 40))) == 40 and replay.report()[:3] == (40, 0, 0.0)


def test_groups_of_one_may_differ_in_their_seed(tmp_path):
    """What a seed varies, the order of mini-batches, is each member's own in a program of one place, too."""
    configs = [composed("experiment=digits_sgd", "train.steps=6", f"seed={seed}") for seed in (1, 2)]
    outcomes = train(configs, folders_in(tmp_path, 2), width=1, progress=False)
    assert [outcome.error for outcome in outcomes] == [None, None]
    single = recorded(experiment.run(configs[1], tmp_path / "single", progress=False).path)
    member = recorded(outcomes[1].folder)
    for name in single:
        np.testing.assert_allclose(member[name], single[name], rtol=1e-3, atol=1e-5, err_msg=name)
    assert recorded(outcomes[0].folder)["scalars"][0, 0] != member["scalars"][0, 0]
    replay = Replay(outcomes[1].folder)
    assert len(list(replay.steps(0, 6))) == 6 and replay.report()[:3] == (6, 0, 0.0)


def test_a_group_is_as_wide_as_memory_and_cache_allow(monkeypatch):
    assembly = assemble(plan_of(composed("experiment=digits_momentum", "model.features=[16,10]")))
    largest, total = width.footprint(assembly)
    # 64 images of 64 pixels; the gradient holds it, the weights and the activations.
    assert 4 * 64 * 64 <= largest < total
    monkeypatch.setattr(width, "free_memory", lambda: 1 << 40)
    monkeypatch.setattr(width, "CPU_BYTES", 200 * largest)
    assert width.choose_width(assembly, 121) == 121
    assert width.choose_width(assembly, 300) == 150  # two groups of equal size, not 200 and 100
    assert width.choose_width(assembly, 121, devices=8) == 16
    monkeypatch.setattr(width, "free_memory", lambda: 100 * total)
    assert width.choose_width(assembly, 121) == 41  # three groups within half of what is free
    monkeypatch.setattr(width, "CPU_BYTES", 7 * largest)
    assert width.choose_width(assembly, 121) == 1


def test_line_searches_are_grouped_too_each_member_with_its_own_evaluations(tmp_path):
    configs = [composed("experiment=digits_cg", "train.steps=5", f"seed={seed}") for seed in (0, 1)]
    outcomes = train(configs, folders_in(tmp_path, 2), progress=False)
    assert all("group" in outcome.run.identity for outcome in outcomes)
    single = experiment.run(configs[1], tmp_path / "single", progress=False)
    run = outcomes[1].run
    np.testing.assert_allclose(run.array("scalars")[:2, :3], single.array("scalars")[:2, :3], rtol=1e-4)
    evaluations = run.array("scalars")[:, run.columns("scalars").index("evaluations")]
    assert run.rows("ls_eval") == run.array("ls_end")[-1] > 5
    assert (np.diff(run.array("ls_end"), prepend=0) <= evaluations).all()
    replay = Replay(run.path)
    assert len(list(replay.steps(0, 5))) == 5 and replay.report()[:3] == (5, 0, 0.0)


def test_the_weight_decay_of_the_problem_may_vary():
    configs = [composed("experiment=digits_sgd", f"problem.weight_decay={w}") for w in (0.0, 0.01)]
    found, alone = compatible([plan_of(config) for config in configs], range(2))
    assert [runs.varied for runs in found] == [("problem.weight_decay",)] and not alone


def test_only_numbers_and_seeds_may_differ_within_a_group():
    configs = [
        *(descent(rate) for rate in (1e-4, 2e-4)),
        *(descent(1e-4, 0.9, f"train.steps={steps}") for steps in (20, 30)),
        *(
            composed(BASE[0], "optimizer=adam", f"optimizer.b1=0.{5 + seed}", f"seed={seed}")
            for seed in (0, 1)
        ),
    ]
    found, alone = compatible([plan_of(config) for config in configs], range(len(configs)))
    assert [(runs.jobs, runs.varied) for runs in found] == [
        ((0, 1), ("optimizer.learning_rate",)),
        ((4, 5), ("optimizer.b1", "seed")),
    ]
    assert alone == {2: ALONE, 3: ALONE}
    assert differing([configs[0], configs[1]]) == ("optimizer.learning_rate",)


def test_what_is_looked_at_before_compiling_parts_a_group_and_is_named():
    staged = [
        descent(rate, 0.9, "schedule=piecewise", f"schedule.factor={factor}")
        for rate, factor in ((1e-4, 0.1), (2e-4, 0.1), (3e-4, 0.5))
    ]
    found, alone = compatible([plan_of(config) for config in staged], range(3))
    assert [(runs.jobs, runs.varied) for runs in found] == [((0, 1), ("optimizer.learning_rate",))]
    assert "schedule.factor cannot vary" in alone[2]


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="2 configs, but 1 folders"):
        train([descent(), descent()], [tmp_path / "a"])
    with pytest.raises(ValueError, match="more than once"):
        train([descent(), descent()], [tmp_path / "a", tmp_path / "b" / ".." / "a"][:1] * 2)
    with pytest.raises(ValueError, match="width=0"):
        train([descent()], [tmp_path / "a"], width=0)
    assert train([], []) == []


SHARED = """
import sys
from pathlib import Path
import jax
from gdlab.ensemble import train
from tests.test_ensemble import folders_in, grid
assert len(jax.devices()) == 8
outcomes = train(grid() * 3, folders_in(Path(sys.argv[1]), 12), width=2, progress=False)
assert [outcome.state for outcome in outcomes] == ["finished"] * 12
"""


def test_a_group_shared_by_eight_devices_gives_the_bits_of_one(tmp_path):
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run(
        [sys.executable, "-c", SHARED, str(tmp_path / "eight")],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    train(grid(), folders_in(tmp_path / "one", 4), width=2, progress=False)
    for number in range(12):
        run = store.open_run(tmp_path / "eight" / f"run{number}")
        assert run.identity["group"]["width"] == 2 and run.identity["group"]["index"] == number % 2
        assert_same_record(tmp_path / "eight" / f"run{number}", tmp_path / "one" / f"run{number % 4}")
