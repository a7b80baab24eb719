"""Names are checked against the folder, readers and listings are shared, damage stays with its run."""

import difflib
import shutil

import make_runs
import pytest

from gdlab import store
from server.core.runs_cache import HINTS_A_SECOND, RunsCache, shared


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(tmp_path, clock):
    make_runs.make(tmp_path / "runs" / "sweep" / "a")
    make_runs.make(tmp_path / "outside")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "outside")
    return RunsCache(tmp_path / "runs", clock=clock)


@pytest.mark.parametrize(
    "name", ["", "..", "../outside", "sweep/../../outside", "/etc", "link", "a\x00b", ".", "sweep/a/../../.."]
)
def test_a_name_that_leads_outside_is_refused(cache, name):
    with pytest.raises(store.NotARun, match="does not lie under"):
        cache.run(name)


def test_a_name_that_is_no_run_says_the_nearest(cache):
    with pytest.raises(store.NotARun, match="nearest name is 'sweep/a'"):
        cache.run("sweep/b")


def test_one_reader_for_all(cache):
    assert cache.run("sweep/a") is cache.run("sweep/a")
    assert cache.run("sweep/a").name == "sweep/a"


def test_a_folder_that_is_itself_a_run(tmp_path):
    make_runs.make(tmp_path / "single")
    cache = RunsCache(tmp_path / "single")
    (name, _) = cache.listing().runs[0]
    assert cache.run(name).rows("scalars") == 40


def test_a_damaged_run_is_listed_with_its_error_and_opens_with_it(cache):
    make_runs.damage(cache.root / "broken")
    listed = dict(cache.listing().runs)
    assert isinstance(listed["broken"], store.DamagedRun)
    assert listed["sweep/a"]["iterations"] == 40
    with pytest.raises(store.DamagedRun):
        cache.run("broken")


def test_the_listing_is_made_again_only_when_it_is_old_and_says_whether_it_changed(tmp_path, clock):
    found = [("a", {"loss": float("nan")})]
    cache = RunsCache(tmp_path, list_runs=lambda root: list(found), clock=clock)
    first = cache.listing()
    assert cache.relist() is None
    clock.now += 60
    cache.relist().join(10)
    assert cache.listing().taken == 60
    assert cache.listing().revision == first.revision  # nothing changed, though NaN differs from itself
    found.clear()
    clock.now += 60
    cache.relist().join(10)
    assert cache.listing().runs == ()
    assert cache.listing().revision == first.revision + 1


def test_a_folder_that_is_gone_is_an_error_in_the_list(tmp_path):
    runs = RunsCache(tmp_path / "gone").listing().runs
    assert isinstance(runs[0][1], store.NotARun)


def test_a_commit_raises_the_revision_for_every_session(cache, clock):
    with make_runs.begin(cache.root / "live") as writer:
        make_runs.append(writer, 0, 5)
        assert cache.run("live").rows("scalars") == 5
        before = cache.refresh("live")
        make_runs.append(writer, 5, 5)
        clock.now += 60
        assert cache.refresh("live") == before + 1
        assert cache.refresh("live") == before + 1
        assert cache.run("live").rows("scalars") == 10
        writer.set_status("finished")


def test_a_run_that_is_deleted_is_dropped(cache, clock):
    cache.run("sweep/a")
    before = cache.refresh("sweep/a")
    shutil.rmtree(cache.root / "sweep")
    clock.now += 60
    assert cache.refresh("sweep/a") == before + 1
    with pytest.raises(store.StoreError):
        cache.run("sweep/a")


class Reader:
    """Of a run whose id is known, and nothing else."""

    key = store.Key("0", "0", 0)


def test_no_more_readers_than_allowed(tmp_path):
    names = []
    for i in range(70):
        (tmp_path / f"r{i}").mkdir()
        names.append(f"r{i}")
    cache = RunsCache(tmp_path, list_runs=lambda root: [], open_run=lambda path, name: Reader())
    readers = [cache.run(name) for name in names]
    assert cache.run("r69") is readers[69]
    assert cache.run("r0") is not readers[0]


def test_hyper_parameters_of_a_run(cache):
    assert cache.configuration("sweep/a")["optimizer.linesearch.sigma"] == 0.05
    assert cache.configuration("nothing") == {}


def test_one_cache_per_folder(tmp_path):
    assert shared(tmp_path) is shared(tmp_path / "x" / "..")


def test_another_run_under_a_name_has_another_reader(cache, clock):
    old = cache.run("sweep/a")
    (before,) = cache.identities(["sweep/a"])
    shutil.rmtree(old.path)
    make_runs.make(cache.root / "sweep" / "a", sigma=0.3, seed=7)
    clock.now += 2
    (standing,) = cache.standing(["sweep/a"])
    assert standing == (1, "finished")
    assert cache.run("sweep/a") is not old
    assert cache.run("sweep/a").config["optimizer"]["linesearch"]["sigma"] == 0.3
    (after,) = cache.identities(["sweep/a"])
    assert None not in (before, after) and before != after


def test_a_run_that_goes_on_keeps_its_reader(cache, clock):
    with make_runs.begin(cache.root / "live") as writer:
        make_runs.append(writer, 0, 5)
        reader, (before,) = cache.run("live"), cache.identities(["live"])
        make_runs.append(writer, 5, 5)
        clock.now += 2
        assert cache.refresh("live") == 1
    assert cache.run("live") is reader and cache.identities(["live"]) == (before,)
    assert cache.identities(["none"]) == (None,)


def test_many_names_that_are_no_runs_cost_little(cache, clock, monkeypatch):
    asked = []
    monkeypatch.setattr(difflib, "get_close_matches", lambda name, *rest, **more: asked.append(name) or [])
    names = [f"sweep/{i}" for i in range(500)]
    for _ in range(3):
        assert len(cache.readable(names)[1]) == 500
        clock.now += 0.1
    assert asked == names[:HINTS_A_SECOND]
    clock.now += 1.0
    cache.readable(names)
    assert asked == names[: 2 * HINTS_A_SECOND]
    assert not cache._refreshed and not cache._revisions


def test_a_revision_is_kept_of_runs_alone(cache):
    assert cache.standing(["sweep/a", "nothing"])[1][0] == 0
    assert list(cache._refreshed) == []
    cache.run("sweep/a")
    cache.standing(["sweep/a", "nothing"])
    assert list(cache._refreshed) == ["sweep/a"]
