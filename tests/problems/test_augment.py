"""Augmented images are shifts and mirror images of the originals, chosen by the key alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import problems
from gdlab.data import Dataset
from gdlab.execution.replay import Replay
from gdlab.models import mlp
from gdlab.problems.augment import augmentation
from tests.recording import record


def _images(n=40, height=6, width=5):
    return np.random.default_rng(0).standard_normal((n, height, width, 2)).astype(np.float32)


def _candidates(image, flip, shift):
    """{(mirrored, down, right): image}: every result that the options allow, by slicing."""
    height, width, _ = image.shape
    found = {}
    for mirrored in (False, True)[: 1 + flip]:
        source = image[:, ::-1] if mirrored else image
        for down in range(-shift, shift + 1):
            for right in range(-shift, shift + 1):
                moved = np.zeros_like(image)
                rows, columns = range(max(0, down), min(height, height + down)), range(width)
                for i in rows:
                    for j in columns:
                        if 0 <= j - right < width:
                            moved[i, j] = source[i - down, j - right]
                found[mirrored, down, right] = moved
    return found


@pytest.mark.parametrize(("flip", "shift"), [(True, 0), (False, 2), (True, 1)])
def test_every_image_is_one_of_the_allowed_and_all_of_them_occur(flip, shift):
    x = _images()
    augment = augmentation({"flip": flip, "shift": shift}, x.shape[1:])
    seen = []
    for number in range(4):
        changed = np.asarray(augment(jax.random.key(number), jnp.asarray(x)))
        assert changed.shape == x.shape and changed.dtype == x.dtype
        for before, after in zip(x, changed, strict=True):
            matches = [
                how for how, image in _candidates(before, flip, shift).items() if (image == after).all()
            ]
            assert len(matches) == 1
            seen += matches
    allowed = (1 + flip) * (2 * shift + 1) ** 2
    assert len(set(seen)) == allowed
    counts = np.array([seen.count(how) for how in set(seen)])
    assert counts.max() < 3 * len(seen) / allowed


def test_the_key_alone_decides():
    x = jnp.asarray(_images())
    augment = augmentation({"flip": True, "shift": 2}, x.shape[1:])
    first, again, other = (augment(jax.random.key(n), x) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(jax.jit(augment)(jax.random.key(1), x), first)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("options", [None, {}, {"flip": False, "shift": 0}])
def test_nothing_asked_for_is_nothing_done(options):
    assert augmentation(options, (3, 2)) is None


@pytest.mark.parametrize(
    ("options", "shape", "words"),
    [
        ({"flop": True}, (4, 4, 1), ["'flop'", "flip, shift", "Did you mean 'flip'"]),
        ({"flip": 1}, (4, 4, 1), ["flip = 1", "true or false"]),
        ({"shift": -1}, (4, 4, 1), ["shift = -1", ">= 0"]),
        ({"shift": 1.5}, (4, 4, 1), ["shift = 1.5"]),
        ({"shift": 4}, (4, 6, 1), ["shift = 4", "(4, 6, 1)"]),
        ({"flip": True}, (2,), ["images", "(2,)"]),
    ],
)
def test_wrong_options_are_named(options, shape, words):
    with pytest.raises(ValueError) as error:
        augmentation(options, shape)
    assert all(word in str(error.value) for word in words), error.value


def test_training_sees_changed_images_and_evaluation_never():
    x = _images(8)
    data = Dataset("toy", {"x": x, "y": np.arange(8, dtype=np.int32) % 2}, None, ("a", "b"))
    model = mlp((2,))
    plain = problems.classification(model=model, data=data)
    augmented = problems.classification(model=model, data=data, augment={"flip": True, "shift": 2})
    params, key = plain.init(jax.random.key(0)), jax.random.key(3)
    assert augmented.loss(params, data.train) == plain.loss(params, data.train)
    np.testing.assert_array_equal(augmented.predict(params, x), plain.predict(params, x))
    changed = augmentation({"flip": True, "shift": 2}, x.shape[1:])(key, jnp.asarray(x))
    expected = plain.loss(params, {"x": changed, "y": data.train["y"]})
    np.testing.assert_allclose(augmented.loss(params, data.train, key=key), expected, rtol=1e-6)
    assert augmented.loss(params, data.train, key=key) != plain.loss(params, data.train, key=key)


def test_an_augmented_training_replays_bit_for_bit(tmp_path):
    overrides = ("experiment=digits_cg", "optimizer=sgd", "train.steps=12", "train.batches=40")
    options = ("train.descent_length=1", "problem.augment.flip=true", "problem.augment.shift=1")
    run = record(tmp_path / "run", *overrides, *options)
    assert run.state == "finished"
    replay = Replay(tmp_path / "run")
    assert len(list(replay.steps(0, 12))) == 12
    report = replay.report()
    assert report.compared == 12 and report.different == 0
    plain = record(tmp_path / "plain", *overrides, options[0])
    losses = [one.table("steps").columns["loss"] for one in (run, plain)]
    assert not np.array_equal(*losses)
