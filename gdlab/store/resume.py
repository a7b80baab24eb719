"""What has to hold among the arrays of a run when it is continued and when it is committed."""

from gdlab.store import checksums
from gdlab.store.envelopes import FACTOR, Pyramid, is_level, level_name
from gdlab.store.errors import BadCursor, BadRows, nearest


def cuts(found, cursors):
    """{array: rows to keep} for every array and pyramid level of a manifest; raises `BadCursor`."""
    arrays = {name: rows for name, rows in found.rows.items() if not is_level(name)}
    cursors = arrays if cursors is None else {name: int(rows) for name, rows in cursors.items()}
    for name in cursors.keys() - arrays.keys():
        raise BadCursor(f"a cursor for '{name}', but the run has no such array." + nearest(name, arrays))
    for name, rows in arrays.items():
        if name not in cursors:
            raise BadCursor(f"no cursor for array '{name}': every array needs one")
        if not 0 <= cursors[name] <= rows:
            raise BadCursor(
                f"cursor {cursors[name]:,} for array '{name}', of which {rows:,} rows are committed"
            )
    kept = dict(cursors)
    for name in found.facts.get("pyramids", ()):
        level = 1
        while (level_name(name, level)) in found.rows:
            kept[level_name(name, level)] = cursors[name] // FACTOR**level
            level += 1
    for name, rows in found.rows.items():
        if kept.setdefault(name, rows) > rows:
            raise BadCursor(
                f"'{name}' has {rows:,} rows where {kept[name]:,} are needed: the envelopes are damaged"
            )
    return kept


def verified(chunks, found, kept):
    """{array: checksums of the rows kept} of a Manifest, whose chunks are checked before anything is cut.

    chunks: the run's `Chunks`. Raises DamagedRun, which names the file. Rows of runs that have no checksums
    are taken as they are, and guarded from now on.
    """
    chunks.expect(found)
    sums = {}
    for name, this in found.layouts.items():
        rows, committed = kept[name], found.rows[name]
        # The chunk that is cut is checked whole, the ones beyond it are given up.
        chunks.verify(this, min(committed, -(-rows // this.chunk_rows) * this.chunk_rows))
        if found.sums is None:
            sums[name] = chunks.sums(this, rows)
            continue
        full = rows // this.chunk_rows
        sums[name] = found.sums[name][: checksums.DIGITS * full]
        if rows % this.chunk_rows:
            sums[name] += checksums.to_text(checksums.crc(chunks.read(this, full * this.chunk_rows, rows)))
    return sums


def pyramids(log, streams, facts):
    """{array: Pyramid} ready to take further rows; the levels share the given streams."""
    towers = {}
    for name in facts.get("pyramids", ()):
        levels = []
        while level_name(name, len(levels) + 1) in streams:
            levels.append(streams[level_name(name, len(levels) + 1)])
        towers[name] = Pyramid(log, streams[name].layout, levels)
        towers[name].restore(streams[name])
    return towers


def check_lengths(streams):
    """BadRows where arrays that share their row dimension have different numbers of rows."""
    first = {}
    for stream in streams:
        other = first.setdefault(stream.layout.dims[0], stream)
        if other.rows != stream.rows:
            raise BadRows(
                f"'{other.layout.name}' has {other.rows:,} rows and '{stream.layout.name}' {stream.rows:,}, "
                f"but both count '{stream.layout.dims[0]}': append to both before a commit"
            )
