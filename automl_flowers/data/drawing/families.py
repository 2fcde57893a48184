"""Building blocks of the catalogue: colours, leaves, and one builder for each kind of flower.

The builders only fill in what members of a family share; `traits` says what the numbers mean.
"""

from __future__ import annotations

from automl_flowers.data.drawing.traits import (
    BLADE,
    LANCE,
    LOBED,
    OVAL,
    ROUND,
    Leaf,
    Palette,
    Part,
    Petal,
    Species,
    Whorl,
)

YELLOW = Palette("#e59a12", "#f6c928", "#8a3a14")
GOLD = Palette("#f0b81c", "#f8d838", "#b8860b")
ORANGE = Palette("#e0641a", "#f08a24", "#7a2410")
RED = Palette("#a3121f", "#d42a34", "#3a0a12")
CRIMSON = Palette("#8c0f2e", "#bf1f4a", "#4a0a1c")
PINK = Palette("#d9699f", "#f0a6c6", "#a32868")
ROSE = Palette("#e9a6bd", "#f6d3dd", "#c0557f")
MAGENTA = Palette("#a01f6f", "#cf4a9c", "#5c1042")
PURPLE = Palette("#6a2f8f", "#9758ba", "#3a1656")
MAUVE = Palette("#a765ad", "#cf98d2", "#6f2a74")
LILAC = Palette("#a98fd0", "#d0bfea", "#6b4aa0")
BLUE = Palette("#3a48a8", "#6478d4", "#20245e")
VIOLET = Palette("#45309a", "#6a52c4", "#1f1456")
WHITE = Palette("#eee9dc", "#fdfcf8", "#c9c0a0")
CREAM = Palette("#f0dfa0", "#faf2d4", "#c8a850")
GREENISH = Palette("#b9cc86", "#dfe6c0", "#7c9a4c")

FELTED = Leaf(LANCE, "#7f9a83")
DARK = Leaf(OVAL, "#35553a")
GRASSY = Leaf(BLADE, "#5f8f4f")
HAND = Leaf(LOBED, "#568a46")
PAD = Leaf(ROUND, "#4f8f4c")
WILLOW = Leaf(LANCE, "#5b8a48")


def daisy_like(
    rays: int,
    petal: Petal,
    disc: Part,
    *varieties: Palette,
    layers: int = 1,
    elevation: float = 8.0,
    curl: float = 0.0,
    leaf: Leaf = WILLOW,
) -> Species:
    """Return a flower of narrow rays around a disc."""
    whorl = Whorl(rays, petal, elevation=elevation, curl=curl, layers=layers)
    return Species("open", (whorl,), varieties, (disc,), leaf)


def open_flower(
    count: int,
    petal: Petal,
    centre: tuple[Part, ...],
    *varieties: Palette,
    layers: int = 1,
    elevation: float = 14.0,
    curl: float = 0.0,
    leaf: Leaf = HAND,
) -> Species:
    """Return a flower that opens flat or as a shallow bowl, seen from the front."""
    whorl = Whorl(count, petal, elevation=elevation, curl=curl, layers=layers)
    return Species("open", (whorl,), varieties, centre, leaf)


def lily_like(
    outer: Petal,
    inner: Petal,
    centre: tuple[Part, ...],
    *varieties: Palette,
    elevation: float = 32.0,
    curl: float = -45.0,
    leaf: Leaf = WILLOW,
) -> Species:
    """Return a flower of three outer and three inner petals."""
    whorls = tuple(
        Whorl(3, petal, azimuths=azimuths, elevation=elevation, curl=curl)
        for petal, azimuths in ((outer, (30, 150, 270)), (inner, (90, 210, 330)))
    )
    return Species("open", whorls, varieties, centre, leaf)


def cup_flower(
    count: int,
    petal: Petal,
    *varieties: Palette,
    layers: int = 2,
    elevation: float = 70.0,
    curl: float = 20.0,
    centre: tuple[Part, ...] = (),
    leaf: Leaf = GRASSY,
) -> Species:
    """Return a flower of upright petals, seen from the side."""
    whorl = Whorl(count, petal, elevation=elevation, curl=curl, layers=layers)
    return Species("cup", (whorl,), varieties, centre, leaf)


def many_layered(
    count: int,
    petal: Petal,
    layers: int,
    *varieties: Palette,
    elevation: float = 8.0,
    curl: float = 12.0,
    centre: tuple[Part, ...] = (),
    leaf: Leaf = DARK,
) -> Species:
    """Return a double flower: layers that grow shorter and steeper inwards."""
    whorl = Whorl(count, petal, elevation=elevation, curl=curl, layers=layers)
    return Species("open", (whorl,), varieties, centre, leaf)


def ball_of(
    count: int,
    petal: Petal,
    florets: int,
    eye: tuple[Part, ...],
    *varieties: Palette,
    leaf: Leaf = WILLOW,
) -> Species:
    """Return a ball of small flat flowers."""
    return Species("umbel", (Whorl(count, petal),), varieties, eye, leaf, florets)


def spike_of(
    whorls: tuple[Whorl, ...],
    florets: int,
    *varieties: Palette,
    centre: tuple[Part, ...] = (),
    leaf: Leaf = WILLOW,
) -> Species:
    """Return flowers along an upright stem."""
    return Species("spike", whorls, varieties, centre, leaf, florets)


def bells_of(
    count: int,
    petal: Petal,
    florets: int,
    *varieties: Palette,
    curl: float = -22.0,
    leaf: Leaf = WILLOW,
) -> Species:
    """Return flowers that hang from an arching stem."""
    whorl = Whorl(count, petal, elevation=72, curl=curl)
    return Species("bells", (whorl,), varieties, (), leaf, florets)


def lipped_whorls(upper: Petal, lower: Petal, lip: Palette | None = None) -> tuple[Whorl, ...]:
    """Return the whorls of a flower with two petals up, two to the sides and a lip down."""
    return (
        Whorl(2, upper, azimuths=(238, 302), elevation=25),
        Whorl(2, lower, azimuths=(160, 20), length=0.8),
        Whorl(1, lower, azimuths=(90,), length=0.85, elevation=20, palette=lip),
    )


def orchid_like(sepal: Petal, petal: Petal, lip: Palette, *varieties: Palette) -> Species:
    """Return an orchid: three sepals, two petals and a lip."""
    whorls = (
        Whorl(3, sepal, azimuths=(270, 40, 140)),
        Whorl(2, petal, azimuths=(185, 355), length=0.95),
        Whorl(3, Petal(0.4, 0.4, 0.1, ruffle=0.12), length=0.4, azimuths=(50, 90, 130),
              elevation=35, palette=lip),
    )  # fmt: skip
    centre = (Part("knob", 0.09, "#f2e6c8", "#d9a520", 0.1),)
    return Species("open", whorls, varieties, centre, Leaf(OVAL, "#4a7a4a"))


def iris_like(*varieties: Palette) -> Species:
    """Return an iris: three falls and three standards."""
    fall = Petal(0.36, 0.75, 0.1, ruffle=0.08, pattern="veins")
    standard = Petal(0.28, 0.6, 0.25, ruffle=0.08)
    whorls = (
        Whorl(3, fall, azimuths=(90, 205, 335), curl=-40),
        Whorl(3, standard, azimuths=(30, 150, 270), length=0.85, elevation=50, curl=25),
    )
    return Species("open", whorls, varieties, (Part("throat", 0.2, "#e8c840"),), GRASSY)


def stamens(size: float, filament: str, anther: str) -> Part:
    """Return a ring of stamens, as long as `size`."""
    return Part("stamens", size, filament, anther)
