"""How much of the variance of a measure each hyper-parameter and each pair of them accounts for.

Functional analysis of variance: the mean over all other hyper-parameters, as a function of one, is its main
effect; what a pair explains beyond its two main effects is their interaction. On a complete grid the means
are those of the runs. Elsewhere a random forest stands in for what was not trained, and its means are
taken exactly, leaf by leaf. Hutter, Hoos, Leyton-Brown 2014, An Efficient Approach for Assessing
Hyperparameter Importance (section 3 and Algorithm 2).
"""

import itertools
from collections.abc import Mapping

import numpy as np

from gdlab.analysis.hyper import levels
from gdlab.records import Table

TREES = 64
LEVELS = 32  # of a hyper-parameter with more values, as quantiles, where a forest is needed
_CELLS = 1 << 22  # of a grid at most
_FEWEST = 2  # runs that vary at all


def importance(parameters: Mapping[str, np.ndarray], values, seed: int = 0) -> Table:
    """Shares of the variance of `values` [M] by hyper-parameters {name: [M]} (numbers or text).

    Returns, largest first, parameter, other ("" for a main effect), share in [0, 1]; NaN where the values do
    not vary, and where a forest tells nothing (r2 < 0). A hyper-parameter that is the same in all runs has
    the share 0; one that a run does not have (NaN, "") has a level of its own there. attrs: method ("grid":
    complete, exact; "forest"), runs, left_out (without the measure), rest (the share of more than two
    together, and of what runs of one cell differ by), levels {name: how many}; of a grid within, the share
    of the latter alone; of a forest r2, out of the bag.
    """
    values = np.asarray(values, float)
    # An option that a run's optimizer does not have is missing there: a level like any other.
    codes = {name: levels(column)[1] for name, column in parameters.items()}
    used = np.isfinite(values)
    names = list(codes)
    columns = [np.unique(codes[name][used], return_inverse=True)[1] for name in names]
    x = np.array(columns, int).reshape(len(names), int(used.sum())).T
    count = {name: int(x[:, i].max(initial=-1)) + 1 for i, name in enumerate(names)}
    attrs = {"runs": int(used.sum()), "left_out": int((~used).sum()), "levels": count}
    if not names or used.sum() < _FEWEST or np.ptp(values[used]) == 0:
        return _table(names, {}, attrs | {"method": "grid", "rest": np.nan})
    cells = _grid(x, values[used], list(count.values()))
    if cells is not None:
        grid, within = cells
        total = float(grid.var() + within.mean())
        shares = _shares(lambda kept: _marginal(grid, kept), total, len(names))
        more: dict = {"method": "grid", "within": float(within.mean()) / total}
    else:
        shares, more = _of_forest(x, values[used], list(count.values()), seed)
        if not more["r2"] >= 0:  # it foretells runs worse than their mean does
            return _table(names, {}, attrs | more | {"rest": np.nan})
    rest = 1 - sum(shares.values())
    return _table(names, shares, attrs | more | {"rest": max(0.0, float(rest))})


def _grid(x, values, levels):
    """(means, variances) of the runs of each cell [levels...]; None where a cell has none.

    All cells count alike, however many runs they have.
    """
    if np.prod([float(level) for level in levels]) > min(_CELLS, len(values)):
        return None
    total, count, squares = np.zeros((3, *levels))
    place = tuple(x.T)
    np.add.at(total, place, values)
    np.add.at(count, place, 1)
    if not count.all():
        return None
    mean = total / count
    np.add.at(squares, place, (values - mean[place]) ** 2)
    return mean, squares / count


def _marginal(grid, kept):
    """Mean over all axes but those kept, flat."""
    return grid.mean(axis=tuple(i for i in range(grid.ndim) if i not in kept)).ravel()


def _shares(marginal, total, count):
    """{(i,) or (i, j): share} from marginal(kept) -> the means as an array, and the total variance."""

    def variance(kept):
        means = marginal(kept)
        return float(((means - means.mean()) ** 2).mean())

    single = {(i,): variance((i,)) for i in range(count)}
    pairs = {
        (i, j): max(0.0, variance((i, j)) - single[i,] - single[j,])
        for i, j in itertools.combinations(range(count), 2)
    }
    return {kept: part / total for kept, part in (single | pairs).items()}


def _of_forest(x, values, levels, seed):
    """(shares, attrs) of a random forest: means of those of its trees."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(TREES, random_state=seed, oob_score=True, max_features=None)
    with np.errstate(all="ignore"):
        forest.fit(x.astype(float), values)
    probed = [_probed(level) for level in levels]
    found: dict[tuple, list[float]] = {}
    for tree in forest.estimators_:
        inside, leaf = _leaves(tree.tree_, probed)
        shares = _tree_shares(inside, leaf)
        for kept, share in shares.items():
            found.setdefault(kept, []).append(share)
    means = {kept: float(np.mean(shares)) for kept, shares in found.items()}
    return means, {"method": "forest", "r2": float(forest.oob_score_)}


def _probed(level):
    """The levels at which a hyper-parameter of `level` levels is looked at."""
    return np.arange(level) if level <= LEVELS else np.linspace(0, level - 1, LEVELS)


def _leaves(tree, probed):
    """(for each hyper-parameter bool [leaves, levels]: which of its levels come there; values [leaves])."""
    inside = [np.ones((tree.node_count, len(levels)), bool) for levels in probed]
    for node in range(tree.node_count):  # parents come before their children
        left, right, feature = tree.children_left[node], tree.children_right[node], tree.feature[node]
        if left == right:
            continue
        for child, below in ((left, True), (right, False)):
            for part in inside:
                part[child] = part[node]
            inside[feature][child] &= (probed[feature] <= tree.threshold[node]) == below
    leaf = tree.children_left == tree.children_right
    return [part[leaf] for part in inside], tree.value[leaf, 0, 0]


def _tree_shares(inside, leaf):
    """{(i,) or (i, j): share} of one tree, its leaves being boxes of equally likely levels."""
    mass = np.stack([part.mean(axis=1) for part in inside])
    whole = mass.prod(axis=0)
    mean = float(whole @ leaf)
    total = float(whole @ (leaf - mean) ** 2)
    if total == 0:
        return {}

    def marginal(kept):
        weight = leaf * np.prod(np.delete(mass, kept, axis=0), axis=0)
        if len(kept) == 1:
            return inside[kept[0]].T.astype(float) @ weight
        return ((inside[kept[0]].T * weight) @ inside[kept[1]].astype(float)).ravel()

    return _shares(marginal, total, len(inside))


def _table(names, shares, attrs):
    missing = np.nan if np.isnan(attrs["rest"]) else 0.0
    kept = [(i,) for i in range(len(names))] + list(itertools.combinations(range(len(names)), 2))
    rows = [(names[k[0]], names[k[1]] if len(k) > 1 else "", shares.get(k, missing)) for k in kept]
    rows.sort(key=lambda row: -row[2] if row[2] == row[2] else 0.0)
    text = [np.array([row[i] for row in rows], object) for i in (0, 1)]
    columns = {"parameter": text[0], "other": text[1], "share": np.array([row[2] for row in rows], float)}
    return Table(columns, dict.fromkeys(columns, ("effect",)), attrs)
