"""What a Recorder says to whoever trains."""

MOST_REASON = 2000  # characters


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
