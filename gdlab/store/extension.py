"""A run that goes on beyond what its configuration said: which options changed, and from which iteration on.

The configuration on disk stays that of the beginning. run.json lists what changed later, oldest first; how
much of that holds is told by the `config_hash` of the commit record, so that one rename makes a change real
and a writer that is killed before it has changed nothing.
"""

import os

from gdlab.store import config as configs
from gdlab.store import effects, folder, lease, manifest, schema
from gdlab.store.errors import ConfigMismatch, UnknownName, nearest


def extend(path, options, reason):
    """Let a finished run go on with other options: from its last iteration on, and until the next change.

    An extension that was interrupted may be changed so, too.

    Args:
      path: the run folder.
      options: {"train.steps": 2000}, by flat key, of options that the run has.
      reason: why the run is "interrupted" then, in words; whoever resumes it with the new configuration
        trains on.

    Raises:
      UnknownName: an option that the run does not have. ConfigMismatch: it is not finished.
      RunLocked, and what `open_run` raises.
    """
    path = os.fspath(path)
    held = lease.Lease(path)
    try:
        found, _ = folder.read_manifest(path)
        stages = folder.load_stages(path, found)
        state = found.facts["state"]
        if state != "finished" and not (state == "interrupted" and len(stages) > 1):
            raise ConfigMismatch(f"{path} is {state}: only a finished run can be extended")
        if len(stages) > schema.MAX_CHANGES:
            raise ConfigMismatch(f"{path} was extended {schema.MAX_CHANGES} times, which is the most")
        config = _changed(stages[-1][1], options)
        document = folder.read_identity(path)
        change = {"iteration": found.rows["scalars"], "options": configs.plain(options, "options")}
        # What an extension that was killed before its commit left behind is overwritten.
        document["changes"] = [*document.get("changes", [])[: len(stages) - 1], change]
        facts = {
            **found.facts,
            "state": "interrupted",
            "reason": reason,
            "config_hash": configs.config_hash(config),
            "hyperparameters": effects.with_effect(configs.flatten(config)),
        }
        if found.id is None:
            found = found._replace(id=folder.id_of(path, found), session=manifest.new_id())
        folder.write_identity(path, document)
        manifest.write(os.path.join(path, manifest.LOG), found._replace(facts=facts))
    finally:
        held.release()


def cut(document, iterations):
    """A run.json whose changes begin at `iterations` at the latest: what was recorded after is cut."""
    if not document.get("changes"):
        return document
    changes = [{**one, "iteration": min(one["iteration"], iterations)} for one in document["changes"]]
    return {**document, "changes": changes}


def _changed(config, options):
    known = configs.flatten(config)
    for key in options:
        if key not in known:
            raise UnknownName(f"the run has no option '{key}'." + nearest(key, known))
    return configs.with_options(config, options)
