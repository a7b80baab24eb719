"""Configurations of before mean what they meant and keep their digest; runs of before go on as they began."""

import pytest

from gdlab import store
from gdlab.app_path import conf_dir
from gdlab.store import config as configs
from gdlab.store import migrations
from gdlab.store.migrations import Later
from tests.store import runs

TARGET = "gdlab.linesearch.two_phase"
SEARCH = Later("linesearch.rule", before=1, today=2, target=TARGET)
EXTRA = Later("train.extra", before=None, today=None)


@pytest.fixture(autouse=True)
def options(monkeypatch):
    first = [later for later in migrations.LATER if later.since == 1]
    monkeypatch.setattr(migrations, "LATER", (*first, SEARCH, EXTRA))


def old():
    return {"linesearch": {"_target_": TARGET, "sigma": 0.1}, "train": {"steps": 5}, "seed": 0}


def new(rule=2, extra=None):
    search = {**old()["linesearch"], "rule": rule}
    return {**old(), "version": 2, "linesearch": search, "train": {"steps": 5, "extra": extra, "devices": 1}}


def test_a_config_of_before_gets_the_values_of_before():
    given = old()
    found = migrations.migrated(given)
    assert found["linesearch"]["rule"] == 1
    assert found["train"] == {"steps": 5, "extra": None, "devices": 1}
    assert given == old(), "the caller's own was altered"
    assert migrations.migrated(found) == found
    flat = migrations.migrated_flat(configs.flatten(old()))
    assert flat == configs.flatten(found)


def test_only_sections_that_are_there_and_of_that_target_get_options():
    found = migrations.migrated({"linesearch": {"_target_": "my.search"}, "train": 5, "record": None})
    assert found == {"linesearch": {"_target_": "my.search"}, "train": 5, "record": None}


def test_the_digest_does_not_change_by_an_option_that_came_later():
    before = configs.config_hash(old())
    assert configs.config_hash(migrations.migrated(old())) != before  # train.devices: of version 1, it counts
    assert configs.config_hash({**old(), "train": {"steps": 5, "extra": None}}) == before
    assert configs.config_hash({**old(), "version": 2}) == before
    ruled = {**old(), "linesearch": {**old()["linesearch"], "rule": 1}}
    assert configs.config_hash(ruled) == before
    assert configs.config_hash(new(rule=2)) != configs.config_hash(new(rule=1))


def test_a_run_of_before_goes_on_as_it_began():
    assert migrations.as_recorded(old(), new())["linesearch"]["rule"] == 1
    assert configs.differences(old(), migrations.as_recorded(old(), new())) == []
    # What was asked for, and not merely composed, is another training.
    asked = migrations.as_recorded(old(), new(extra=3))
    assert configs.differences(old(), asked) == [("train.extra", None, 3)]
    # A run of today keeps what it was given.
    assert migrations.as_recorded(new(rule=2), new(rule=2))["linesearch"]["rule"] == 2


def test_a_folder_of_before_is_read_in_words_of_today(tmp_path):
    runs.record(tmp_path / "run", 3, config=old())
    assert store.open_run(tmp_path / "run").config["linesearch"]["rule"] == 1
    assert configs.load_as_written(tmp_path / "run") == old()


@pytest.mark.parametrize("version", [0, -1, True, "2", 1.0, None])
def test_a_version_that_is_none_is_damage(tmp_path, version):
    runs.record(tmp_path / "run", 3, config={**runs.CONFIG, "version": 2})
    path = tmp_path / "run" / configs.CONFIG_FILE
    text = configs.dump({**runs.CONFIG, "version": version})
    path.write_text(text)
    with pytest.raises(store.StoreError):
        configs.load(tmp_path / "run")


def test_a_version_to_come_asks_for_a_newer_gdlab(tmp_path):
    runs.record(tmp_path / "run", 3, config={**runs.CONFIG, "version": migrations.VERSION + 1})
    with pytest.raises(store.NewerSchema, match="update gdlab"):
        configs.load(tmp_path / "run")


def test_conf_carries_the_version_of_today():
    import yaml

    config = yaml.safe_load((conf_dir() / "config.yaml").read_text())
    assert config["version"] == migrations.VERSION
