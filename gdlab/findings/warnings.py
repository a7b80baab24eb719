"""The first of the warnings that the health of a training gives rise to."""

from gdlab.analysis import dumps, health
from gdlab.findings import Finding
from gdlab.messages import counted

PAGES = ("insides",)


def find(run) -> list[Finding]:
    """One sentence: the earliest warning, and how many there are."""
    if not dumps.has_dumps(run):
        return []
    found = health.check(health.record_of(dumps.open_dumps(run))).columns
    count = len(found["text"])
    if not count:
        return []
    more = f" ({counted(count, 'warning')} in all)" if count > 1 else ""
    text = f"From iteration {int(found['first_iteration'][0]):,} of {run.name}, {found['kind'][0]}{more}: "
    sentence = str(found["text"][0]).rstrip(".")
    link = {"page": "tracker", "run": run.name, "mode": "health", "sel_dumps": int(found["first"][0])}
    return [Finding(f"{text}{sentence[:1].lower()}{sentence[1:]}.", float(count), link, 0.6)]
