"""One's own images: every layout that is allowed, and every way a folder or a zip can be wrong."""

import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from gdlab.data import DataFileError, decoding, images, listing

CLASSES = ("cat", "dog", "emu")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """The user's cache, empty."""
    monkeypatch.delenv("GDLAB_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "gdlab" / "images"


def _png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _pixels(seed, shape=(6, 8, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _files(per_class=5, split=""):
    """{name: pixels} of per_class images for each class."""
    return {
        f"{split}{name}/{number}.png": _pixels((len(split), label, number))
        for label, name in enumerate(CLASSES)
        for number in range(per_class)
    }


def _folder(path, contents):
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content if isinstance(content, bytes) else _png(content))
    return path


def _zip(path, contents, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in contents.items():
            archive.writestr(name, content if isinstance(content, bytes) else _png(content))
    return path


def _by_class(data, part):
    """{class: set of images as bytes}, back in the values of the files; `data` scaled by its training set."""
    return {
        name: {image.tobytes() for image in part["x"][part["y"] == label]}
        for label, name in enumerate(data.classes)
    }


def _expected(train, files):
    """The same from {name: pixels}, scaled by the mean and deviation of the files `train`."""
    stack = np.stack(list(train.values())).astype(np.float64)
    mean, deviation = (np.float32(value) for value in (stack.mean((0, 1, 2)), stack.std((0, 1, 2))))
    return {
        label: {
            ((pixels.astype(np.float32) - mean) / deviation).tobytes()
            for name, pixels in files.items()
            if label in name.split("/")
        }
        for label in CLASSES
    }


@pytest.mark.parametrize("form", ["folder", "zip", "folder with a zip", "zip with one folder around all"])
@pytest.mark.parametrize("test_name", ["test", "val"])
def test_train_and_test_folders(tmp_path, form, test_name):
    train, test = _files(split="train/"), _files(2, split=f"{test_name}/")
    contents = {
        **train,
        **test,
        "README.txt": b"no image",
        "train/cat/.hidden.png": b"",
        "__MACOSX/a.png": b"",
    }
    place = tmp_path / "data"
    if form == "folder":
        _folder(place, contents)
    else:
        place.mkdir()
        around = "birds/" if "around" in form else ""
        packed = _zip(place / "packed.zip", {around + name: content for name, content in contents.items()})
        place = place if form == "folder with a zip" else packed
    data = images(data_dir=place)
    x = data.train["x"]
    assert x.shape == (15, 6, 8, 3) and x.dtype == np.float32 and data.train["y"].dtype == np.int32
    assert data.classes == CLASSES and len(data.test["y"]) == 6
    assert _by_class(data, data.train) == _expected(train, train)
    assert _by_class(data, data.test) == _expected(train, test)


def test_a_split_by_fraction_and_seed(tmp_path):
    files = _files(10)
    place = _folder(tmp_path / "data", files)
    data = images(data_dir=tmp_path, path="data", test_fraction=0.3, seed=4)
    assert np.bincount(data.train["y"]).tolist() == [7, 7, 7] and np.bincount(data.test["y"]).tolist() == [
        3,
        3,
        3,
    ]
    again, other = (images(data_dir=place, test_fraction=0.3, seed=seed) for seed in (4, 5))
    np.testing.assert_array_equal(data.train["x"], again.train["x"])
    assert not np.array_equal(data.train["y"], other.train["y"])
    assert len({image.tobytes() for part in (data.train, data.test) for image in part["x"]}) == 30
    assert images(data_dir=place, test_fraction=0).test is None


def test_the_order_is_mixed_so_that_the_first_are_a_fair_sample(tmp_path):
    place = _folder(tmp_path / "data", _files(10))
    whole = images(data_dir=place, test_fraction=0)
    assert not (np.diff(whole.train["y"]) >= 0).all()
    part = images(data_dir=place, test_fraction=0, n_train=7)
    np.testing.assert_array_equal(part.train["y"], whole.train["y"][:7])
    assert images(data_dir=place, n_train=7, n_test=2).test["x"].shape == (2, 6, 8, 3)


def test_sizes_and_channels(tmp_path):
    wide = np.zeros((10, 20, 3), np.uint8)
    wide[:, 5:15] = (250, 100, 20)  # the centred square is one colour, the sides are black
    wide[0, 5] = 0
    place = _folder(
        tmp_path / "data", {"a/1.png": wide, "b/1.png": _pixels(1, (5, 5, 3)), "b/2.png": _pixels(2)}
    )
    data = images(data_dir=place, size=5, test_fraction=0)
    assert data.train["x"].shape == (3, 5, 5, 3)
    square = data.train["x"][data.train["y"] == 0][0]
    np.testing.assert_array_equal(square[2:, 1:4], np.broadcast_to(square[2, 2], (3, 3, 3)))
    grey = images(data_dir=place, size=5, channels=1, test_fraction=0)
    assert grey.train["x"].shape == (3, 5, 5, 1)
    with pytest.raises(
        DataFileError, match=r"[ab]/[12]\.png is \d+ x \d+ pixels, .* is \d+ x \d+; give size=N"
    ):
        images(data_dir=place, test_fraction=0)


def _corrupt(pixels):
    content = bytearray(_png(pixels))
    content[len(content) // 2] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["cannot identify"]),
        (b"<html>404</html>", ["cannot identify"]),
        (_png(_pixels(0))[:60], ["truncated"]),
        (_png(np.zeros((9000, 9000))), ["9,000 x 9,000", "67,108,864"]),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", ["cannot identify"]),
    ],
    ids=["empty", "html", "cut short", "bomb", "PostScript"],
)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_bad_image_is_named(tmp_path, form, content, words):
    contents = {**_files(1), "dog/bad.png": content}
    place = (
        _folder(tmp_path / "data", contents) if form == "folder" else _zip(tmp_path / "data.zip", contents)
    )
    with pytest.raises(DataFileError) as error:
        images(data_dir=place, test_fraction=0)
    assert all(word in str(error.value) for word in ("dog/bad.png", *words)), error.value


def test_damage_within_an_image_is_named(tmp_path):
    place = _folder(tmp_path / "data", {**_files(1), "dog/bad.png": _corrupt(_pixels(9, (40, 40, 3)))})
    with pytest.raises(DataFileError, match=r"dog/bad\.png is no image that can be read"):
        images(data_dir=place, test_fraction=0)


def test_sixteen_bits_are_refused(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.full((6, 8), 40000, np.uint16)).save(buffer, "PNG")
    place = _folder(tmp_path / "data", {"a/1.png": buffer.getvalue()})
    with pytest.raises(DataFileError, match=r"a/1\.png .*I;16.* more than 8 bits"):
        images(data_dir=place, test_fraction=0)


@pytest.mark.parametrize("name", ["../dog/9.png", "/dog/9.png", "C:/dog/9.png", "dog/../../9.png"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    place = _zip(tmp_path / "data.zip", {**_files(1), name: _pixels(0)})
    with pytest.raises(DataFileError, match="unsafe name"):
        images(data_dir=place)


def test_a_damaged_zip_is_named(tmp_path):
    place = _zip(tmp_path / "data.zip", _files(4))
    content = place.read_bytes()
    place.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataFileError, match=r"data\.zip is no zip, or a damaged one"):
        images(data_dir=place)
    position = content.index(b"IDAT") + 6
    place.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
    with pytest.raises(DataFileError, match=r"cat/0\.png cannot be read: Bad CRC-32"):
        images(data_dir=place, test_fraction=0)


def test_a_member_that_unpacks_to_too_much_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "MOST_BYTES", 5000)
    bomb = {"dog/bomb.png": _png(_pixels(0)) + bytes(100_000)}
    place = _zip(tmp_path / "data.zip", {**_files(1), **bomb}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataFileError, match=r"dog/bomb\.png cannot be read: it has 100,\d+ bytes"):
        images(data_dir=place, test_fraction=0)


def test_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    place = _folder(tmp_path / "data", _files(2))
    monkeypatch.setattr("os.sysconf", lambda name: 64)
    with pytest.raises(DataFileError, match=r"6 images of .* need 0\.0 GiB.*n_train"):
        images(data_dir=place, test_fraction=0)


@pytest.mark.parametrize(
    "names",
    [
        ["1.png", "2.png"],
        ["cat/1.png", "2.png"],
        ["train/cat/1.png", "other/cat/2.png"],
        ["a/b/c/1.png", "d/b/c/2.png"],
        ["test/cat/1.png", "val/cat/2.png"],
    ],
)
def test_an_unknown_layout_is_explained(tmp_path, names):
    place = _folder(tmp_path / "data", {name: _pixels(0) for name in names})
    with pytest.raises(DataFileError, match=r"unknown way.*png.*needed: CLASS/FILE, or train/CLASS/FILE"):
        images(data_dir=place)


def test_classes_that_training_never_sees_are_named(tmp_path):
    contents = {**_files(1, "train/"), "test/fox/1.png": _pixels(0)}
    with pytest.raises(DataFileError, match="classes in test alone: fox"):
        images(data_dir=_folder(tmp_path / "data", contents))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"path": "nowhere"}, FileNotFoundError, ["there is no", "nowhere"]),
        ({"path": "empty"}, FileNotFoundError, ["no image file", ".jpg"]),
        ({"data_dir": None}, FileNotFoundError, ["data_dir"]),
        ({"channels": 4}, ValueError, ["channels = 4", "1, 3"]),
        ({"size": 0}, ValueError, ["size = 0"]),
        ({"test_fraction": 1.0}, ValueError, ["test_fraction = 1.0"]),
        ({"n_train": 0}, ValueError, ["n_train = 0"]),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, error, words):
    place = _folder(tmp_path / "data", _files(2))
    (place / "empty").mkdir()
    with pytest.raises(error) as raised:
        images(**{"data_dir": place, **arguments})
    assert all(word in str(raised.value) for word in words), raised.value


def test_slow_decoding_is_kept_and_follows_the_files(tmp_path, cache, monkeypatch):
    place = _zip(tmp_path / "data.zip", _files(2))
    quick = images(data_dir=place)
    assert not cache.exists()
    monkeypatch.setattr(decoding, "CACHE_SECONDS", 0.0)
    first = images(data_dir=place)
    (kept,) = cache.iterdir()
    np.testing.assert_array_equal(first.train["x"], quick.train["x"])
    monkeypatch.setattr(decoding, "_decode", None)  # nothing is decoded again
    place.rename(tmp_path / "moved.zip")
    again = images(data_dir=tmp_path / "moved.zip")
    np.testing.assert_array_equal(again.train["x"], first.train["x"])
    monkeypatch.undo()
    monkeypatch.setattr("pooch.os_cache", lambda project: cache.parent)
    kept.write_bytes(kept.read_bytes()[:-10])  # cut short: decoded again
    np.testing.assert_array_equal(images(data_dir=tmp_path / "moved.zip").train["x"], first.train["x"])
    changed = _zip(tmp_path / "moved.zip", {**_files(2), "cat/0.png": _pixels(77)})
    assert not np.array_equal(images(data_dir=changed).train["x"], first.train["x"])


def test_a_changed_file_in_a_folder_is_seen(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(decoding, "CACHE_SECONDS", 0.0)
    place = _folder(tmp_path / "data", _files(2))
    first = images(data_dir=place, test_fraction=0)
    _folder(place, {"cat/0.png": _pixels(77)})
    second = images(data_dir=place, test_fraction=0)
    assert len(list(cache.iterdir())) == 2
    assert not np.array_equal(first.train["x"], second.train["x"])


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(decoding, "CACHE_SECONDS", 0.0)
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where a folder should be")
    assert len(images(data_dir=_folder(tmp_path / "data", _files(2)), test_fraction=0).train["y"]) == 6


def _saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _back(data):
    """The training images in the values of their files, as far as a shift and a scale allow: ranks."""
    x = data.train["x"]
    return (x - x.min()) / max(float(np.ptp(x)), 1e-9)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_images_lie_on_a_ground(tmp_path, mode):
    """Black glyphs on a transparent ground were all black."""
    alpha = np.zeros((6, 8), np.uint8)
    alpha[2:4, 2:6] = 255
    glyph = Image.fromarray(np.dstack([np.zeros((6, 8, 3), np.uint8), alpha]))
    if mode == "P":
        pixels = Image.fromarray((alpha > 0).astype(np.uint8), "P")
        pixels.putpalette([0, 0, 0] * 2)
        content = _saved(pixels, "PNG", transparency=b"\x00\xff")
    else:
        content = _saved(glyph.convert(mode), "PNG")
    place = _folder(tmp_path / "data", {"a/1.png": content, "b/1.png": content})
    white = _back(images(data_dir=place, test_fraction=0))[0, :, :, 0]
    np.testing.assert_array_equal(white, np.where(alpha, 0.0, 1.0))
    assert not _back(images(data_dir=place, test_fraction=0, background="black")).any()
    assert not _back(
        images(data_dir=place, test_fraction=0, background=None)
    ).any()  # as runs of before had it
    with pytest.raises(ValueError, match=r"background = 'pink'.*white, black, null"):
        images(data_dir=place, background="pink")


def test_images_are_turned_as_their_cameras_say(tmp_path):
    picture = np.zeros((6, 8, 3), np.uint8)
    picture[0, 0] = 255
    turned = Image.Exif()
    turned[0x0112] = 3  # by half a turn
    content = _saved(Image.fromarray(picture), "PNG", exif=turned)
    place = _folder(tmp_path / "data", {"a/1.png": content})
    data = images(data_dir=place, test_fraction=0)
    assert _back(data)[0, 5, 7, 0] == 1 and _back(data)[0, 0, 0, 0] == 0
    assert _back(images(data_dir=place, test_fraction=0, upright=False))[0, 0, 0, 0] == 1


def test_sound_images_with_a_broken_note_are_read_and_counted(tmp_path):
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\x12\x01\x03\x00\xff\xff\xff\xff\x00\x00"
    content = _saved(Image.fromarray(_pixels(3)), "JPEG", exif=exif)
    place = _folder(tmp_path / "data", {**_files(1), "dog/odd.jpg": content})
    data = images(data_dir=place, test_fraction=0)
    assert len(data.train["y"]) == 4
    assert any("1 file was read in spite of a warning, dog/odd.jpg" in note for note in data.notes)


@pytest.mark.parametrize(
    "names",
    [
        ["train/cat.0.jpg", "train/dog.0.jpg", "test1/1.jpg"],
        ["train/cat.0.jpg"],
        ["Training/1.png", "Validation/2.png"],
    ],
)
def test_parts_without_classes_are_no_classes(tmp_path, names):
    place = _folder(tmp_path / "data", {name: _png(_pixels(0)) for name in names})
    with pytest.raises(DataFileError, match=r"lie in no folders of classes.*train/CLASS/FILE"):
        images(data_dir=place)


def test_a_class_may_be_called_train(tmp_path):
    place = _folder(tmp_path / "data", {f"{name}/1.png": _pixels(0) for name in ("bus", "train")})
    assert images(data_dir=place, test_fraction=0).classes == ("bus", "train")


def test_what_is_left_out_is_counted_and_named(tmp_path):
    place = _folder(tmp_path / "data", _files(2))
    _folder(place, {"fox/1.gif": b"GIF89a", "fox/2.gif": b"GIF89a", "notes.txt": b"no image"})
    (place / "empty").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (place / "gnu").symlink_to(tmp_path / "elsewhere")
    (place / "cat" / "link.png").symlink_to(place / "cat" / "0.png")
    os.mkfifo(place / "cat" / "pipe.png")
    (place / "cat" / "endless.png").symlink_to("/dev/zero")
    data = images(data_dir=place, test_fraction=0)
    assert len(data.train["y"]) == 6 and data.classes == CLASSES
    (note,) = data.notes
    for words in (
        "3 links (cat/endless.png, cat/link.png, gnu)",
        "1 pipe or device (cat/pipe.png)",
        "3 files of other formats (2 .gif, 1 .txt)",
        "2 folders without images (empty, fox)",
    ):
        assert words in note
    contents = {f"{name}/1.png": _pixels(0) for name in "ab"}
    packed = _zip(tmp_path / "data.zip", {**contents, "c/1.gif": b"GIF89a", "d/": b""})
    (note,) = images(data_dir=packed, test_fraction=0).notes
    assert "1 file of another format (1 .gif)" in note and "2 folders without images (c, d)" in note


def test_a_folder_of_links_alone_says_so(tmp_path):
    place = _folder(tmp_path / "data", _files(1))
    (tmp_path / "linked" / "cat").mkdir(parents=True)
    (tmp_path / "linked" / "cat" / "1.png").symlink_to(place / "cat" / "0.png")
    with pytest.raises(FileNotFoundError, match=r"no image file.*left out: 1 link "):
        images(data_dir=tmp_path / "linked")


def test_a_pipe_is_no_zip(tmp_path):
    os.mkfifo(tmp_path / "data.zip")
    with pytest.raises(DataFileError, match="neither a folder nor a file"):
        images(data_dir=tmp_path / "data.zip")


def test_damaged_lzma_is_named(tmp_path):
    place = _zip(tmp_path / "data.zip", _files(1), compression=zipfile.ZIP_LZMA)
    content = bytearray(place.read_bytes())
    start = content.index(b"cat/0.png") + 30
    content[start : start + 40] = bytes(40)
    place.write_bytes(content)
    with pytest.raises(DataFileError, match=r"cat/0\.png cannot be read"):
        images(data_dir=place, test_fraction=0)


def test_no_message_shows_an_object_in_memory(tmp_path):
    place = _folder(tmp_path / "data", {**_files(1), "dog/bad.png": b"no image"})
    with pytest.raises(DataFileError) as raised:
        images(data_dir=place, test_fraction=0)
    assert "object at" not in str(raised.value) and "cannot identify it as BMP, JPEG" in str(raised.value)


def test_the_digest_is_of_the_files_used_however_they_are_packed(tmp_path, monkeypatch):
    files = _files(2)
    place, packed = _folder(tmp_path / "data", files), _zip(tmp_path / "data.zip", files)
    first, zipped = images(data_dir=place), images(data_dir=packed)
    assert first.source == zipped.source and len(first.source) == 16
    monkeypatch.setattr(decoding, "CACHE_SECONDS", 0.0)
    assert images(data_dir=place).source == images(data_dir=place).source == first.source  # of the cache
    _folder(place, {"cat/0.png": _pixels(77)})
    assert images(data_dir=place).source != first.source
