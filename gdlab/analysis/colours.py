"""Two hyper-parameters as one colour: the a* and b* of CIELAB at one lightness.

The square of both is drawn in, in every direction from its centre, as far as sRGB reaches there: hues stay,
neighbours look alike, and different settings get different colours. Hamid et al. 2019, section 4.2.
Conversion: CIE 15 (L*a*b*, D65, 2 degrees) and IEC 61966-2-1 (sRGB).
"""

import numpy as np

from gdlab.analysis.hyper import levels

LIGHTNESS = 65.0
REACH = 70.0  # a* and b* run from -REACH to REACH, less where sRGB ends before
_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_LINEAR = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
_HALVINGS = 24  # of the search for the border of sRGB


def cielab(a, b, lightness: float = LIGHTNESS) -> list[str]:
    """ "#rrggbb" for each pair of a, b in [0, 1]: a from green to red, b from blue to yellow, 0.5 is neither.

    Low values of both are cyan, high ones orange-red, as in the paper's legend. Values outside are
    clamped; grey ("#808080") where one is not finite. lightness in [0, 100].
    Raises ValueError for another.
    """
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in _pixels(a, b, lightness)]


def legend(size: int, lightness: float = LIGHTNESS) -> np.ndarray:
    """The square of all colours: [size, size] uint32 RGBA (red in the lowest byte), a along the last axis, b
    upwards from the first row. Raises ValueError below 2."""
    if size < 2:
        raise ValueError(f"size={size!r}: allowed: an integer >= 2")
    along = np.linspace(0, 1, size)
    red, green, blue = _pixels(np.tile(along, size), np.repeat(along, size), lightness).astype(np.uint32).T
    return (red | green << 8 | blue << 16 | np.uint32(0xFF000000)).reshape(size, size)


def positions(values) -> np.ndarray:
    """A hyper-parameter [M] as [M] in [0, 1]: its distinct values evenly apart, ascending; one value: 0.5.

    A grid of 0.01 * 0.9^i is then as regular as it was meant to be. NaN where a number or a text is missing.
    """
    distinct, place = levels(values)
    spread = place / (len(distinct) - 1) if len(distinct) > 1 else np.full(len(place), 0.5)
    return np.where(place >= 0, spread, np.nan)


def to_srgb(lab) -> np.ndarray:
    """CIELAB [..., 3] as sRGB [..., 3], in [0, 1] where it lies inside sRGB."""
    lightness, a, b = np.moveaxis(np.asarray(lab, float), -1, 0)
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = _WHITE * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    linear = xyz @ _TO_LINEAR.T
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear > 0.0031308, curved, 12.92 * linear)


def _pixels(a, b, lightness):
    """Bytes [n, 3]; a line from grey to the border of the square is as long as sRGB lets it be."""
    if not 0 <= lightness <= 100:
        raise ValueError(f"lightness={lightness!r}: allowed: 0 to 100")
    plane = np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in (a, b))), axis=-1)
    known = np.isfinite(plane).all(axis=-1)
    chroma = np.where(known[:, None], np.clip(plane, 0, 1) * 2 - 1, 0) * REACH
    # Cutting off what lies outside, instead, would give one colour to all of it.
    far = np.abs(chroma).max(axis=1, keepdims=True)
    border = np.divide(REACH * chroma, far, out=np.zeros_like(chroma), where=far > 0)
    low, high = np.zeros(len(chroma)), np.ones(len(chroma))
    inside = _is_inside(border, high, lightness)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = _is_inside(border, middle, lightness)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    colours = to_srgb(_lab(chroma, np.where(inside, 1.0, low), lightness))
    pixels = np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8)
    return np.where(known[:, None], pixels, np.uint8(128))


def _lab(chroma, share, lightness):
    return np.concatenate([np.full((len(chroma), 1), lightness), chroma * share[:, None]], axis=1)


def _is_inside(chroma, share, lightness):
    colours = to_srgb(_lab(chroma, share, lightness))
    return ((colours >= -1e-9) & (colours <= 1 + 1e-9)).all(axis=1)
