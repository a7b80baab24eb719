"""What the tracker's views read of the dumps, read before they are built."""

from concurrent.futures import ThreadPoolExecutor

from server.pages.tracker.classes.choices import clusters_asked
from server.pages.tracker.tracker import tracker


def prefetch(context) -> None:
    """Computes what the view that the address asks for draws first; the tracker and its evidence keep it."""
    shared = tracker(context)
    if shared is None or not len(shared.dumps.labels):
        return
    evidence = shared.evidence
    wanted = [shared.anomalies]  # the page's head counts them
    if shared.mode == "classes":
        k = clusters_asked(context.state, len(shared.dumps.classes))
        wanted.append(lambda: evidence.clusters(k))
    if shared.mode == "correlation" and len(evidence.layers) and shared.dumps.stats():
        settings = shared.settings
        wanted += [evidence.rates, lambda: evidence.anomaly_filters(settings.top, settings.measure, ())]
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="gdlab prefetches") as pool:
        for answer in [pool.submit(compute) for compute in wanted]:
            answer.result()
    if shared.mode == "correlation":
        shared.grid()
