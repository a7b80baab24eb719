"""Problems: what is minimised. Every factory returns a `gdlab.Problem`."""

from gdlab.problems.analytic import from_function, least_squares
from gdlab.problems.any_dimension import (
    brown_almost_linear,
    broyden_banded,
    broyden_tridiagonal,
    chebyquad,
    discrete_boundary_value,
    discrete_integral_equation,
    penalty_1,
    penalty_2,
    powell_singular,
    rosenbrock,
    trigonometric,
    variably_dimensioned,
)
from gdlab.problems.classifier import classification
from gdlab.problems.curve_fitting import (
    bard,
    biggs_exp6,
    box_3d,
    brown_dennis,
    gaussian,
    kowalik_osborne,
    meyer,
    osborne_1,
    watson,
)
from gdlab.problems.heat import heat_equation
from gdlab.problems.language import next_token
from gdlab.problems.regression import reconstruction, regression
from gdlab.problems.scatter import discriminant
from gdlab.problems.valleys import (
    beale,
    brown_badly_scaled,
    freudenstein_roth,
    helical_valley,
    himmelblau,
    jennrich_sampson,
    powell_badly_scaled,
    wood,
)

CATALOGUE = (
    rosenbrock,
    freudenstein_roth,
    powell_badly_scaled,
    brown_badly_scaled,
    beale,
    jennrich_sampson,
    helical_valley,
    bard,
    gaussian,
    meyer,
    box_3d,
    powell_singular,
    wood,
    kowalik_osborne,
    brown_dennis,
    osborne_1,
    biggs_exp6,
    watson,
    penalty_1,
    penalty_2,
    variably_dimensioned,
    trigonometric,
    brown_almost_linear,
    discrete_boundary_value,
    discrete_integral_equation,
    broyden_tridiagonal,
    broyden_banded,
    chebyquad,
    himmelblau,
)
"""The classical test functions in the order of More, Garbow, Hillstrom; each needs no arguments."""

__all__ = [
    "CATALOGUE",
    "classification",
    "discriminant",
    "from_function",
    "heat_equation",
    "least_squares",
    "next_token",
    "reconstruction",
    "regression",
    *(factory.__name__ for factory in CATALOGUE),
]
