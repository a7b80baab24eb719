"""Run folders as somebody of ill will would make them: whatever they say, their checksums agree."""

from pathlib import Path

import yaml

from gdlab.store import config as configs
from gdlab.store import folder, manifest


def forge(path, change):
    """Alter the config of the run in `path` by change(config); the folder."""
    path = Path(path)
    file = path / ".hydra" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    change(config)
    file.write_text(yaml.safe_dump(config))
    digest = configs.config_hash(config)
    found, _ = folder.read_manifest(path)
    folder.write_identity(path, {**folder.read_identity(path), "config_hash": digest})
    manifest.write(path / manifest.LOG, found._replace(facts={**found.facts, "config_hash": digest}))
    return path
