"""A small real run with dumps, recorded once for all tests of the tracker's views."""

from pathlib import Path

import pytest

from tests.recording import record

STEPS, EVERY = 60, 3


@pytest.fixture(scope="session")
def dumped(tmp_path_factory) -> Path:
    """A folder with "digits": 21 dumps of 360 images in 10 classes; "plain" has none."""
    root = tmp_path_factory.mktemp("dumped")
    record(root / "digits", "experiment=digits_adam", f"train.steps={STEPS}", dumps=EVERY)
    record(root / "plain", "experiment=digits_adam", "train.steps=6")
    return root
