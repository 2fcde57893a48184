"""What a species looks like, as plain data.

A flower is a stack of whorls (rings of equal petals) around a centre made of parts. Lengths
are fractions of the flower's radius, angles are degrees, colours are anything that
`PIL.ImageColor` reads. Nothing here draws.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Form = Literal["open", "cup", "bells", "spike", "umbel"]
"""How flowers sit on the plant: facing us, seen from the side, hanging, along a stem, in a ball."""

Pattern = Literal["plain", "veins", "stripe", "spots", "blotch", "rim", "star"]
"""What the accent colour draws on a petal."""

PartKind = Literal["disc", "cone", "stamens", "throat", "column", "spadix", "knob"]
"""What a centre is made of."""


@dataclass(frozen=True)
class Palette:
    """The colours of one petal.

    Attributes:
        base: Colour where the petal is attached.
        tip: Colour at its end.
        accent: Colour of its pattern.
    """

    base: str
    tip: str
    accent: str = "white"


@dataclass(frozen=True)
class Petal:
    """The shape and the pattern of one petal or leaf.

    Attributes:
        width: Greatest half-width, in lengths of the petal.
        taper: From 0, broad at the base, to 1, narrow at the base.
        pointedness: From 0, blunt, to 1, drawn out to a point.
        notch: Depth of the cleft at the tip, in lengths of the petal.
        fringe: Depth of the teeth at the tip, in lengths of the petal.
        ruffle: How far the margin waves, in half-widths.
        pattern: What the accent colour draws.
    """

    width: float = 0.3
    taper: float = 0.5
    pointedness: float = 0.2
    notch: float = 0.0
    fringe: float = 0.0
    ruffle: float = 0.03
    pattern: Pattern = "plain"


@dataclass(frozen=True)
class Whorl:
    """Equal petals around the axis, in one or more layers.

    Attributes:
        count: Petals in a layer.
        petal: Their shape.
        length: Length of a petal in the lowest layer.
        elevation: Angle of the petals above the flower's plane, 90 along the axis.
        curl: By how much the elevation grows from base to tip; negative bends back.
        layers: Layers, each shorter and steeper than the one below.
        palette: Their colours, or None for those of the variety.
        azimuths: Where each petal points, clockwise from the right, or empty for evenly spread.
    """

    count: int
    petal: Petal
    length: float = 1.0
    elevation: float = 8.0
    curl: float = 0.0
    layers: int = 1
    palette: Palette | None = None
    azimuths: tuple[float, ...] = ()


@dataclass(frozen=True)
class Part:
    """One part of a flower's centre.

    Attributes:
        kind: What it is.
        size: Its radius, or for `stamens`, `column` and `spadix` its length.
        colour: Main colour.
        accent: Colour of its ring, its anthers or its dots.
        height: How far it stands above the flower's plane.
    """

    kind: PartKind
    size: float
    colour: str
    accent: str = "#f2c52e"
    height: float = 0.0


@dataclass(frozen=True)
class Leaf:
    """The leaves of a species.

    Attributes:
        shape: Their outline.
        colour: Their colour.
    """

    shape: Petal
    colour: str = "#4d8040"


OVAL = Petal(width=0.3, taper=0.6, pointedness=0.6, pattern="veins")
BLADE = Petal(width=0.07, taper=0.2, pointedness=0.9, pattern="stripe")
LANCE = Petal(width=0.16, taper=0.5, pointedness=0.9, pattern="veins")
LOBED = Petal(width=0.42, taper=0.5, pointedness=0.6, ruffle=0.28, pattern="veins")
ROUND = Petal(width=0.48, taper=0.45, pointedness=0.1, ruffle=0.05, pattern="veins")


@dataclass(frozen=True)
class Species:
    """All that tells one class from another.

    Attributes:
        form: How the flowers sit on the plant.
        whorls: The rings of petals, the lowest first.
        varieties: Colours that occur in this species; a plant has one of them.
        centre: The parts in the middle, the lowest first.
        leaf: Its leaves.
        florets: Number of flowers on a stem, for the forms that have several.
    """

    form: Form
    whorls: tuple[Whorl, ...]
    varieties: tuple[Palette, ...]
    centre: tuple[Part, ...] = ()
    leaf: Leaf = field(default=Leaf(OVAL))
    florets: int = 1

    @property
    def is_bilateral(self) -> bool:
        """Whether the flower has an upside."""
        return any(whorl.azimuths for whorl in self.whorls)
