"""Next tokens: the error against NumPy, perplexity, the text of the standard library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.data import python_source
from gdlab.data.python_source import CHARACTERS, text_of, tokens_of
from gdlab.models import gpt
from gdlab.monitors.judging import make_judge, measured_names
from gdlab.problems import next_token

CONTEXT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("source")
    for number in range(30):
        (place / f"m{number:02}.py").write_text(f"def f{number}(x):\n\treturn x + {number}  # größer\n" * 9)
    (place / "tests").mkdir()
    (place / "tests" / "left_out.py").write_text("zzz")
    (place / "link.py").symlink_to(place / "tests" / "left_out.py")
    return place


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_error_accuracy_and_perplexity_are_those_of_numpy(folder, precision):
    with jax.enable_x64(precision == "float64"):
        data = python_source(context=CONTEXT, folder=str(folder))
        problem = next_token(model=gpt("100k", context=CONTEXT), data=data)
        params = problem.init(jax.random.key(0))
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(precision)}
        batch = {name: jnp.asarray(array[:70]) for name, array in data.train.items()}  # three blocks
        logits = np.asarray(problem.predict(params, batch["x"]), np.float64)
        y = np.asarray(batch["y"], int)
        share = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        error = -np.log(np.take_along_axis(share, y[..., None], -1)).mean()
        exact = 1e-10 if precision == "float64" else 1e-5
        assert float(problem.loss(params, batch)) == pytest.approx(error, rel=exact)
        judged = make_judge(problem)(params, batch)
        assert judged["loss"] == pytest.approx(error, rel=exact)
        assert judged["perplexity"] == pytest.approx(np.exp(judged["loss"]), rel=1e-12)
        assert judged["accuracy"] == pytest.approx((logits.argmax(-1) == y).mean(), abs=1e-6)
        assert measured_names(problem, data) == ("loss", "accuracy", "perplexity")


def test_too_small_a_vocabulary_is_refused(folder):
    problem = next_token(model=gpt("100k", vocabulary=20), data=python_source(context=8, folder=str(folder)))
    with pytest.raises(ValueError, match=r"model.vocabulary="):
        problem.init(jax.random.key(0))


def test_text_becomes_tokens_and_back():
    text = "def f(x):\n\treturn 'größer' ~ 1\n"
    assert text_of(tokens_of(text)) == text.replace("ö", "\ufffd").replace("ß", "\ufffd")
    assert len(set(CHARACTERS)) == len(CHARACTERS) == 98


def test_pieces_are_the_text_and_the_same_one_further(folder):
    data = python_source(context=CONTEXT, test_fraction=0.1, folder=str(folder))
    np.testing.assert_array_equal(data.train["x"].ravel()[1:], data.train["y"].ravel()[:-1])
    whole = "".join(path.read_text() for path in sorted(folder.glob("m*.py")))
    assert "zzz" not in text_of(data.train["x"].ravel()) and text_of(data.train["x"][0]) == whole[:CONTEXT]
    assert len(data.test["x"]) / (len(data.train["x"]) + len(data.test["x"])) == pytest.approx(0.1, abs=0.01)
    other = python_source(context=CONTEXT, folder=str(folder))
    (folder / "m05.py").write_text("pass\n")
    assert python_source(context=CONTEXT, folder=str(folder)).source != other.source


def test_the_standard_library_is_there():
    data = python_source()
    assert data.train["x"].shape[1] == 128 and data.train["x"].dtype == np.uint8
    assert data.train["x"].size > 1e6 and "Python" in data.notes[0]
    assert "import" in text_of(data.train["x"].ravel()[:100_000])


def test_wrong_options_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds 0 files"):
        python_source(folder=str(tmp_path))
    for wrong in ({"context": 0}, {"test_fraction": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            python_source(**wrong)
    (tmp_path / "a.py").write_text("a")
    (tmp_path / "b.py").write_text("b")
    with pytest.raises(ValueError, match="fewer than context"):
        python_source(folder=str(tmp_path), test_fraction=0.5)
