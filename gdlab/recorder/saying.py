"""What a Recorder says to whoever trains."""

MOST_REASON = 2000  # characters


ENDS = ("finished", "interrupted", "diverged", "failed")


class RecordingWarning(UserWarning):
    """Something was not recorded as it was given; the training is not touched by it."""


def said(error: BaseException) -> str:
    """An exception as the reason of a run's end."""
    return f"{type(error).__name__}: {words(error)}"[:MOST_REASON]


def words(error: BaseException) -> str:
    """What an exception says, or its class where it cannot say what it is."""
    try:
        return str(error)
    except Exception:
        return type(error).__name__


def ending(state: str | None, reason: object, stopping: bool) -> tuple[str, str | None]:
    """(state, reason) that a run ends with; ValueError for a state that there is not. None: finished, or
    where the loop was told to stop, interrupted."""
    if state is None:
        state, reason = ("interrupted", "stopped, as a reader asked") if stopping else ("finished", reason)
    if state not in ENDS:
        raise ValueError(f"state={state!r}: finished, interrupted, diverged or failed is expected")
    return state, None if reason is None else str(reason)[:MOST_REASON]
