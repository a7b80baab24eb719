"""What cannot be exported is said before a server or a browser is started."""

import pytest

from server import export


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--view", "descnt"], ["descnt", "did you mean 'descent'"]),
        (["--run", "nowhere"], ["--run nowhere", "no such folder"]),
        (["-o", "nodir/x.svg"], ["nodir/x.svg", "a folder that is there"]),
        (["-o", "."], ["name a file"]),
    ],
)
def test_what_cannot_be_saved_is_said_at_once(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "_server", None)
    assert export.main([str(tmp_path), *options]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and all(word in said for word in words), said
    assert not list(tmp_path.iterdir())


def test_a_grid_that_was_never_computed_is_no_figure():
    with pytest.raises(export.ExportError, match=r"no number in its column 'value'.*not computed"):
        export._refuse_empty("surface", b"x,y,value\n0,0,nan\n0,1,nan\n")
    export._refuse_empty("surface", b"x,y,value\n0,0,nan\n0,1,2.5\n")
    export._refuse_empty("empty", b"x,y\n")
