"""Rows, stripes, pixels and triangles of the validation view, without a browser."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis import anomalies, class_curves
from server.core import palette
from server.pages.tracker.classes import cells, chart, history, picture, rows, scene
from server.pages.tracker.classes.errors import stages

RANDOM = np.random.default_rng(0)
NAMES = tuple(f"class {i}" for i in range(8))
STARTS = np.array([0, 6, 11, 11, 20, 24, 30, 33, 40])  # class 2 has no images
LABELS = np.repeat(np.arange(8), np.diff(STARTS))
DUMPS = 24
HARDNESS = np.linspace(0.05, 0.9, 8)[LABELS]
WRONG = RANDOM.random((DUMPS, 40)) < HARDNESS
PREDICTED = np.where(WRONG, (LABELS + RANDOM.integers(1, 8, (DUMPS, 40))) % 8, LABELS).astype(np.uint16)
RIGHT = PREDICTED == LABELS
RATES = class_curves.error_rates(RIGHT, STARTS)
CLUSTERS = class_curves.clusters(RATES, 3)
EVERY = np.ones(8, bool)


def laid(**changes):
    options = {"opened": {0, 1, 2, 3}, "unfolded": {0, 5}, "pixel": 4.0} | changes
    kept, rank = options.pop("kept", EVERY), options.pop("rank", np.arange(8))
    return rows.arranged(CLUSTERS, rank, kept, np.diff(STARTS), **options)


def shown(layout):
    return list(zip(layout.kind.tolist(), layout.item.tolist(), strict=True))


def test_rows_follow_clusters_ranks_and_folds():
    folded = laid(opened=set(), unfolded={0})
    assert shown(folded) == [(rows.CLUSTER, c) for c in (0, 1, 2, 3)]  # the last: without images
    layout = laid()
    classes = [item for kind, item in shown(layout) if kind == rows.CLASS]
    by_hand = [c for k in (0, 1, 2, -1) for c in range(8) if CLUSTERS.cluster[c] == k]
    assert classes == by_hand
    assert shown(layout).index((rows.IMAGES, 5)) == shown(layout).index((rows.CLASS, 5)) + 1
    backwards = laid(rank=-np.arange(8))
    hardest = max(c for c in range(8) if CLUSTERS.cluster[c] == 0)
    assert next(item for kind, item in shown(backwards) if kind == rows.CLASS) == hardest
    kept = np.arange(8) == by_hand[0]
    assert shown(laid(kept=kept, unfolded=set())) == [(rows.CLUSTER, 0), (rows.CLASS, by_hand[0])]
    assert laid(kept=~EVERY).total == 0 and laid(kept=~EVERY).at(3.0) is None
    tall = laid(pixel=40.0)
    assert tall.height[shown(tall).index((rows.IMAGES, 0))] == 40.0 * 6


@given(st.floats(-50, 3000), st.floats(0, 900))
def test_a_depth_belongs_to_its_row_and_a_window_holds_what_shows(depth, reach):
    layout = laid()
    row = layout.at(depth)
    tops = [*layout.top.tolist(), layout.total]
    at = [i for i in range(len(layout.top)) if tops[i] <= depth < tops[i + 1]]
    assert row == (at[0] if at else None)
    inside = [
        i for i in range(len(layout.top))
        if layout.top[i] < depth + reach and layout.top[i] + layout.height[i] > depth
    ]  # fmt: skip
    assert list(layout.within(depth, depth + reach)) == inside


def test_classes_are_ordered_by_error_name_or_anomalies():
    names = ("b", "10", "9", "A", "2")
    error, score = np.array([0.1, 0.5, np.nan, 0.2, 0.2]), np.array([0, 3, 1, 3, 0])
    order = {sort: np.argsort(rows.ranks(sort, error, names, score)).tolist() for sort in rows.SORTS}
    assert order == {"error": [0, 3, 4, 1, 2], "name": [4, 2, 1, 3, 0], "anomalies": [3, 1, 2, 0, 4]}
    with pytest.raises(ValueError, match="sort='size': allowed: error"):
        rows.ranks("size", error, names, score)


@given(st.integers(1, 6000), st.floats(-100, 6000), st.floats(0.5, 7000))
def test_columns_serve_what_is_visible_and_stay_few(count, start, width):
    end = start + width
    found = cells.columns(start, end, count)
    assert 0 <= found.first < found.last <= count
    assert (found.last - found.first) / found.step <= 2 * cells.MOST_COLUMNS
    assert cells.covers(found, start, end, count)
    if count <= cells.MOST_COLUMNS:
        assert found == cells.Columns(0, count, 1)


def test_a_stripe_holds_the_rates_and_their_means_where_columns_are_joined():
    assert np.array_equal(cells.stripe(RATES[3], cells.Columns(2, 9, 1))[0], RATES[3, 2:9])
    joined = cells.stripe(RATES[3], cells.Columns(0, 24, 5))[0]
    assert joined == pytest.approx([RATES[3, i : i + 5].mean() for i in range(0, 24, 5)], rel=1e-6)


@pytest.mark.parametrize("step", [1, 5])
def test_pixels_are_the_predictions_image_by_image(step):
    first, last = STARTS[3], STARTS[4]
    view = cells.Columns(1, 24, step)
    history = PREDICTED[:, first:last]
    found = cells.pixels(history, 3, first, view, wrong_labels=True)
    share = [RIGHT[:, image].mean() for image in found.images]
    assert share == sorted(share, reverse=True) and sorted(found.images) == list(range(first, last))
    counts = {v: (history == v).sum() for v in range(8) if v != 3}
    assert [counts[v] for v in found.labels] == sorted(counts.values(), reverse=True)[: cells.NAMED]
    for row, image in enumerate(found.images):
        for column, dump in enumerate(range(1, 24, step)):
            label = PREDICTED[min(dump + step, 24) - 1, image]
            place = found.labels.index(label) + 1 if label in found.labels else cells.OTHER
            assert found.label[row, column] == label
            assert found.code[row, column] == (cells.RIGHT if label == 3 else place)
    plain = cells.pixels(history, 3, first, view, wrong_labels=False)
    assert np.array_equal(plain.code, (found.label != 3).astype(np.uint8)) and plain.labels == ()


def test_stripes_and_blocks_of_a_window():
    layout, view = laid(), cells.Columns(0, DUMPS, 1)
    found = scene.stripes(layout, range(len(layout.top)), RATES, CLUSTERS, NAMES, view)
    drawn = [
        row
        for row, (kind, item) in enumerate(shown(layout))
        if kind != rows.IMAGES and (kind, item) != (0, 3)
    ]
    assert found["y"] == [layout.top[row] for row in drawn] and found["x"] == [-0.5] * len(drawn)
    at = drawn.index(shown(layout).index((rows.CLASS, 5)))
    assert found["name"][at] == "class 5" and np.array_equal(found["image"][at][0], RATES[5])
    assert np.isnan(found["image"][drawn.index(shown(layout).index((rows.CLASS, 2)))]).all()

    def pixels_of(item):
        return cells.pixels(
            PREDICTED[:, STARTS[item] : STARTS[item + 1]], item, STARTS[item], view, wrong_labels=False
        )

    row = shown(layout).index((rows.IMAGES, 5))
    window = layout.top[row] + 9.0, layout.top[row] + 13.0  # cuts the third row and the fourth
    block = scene.blocks(layout, layout.within(*window), pixels_of, NAMES, view, 4.0, window)
    assert block["y"] == [layout.top[row] + 8.0] and block["dh"] == [8.0]
    assert np.array_equal(block["image"][0], pixels_of(5).code[2:4])


def test_triangles_are_the_anomalies_and_their_sums():
    table = anomalies.detect(RIGHT, STARTS, 2, 1).columns
    layout = laid(unfolded=set())
    found = scene.triangles(layout, range(len(layout.top)), table, CLUSTERS, NAMES)
    drawn = {
        (*shown(layout)[row], dump, marker): (score, size)
        for row, dump, marker, score, size in zip(
            *(found[name] for name in ("row", "x", "marker", "score", "size")), strict=True
        )
    }
    for which, dump, score, rule in zip(*table.values(), strict=True):
        assert drawn[rows.CLASS, which, dump, scene.MARKERS[rule]][0] == score
        same = (table["dump"] == dump) & (table["rule"] == rule)
        inside = CLUSTERS.cluster[table["class"]] == CLUSTERS.cluster[which]
        total = table["score"][same & inside].sum()
        assert drawn[rows.CLUSTER, CLUSTERS.cluster[which], dump, scene.MARKERS[rule]][0] == total
    classes = [pair for key, pair in drawn.items() if key[0] == rows.CLASS]
    assert len(classes) == len(table["dump"])
    sizes = dict(sorted(classes))
    assert list(sizes.values()) == sorted(sizes.values()) and max(sizes.values()) <= scene.LARGE


def test_words_name_what_is_folded_selected_and_coloured():
    layout = laid(unfolded={5})
    choices = SimpleNamespace(opened={0, 1, 2, 3}, unfolded={5})
    legend = {5: [("#123456", "right"), ("#654321", "<b>" + "x" * 40)]}
    found = scene.words(
        layout,
        range(len(layout.top)),
        CLUSTERS,
        NAMES,
        choices,
        {5},
        legend.get,
        palette.LIGHT,
        np.arange(8),
        200,
    )
    texts = found["text"]
    cluster = int(CLUSTERS.cluster[5])
    assert any(text.endswith("· 1 ●") and text.startswith(f"▾ {cluster + 1}") for text in texts)
    assert "▾ class 5" in texts and "▸ class 1" in texts and "5 ▾▴" in texts and "0 ▾▴" not in texts
    assert "▾ no images · 1 class" in texts
    assert [c for t, c in zip(texts, found["colour"], strict=True) if t == "■"] == ["#123456", "#654321"]
    assert max(map(len, texts)) <= max(scene.LONGEST.values())
    assert scene.cluster_name(CLUSTERS, 0).startswith("1 · easy") and "hard" in scene.cluster_name(
        CLUSTERS, 2
    )
    one = class_curves.clusters(RATES[:1], 1)
    assert scene.cluster_name(one, 0) == "all · 1 class"


def test_marks_frame_selected_classes_and_the_selected_image():
    layout = laid()
    images = np.arange(STARTS[5], STARTS[6])[::-1]
    found = scene.marks(layout, (1, 5, 7), (5, int(images[2])), lambda item: images, 4.0, DUMPS)
    tops = [layout.top[layout.of(rows.CLASS, c)] for c in (1, 5, 7)]
    assert found["top"] == [*tops, layout.top[layout.of(rows.IMAGES, 5)] + 8.0]
    assert found["right"] == [DUMPS - 0.5] * 4
    assert scene.marks(laid(opened=set()), (1,), None, lambda item: images, 4.0, DUMPS)["top"] == []


def test_every_pixel_has_a_colour_in_every_mode():
    for dark in (False, True):
        for pixels in ("right", "label"):
            for pair in ("safe", "traffic"):
                found = chart.colours(palette.palette(dark), pixels, pair)
                assert len(found) == cells.OTHER + 1 and found[cells.RIGHT] not in found[1:]


def test_stages_of_the_learning_rate():
    rate = [np.nan, 0.1, 0.1, 0.01, 0.01, 0.01, np.nan, 0.01]
    found = stages(rate)
    assert found == {"x0": [0.5, 2.5, 6.5], "x1": [2.5, 5.5, 7.5], "rate": [0.1, 0.01, 0.01]}
    assert stages([np.nan, 0.0]) == {"x0": [], "x1": [], "rate": []}


def test_colours_end_where_almost_all_rates_are():
    rates = np.full((4, 100), 0.03)
    rates[:, :10] = 0.9  # the beginning
    assert cells.highest(rates) == 0.05
    rates[0, 50:] = 0.3
    assert cells.highest(rates) == 0.5
    assert cells.highest(np.full((3, 0), 1.0)) == 1.0 and cells.highest(np.full((3, 20), np.nan)) == 1.0
    assert cells.highest(np.full((3, 20), 0.7)) == 1.0


def test_a_past_is_read_piece_by_piece():
    dumps = SimpleNamespace(count=DUMPS, predicted=lambda start, stop: PREDICTED[start:stop])
    assert np.array_equal(cells.history(dumps, 5, 9), PREDICTED[:, 5:9])
    none = SimpleNamespace(count=0, predicted=None)
    assert cells.history(none, 5, 9).shape == (0, 4)


def test_the_history_of_an_image():
    found = history.history([4, 4, 2, 3, 3, 2, 3, 3], 3)
    assert found.labels == (3, 2, 4) and found.place.tolist() == [2, 2, 1, 0, 0, 1, 0, 0]
    assert (found.first_right, found.flips, found.share_right) == (3, 3, 0.5)
    never = history.history(np.arange(1, 21, dtype=np.uint16), 0)
    assert never.first_right == -1 and never.flips == 0 and len(never.labels) == history.MOST_LABELS
    assert never.labels[0] == 0 and never.labels[-1] == -1
    assert never.place.tolist() == [*range(1, 9), *[9] * 12]


@pytest.mark.parametrize("rules", [("left",), ("right",), ("left", "right")])
@pytest.mark.parametrize("classes", [(), (4,), (1, 6)])
def test_images_that_flip_at_a_dump_show_the_pattern(rules, classes):
    marks = {"left": anomalies.left_rule(RIGHT, 2), "right": anomalies.right_rule(RIGHT, 2)}
    flips = anomalies.flips(RIGHT)
    some = 0
    for dump in range(DUMPS):
        found = history.flipped(flips, STARTS, dump, classes, 2, rules)
        shows = np.any([marks[rule][dump] for rule in rules], axis=0)
        inside = np.isin(LABELS, classes) if classes else np.ones(len(LABELS), bool)
        assert found.tolist() == np.flatnonzero(shows & inside).tolist()
        some += len(found)
    assert some > 3


def test_pictures_keep_their_values_as_colours():
    grey = RANDOM.random((2, 3, 5, 1))
    colour = RANDOM.random((2, 3, 5, 3)) * 4 - 2
    for values in (grey, colour):
        for found, source in zip(picture.rgba(values), values, strict=True):
            parts = found[::-1].copy().view(np.uint8).reshape(3, 5, 4)
            scaled = (source - values.min()) / np.ptp(values) * 255
            assert np.abs(parts[..., :3] - scaled).max() <= 0.5 + 1e-9 and (parts[..., 3] == 255).all()
    flat = picture.rgba(np.ones((1, 2, 2, 1)))[0]
    assert (flat == 0xFF000000).all()
