"""A replay that differs from its record, in words; the same on the command line, in files and on pages."""


def said(attrs):
    """What is to be said of a Table with these attrs, one sentence or two; "" where nothing differed."""
    replay = attrs.get("replay")
    if not isinstance(replay, dict) or not replay.get("different"):
        return ""
    words = (
        f"The replay differs from the record in {replay['different']:,} of {replay['compared']:,} "
        f"iterations, by {replay['largest']:.3g} at most."
    )
    changed = "; ".join(map(str, replay.get("changed") or ()))
    return f"{words} Since the recording: {changed}." if changed else words
