"""The two-phase line search as a plain loop: the slow, obvious program the fast one must agree with.

Written from the method's description alone: one `while`, one `if` per rule, polynomials fitted by
solving their linear equations. It shares no code with gdlab.
"""

import numpy as np
from numpy.polynomial import polynomial

NONE, CUBIC, QUADRATIC, BISECT = range(4)
EXTRAPOLATE, SHRINK = 1, 2


def fit(degree, h, phi_a, dphi_a, phi_b, dphi_b=None):
    """Coefficients of 1, u, u^2, u^3 with p(0) = phi_a, p'(0) = h dphi_a, p(1) = phi_b, p'(1) = h dphi_b."""
    conditions = [[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1], [0, 1, 2, 3]]
    values = [phi_a, h * dphi_a, phi_b, 0.0 if dphi_b is None else h * dphi_b]
    coefficients = np.zeros(4)
    n = degree + 1
    coefficients[:n] = np.linalg.solve(np.array(conditions, float)[:n, :n], np.array(values[:n], float))
    return coefficients


def local_minimum(coefficients):
    """The u where the polynomial of u has a local minimum, NaN where it has none."""
    slope = polynomial.polytrim(polynomial.polyder(coefficients))
    curvature = polynomial.polyder(slope)
    for root in polynomial.polyroots(slope):
        if np.isreal(root) and polynomial.polyval(root.real, curvature) > 0:
            u = root.real
            # Where the cubic term is tiny the eigenvalue solver keeps few digits; Newton restores them.
            for _ in range(3):
                u -= polynomial.polyval(u, slope) / polynomial.polyval(u, curvature)
            return u
    return np.nan


def two_phase(
    phi,
    value,
    slope,
    eta,
    *,
    sigma=0.05,
    rho=0.0,
    alpha=0.1,
    beta=3.0,
    gamma=0.1,
    max_evaluations=25,
    version=2,
    correct=lambda j, eta: eta,
):
    """Search along phi(eta) -> (value, slope) from the first step width `eta`.

    `correct(j, eta)` may replace the step width eta^j by one that differs in its last digits.
    `version` 2: while the slope falls, phase one does not walk back.
    Returns (the step width found, the evaluations as dictionaries).
    """
    rows = []
    a, b = (0.0, value, slope), None  # the bracket, as (step width, value, slope)
    best = (0.0, value)
    phase = EXTRAPOLATE
    while len(rows) < max_evaluations:
        eta = correct(len(rows), eta)
        now = (eta, *(float(v) for v in phi(eta)))
        finite = np.isfinite(now[1]) and np.isfinite(now[2])
        low = finite and now[1] <= value + rho * eta * slope
        row = {"eta": eta, "phi": now[1], "dphi": now[2], "accepted": False}
        rows.append(row)
        if low and now[1] < value and abs(now[2]) <= sigma * abs(slope):
            row |= {"accepted": True, "kind": NONE, "phase": phase}
            return eta, rows
        if finite and now[1] < best[1]:
            best = (eta, now[1])

        if phase == EXTRAPOLATE and (not low or now[2] > 0):
            phase, b = SHRINK, now
        elif phase == SHRINK and (not low or now[2] > 0):
            b = now
        elif phase == SHRINK:
            a = now
        end = b if phase == SHRINK else now
        h = end[0] - a[0]
        if phase == EXTRAPOLATE:
            onward = version == 2 and now[2] < 0
            lower, upper = eta if onward else alpha * eta, beta * eta
            row["kind"], default = CUBIC, upper
        else:
            lower, upper = a[0] + gamma * h, end[0] - gamma * h
            row["kind"], default = (QUADRATIC if end[1] > value else CUBIC), a[0] + h / 2
        wanted = coefficients = None
        if np.isfinite(end[1]) and np.isfinite(end[2]):
            coefficients = (
                fit(2, h, a[1], a[2], end[1]) if row["kind"] == QUADRATIC else fit(3, h, *a[1:], *end[1:])
            )
            wanted = a[0] + h * local_minimum(coefficients)
            row["minimiser"] = wanted
        missing = wanted is None or not np.isfinite(wanted)
        if missing and phase == SHRINK:
            row["kind"], coefficients = BISECT, None
            row.pop("minimiser", None)
        if missing or (phase == EXTRAPOLATE and (wanted < 0 or (onward and wanted < eta))):
            wanted = default
        row |= {"phase": phase, "anchor_a": a[0], "anchor_b": end[0], "lower": lower, "upper": upper}
        if coefficients is not None:
            row |= dict(zip(("c0", "c1", "c2", "c3"), coefficients, strict=True))
        eta = row["next_eta"] = min(max(wanted, lower), upper)
    return best[0], rows
