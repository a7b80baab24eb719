"""What the log and the reader are told of an error."""

import logging

from gdlab import store
from server.core.faults import logged

log = logging.getLogger("test")


def raised(error):
    try:
        raise error
    except Exception as found:
        return found


def test_damage_is_one_line_of_the_log_and_the_readers_words(caplog):
    error = raised(store.DamagedRun("its checksum is another", "runs/a/loss"))
    assert logged(log, "a view", error) == str(error)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Traceback" not in caplog.text and str(error) in caplog.text


def test_a_fault_of_ours_is_logged_whole_and_named_to_the_reader(caplog):
    assert logged(log, "a view", raised(KeyError("k"))) == "KeyError: 'k'"
    assert "Traceback" in caplog.text and caplog.records[0].levelname == "ERROR"
