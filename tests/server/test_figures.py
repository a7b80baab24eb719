"""Ticks of logarithmic axes."""

import numpy as np
import pytest

from server.ui import figures


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.04, 1.5, [0.05, 0.1, 0.2, 0.5, 1.0]),
        (3.4, 9.4, [4, 5, 6, 7, 8, 9]),
        (1e-6, 2.0, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        (1e-300, 1e300, None),
        (1e-307, 1.7e308, None),
        (1e300, 1.7e308, None),
    ],
)
def test_a_logarithmic_axis_has_a_few_ticks_within_its_limits(low, high, wanted):
    ticks = figures.log_ticks(low, high)
    assert 2 <= len(ticks) <= 12
    assert all(low <= tick <= high for tick in ticks) and ticks == sorted(ticks)
    if wanted:
        np.testing.assert_allclose(ticks, wanted)


def test_zooming_out_of_everything_ends_at_numbers():
    low, high = figures.zoomed(1e-300, 1e300, 4.0, log=True)
    assert 0 < low < 1e-300 and 1e300 < high < np.inf
