"""A replay that differs from its record, and results of others, in words; the same on the command line, in
files and on pages."""


def said(attrs):
    """What is to be said of a Table with these attrs, one sentence or two; "" where nothing differed."""
    replay = attrs.get("replay")
    if not isinstance(replay, dict):
        return ""
    if not replay.get("different"):
        altered = "; ".join(map(str, replay.get("altered") or ()))
        return f"This is not of the recorded training: since then {altered}." if altered else ""
    words = (
        f"The replay differs from the record in {replay['different']:,} of {replay['compared']:,} "
        f"iterations, by {replay['largest']:.3g} at most."
    )
    changed = "; ".join(map(str, replay.get("changed") or ()))
    return f"{words} Since the recording: {changed}." if changed else words


def proof(attrs):
    """How many iterations of the run were held against its record so far, where none differed; "" for a Table
    without a replay."""
    replay = attrs.get("replay")
    if not isinstance(replay, dict) or replay.get("different"):
        return ""
    count = replay.get("compared") or 0
    if not count:
        return ""
    return f"Of the run's iterations {count:,} were compared with the record so far: none differs."


def unheld(attrs):
    """What is to be said of a Table with these attrs that was replayed with nothing to hold it against; ""
    for none."""
    replay = attrs.get("replay")
    if not isinstance(replay, dict) or replay.get("compared") or not replay.get("replayed"):
        return ""
    return (
        "Nothing of the replay could be compared with the record: no iteration that was run again has an "
        "Observation of its step, or kept parameters."
    )


def origin(attrs):
    """What is to be said of a Table with these attrs whose values came with the run's folder; "" for none."""
    foreign = attrs.get("foreign")
    if type(foreign) is not int or foreign < 1:
        return ""
    return (
        f"{foreign:,} of the values came with the run's folder and were not computed by this user: a "
        "checksum finds accidents, not authors. Remove its derived/ to have them computed here."
    )


def remarks(attrs):
    """`said`, `unheld` and `origin`, joined."""
    return " ".join(filter(None, (said(attrs), unheld(attrs), origin(attrs))))
