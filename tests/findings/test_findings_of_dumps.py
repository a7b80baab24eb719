"""What is said of recorded dumps: the class that was lost or found, and the filter that turned most."""

import re

import numpy as np
import pytest

from gdlab.analysis import class_curves, dumps, health
from gdlab.findings import findings
from tests.recording import DYING, record


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return record(tmp_path_factory.mktemp("findings") / "dying", *DYING)


def test_a_collapse_is_where_the_record_has_it(run):
    said = [one for one in findings([run], "tracker") if one.text.startswith("Class ")]
    for finding in said:
        at = dumps.open_dumps(run)
        which, dump = finding.link["sel_classes"], finding.link["sel_dumps"]
        rates = class_curves.error_rates(at.right(), at.starts)[which]
        assert finding.number == rates[dump] - rates[dump - 1]
        before, after = (int(word) for word in re.findall(r"(\d+) %", finding.text))
        assert (before, after) == (round(100 * rates[dump - 1]), round(100 * rates[dump]))
        assert f"at iteration {at.iteration[dump]:,}" in finding.text
        turned = at.filter("cosine_distance")[dump]
        layer, place = re.search(r"filter (\d+) of (\S+) turned most", finding.text).group(2, 1)
        node = next(node for node in at.nodes if node.name == layer)
        assert turned[node.first + int(place)] == np.nanmax(turned)
    assert said


def test_the_first_warning_is_the_one_that_is_told(run):
    found = health.check(health.record_of(dumps.open_dumps(run))).columns
    (finding,) = [one for one in findings([run], "insides") if "warning" in one.text]
    assert finding.number == len(found["text"]) > 1
    assert found["kind"][0] in finding.text
    assert f"iteration {found['first_iteration'][0]:,}" in finding.text
