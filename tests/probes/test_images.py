"""The probe of images: the pictures of the test part, and what it refuses."""

import numpy as np
import pytest

from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from tests import recording


def test_images_are_those_of_the_test_part(tmp_path):
    run = recording.digits(tmp_path / "run", steps=4)
    table = run_probe(run.path, "images", {"images": [5, 0, 5]})
    test = Replay(run.path).assembly.dataset.test
    np.testing.assert_array_equal(table.columns["image"], np.asarray(test["x"])[[5, 0, 5]])
    np.testing.assert_array_equal(table.columns["label"], np.asarray(test["y"])[[5, 0, 5]])
    assert table.columns["position"].tolist() == [5, 0, 5] and table.attrs["picture"]
    assert table.dims["image"] == ("example", "row", "column", "channel")
    assert len(table.attrs["classes"]) == 10
    count = len(test["y"])
    for wrong in ([count], [-1], [True], [1.0]):
        with pytest.raises(ValueError, match=f"allowed: 0 to {count - 1}"):
            run_probe(run.path, "images", {"images": wrong})
    for wrong in ([], list(range(257))):
        with pytest.raises(ValueError, match="positions; allowed: 1 to 256"):
            run_probe(run.path, "images", {"images": wrong})


def test_a_function_has_no_images(tmp_path):
    run = recording.rosenbrock(tmp_path / "run")
    with pytest.raises(ValueError, match="no labelled data"):
        run_probe(run.path, "images", {"images": [0]})
