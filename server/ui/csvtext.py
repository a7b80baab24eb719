"""A Table as CSV text: one row per index, one column per name, arrays of more dimensions unrolled."""

import csv
import io

import numpy as np

from gdlab.records import Table


def dumps(table: Table) -> str:
    """The text of a Table whose columns share their first dimension; floats keep every digit.

    Further dimensions become columns "name.0", "name.1", ...; columns of another length than the
    longest are padded with empty cells. Facts of `attrs` are not written. Spreadsheets run cells
    that begin with "=", "+", "-" or "@" as formulas: text cells like that get a leading "'".
    """
    columns: dict[str, list] = {}
    for name, array in table.columns.items():
        values = np.asarray(array)
        if values.ndim <= 1:
            columns[name] = np.atleast_1d(values).tolist()
            continue
        flat = values.reshape(len(values), -1)
        columns.update({f"{name}.{i}": flat[:, i].tolist() for i in range(flat.shape[1])})
    length = max(map(len, columns.values()), default=0)
    padded = [values + [""] * (length - len(values)) for values in columns.values()]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_safe, columns))
    writer.writerows([_safe(cell) for cell in cells] for cells in zip(*padded, strict=True))
    return out.getvalue()


def _safe(cell):
    if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell:
        return "'" + cell
    return cell
