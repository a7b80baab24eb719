"""How fast the dumps of a training at the size of ResNet-50 on ImageNet are analysed.

    python -m benchmarks.dumps [--folder PATH] [--write-only]

Writes two made-up records below PATH, unless they are there: `resnet50` (750 dumps, 50,000 validation
images in 1,000 classes, 27,560 filters; 0.9 GB) and `resnet50_half` with half the dumps. Without PATH they
lie in a temporary folder. Each is then opened and analysed in a process of its own; the second column
shows how times grow with the record. The files are in the system's cache by then. Aims: anomalies of all
classes and mini-sets of all layers in 2 s each, a changed threshold in 0.3 s. Nothing here is asserted.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.made_up_dumps import write
from gdlab import store
from gdlab.analysis import anomalies, class_curves, correlation, filters, health, minisets
from gdlab.analysis.dumps import open_dumps

SIZES = {"resnet50": 750, "resnet50_half": 375}
WINDOW, THRESHOLD, K, CLUSTERS = 5, 15, 100, 4
MOST = 20_000  # rectangles of a full grid that a page draws


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where the records lie, to keep them")
    parser.add_argument("--write-only", action="store_true", help="do not measure")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Path(options.folder) / options.measure)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        report(options.folder or temporary, options.write_only)


def report(folder, write_only=False):
    """Write what is missing in a folder; measure and print."""
    for name, dumps in SIZES.items():
        path = Path(folder) / name
        if not path.exists():
            begin = time.perf_counter()
            write(path, dumps=dumps)
            print(f"{path}: written in {time.perf_counter() - begin:.0f} s, {_megabytes(path):,.0f} MB")
    if write_only:
        return
    found = {name: _apart(folder, name) for name in SIZES}
    print(f"{'':<44}{'750 dumps':>12}{'375 dumps':>12}")
    for row in found["resnet50"]:
        print(f"{row:<44}" + "".join(f"{numbers[row]:>12}" for numbers in found.values()))


def measure(path):
    """{what: text} of one record."""
    clock = _Clock()
    dumps = clock("open", lambda: open_dumps(store.open_run(path)))
    right = clock("right and wrong of all predictions", dumps.right)
    flips = clock("all flips", lambda: anomalies.flips(right))
    found = clock(
        "anomalies of all classes", lambda: anomalies.detect(flips, dumps.starts, WINDOW, THRESHOLD), 3
    )
    clock.sum("anomalies of all classes, from the files", 4)
    clock("window and threshold proposed", lambda: anomalies.propose(flips, dumps.starts))
    rates = clock("error rates", lambda: class_curves.error_rates(right, dumps.starts))
    clock("clusters, scikit-learn's import included", lambda: class_curves.clusters(rates, CLUSTERS))
    clock("clusters, again", lambda: class_curves.clusters(rates, CLUSTERS, seed=1))
    clock(
        "confusable classes, all dumps",
        lambda: class_curves.confusable(dumps.predicted(), dumps.starts),
    )
    clock("every image in numbers", lambda: class_curves.images(right))
    clock("history of one class", lambda: dumps.history(*dumps.starts[-2:]), 3)
    change = dumps.filter(filters.MEASURES["cosine"])
    tops = clock(f"the {K} most changed filters of every dump", lambda: filters.anomaly_filters(change, K))
    gradient = dumps.filter("gradient_std")
    clock("dead filters", lambda: filters.dead_filters(gradient, change))
    clock("filters that never settle", lambda: filters.never_settling(change))
    clock("warnings", lambda: health.check(health.record_of(dumps)))
    _, first = filters.layer_starts(dumps.nodes)
    pairs = tops.columns["dump"], tops.columns["filter"]
    parts = clock("mini-sets of all layers, every dump", lambda: minisets.mini_sets(*pairs, first))
    clock("abstract grid", lambda: correlation.abstract_grid(found, tops, first), 3)
    grid = clock("full grid", lambda: correlation.full_grid(found, tops, first, most=MOST), 3)

    def threshold():
        other = anomalies.detect(flips, dumps.starts, WINDOW, THRESHOLD - 3)
        return correlation.full_grid(other, tops, first, most=MOST)

    clock("threshold changed: anomalies and full grid", threshold, 3)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return clock.lines | {
        "largest memory": f"{most:,.0f} MB",
        "anomalies": f"{len(found.columns['dump']):,}",
        "mini-sets, every dump": f"{len(parts.columns['layer']):,}",
        "mini-sets shown, at least this often": f"{len(grid.parts.columns['layer']):,}, {grid.minimum}",
    }


class _Clock:
    """Times calls: clock(name, call, repeats) returns the call's result and keeps the least time."""

    def __init__(self):
        self.lines, self._seconds = {}, []

    def __call__(self, name, call, repeats=1):
        seconds = []
        for _ in range(repeats):
            begin = time.perf_counter()
            result = call()
            seconds.append(time.perf_counter() - begin)
        self._seconds.append(min(seconds))
        self.lines[name] = _text(min(seconds))
        return result

    def sum(self, name, count):
        """Keep the sum of the last `count` times as well."""
        self.lines[name] = _text(sum(self._seconds[-count:]))


def _text(seconds):
    return f"{seconds * 1e3:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.2f} ms"


def _apart(folder, name):
    command = [sys.executable, "-m", "benchmarks.dumps", "--folder", folder, "--measure", name]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _megabytes(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
