"""The 104 species: what each class of the competition looks like when this project draws it.

Entries are plain data, grouped by family, keyed by the competition's names. Members of a family
are look-alikes on purpose: mallow, tree mallow and wild geranium differ in the cleft of their
petals, in their throat and in their veins; daisy, osteospermum and gazania in the shape and
number of rays and in the disc. Many come in several colours, and families share them, so colour
alone tells little.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from automl_flowers.data.drawing.families import (
    BLUE,
    CREAM,
    CRIMSON,
    DARK,
    FELTED,
    GOLD,
    GRASSY,
    GREENISH,
    HAND,
    LILAC,
    MAGENTA,
    MAUVE,
    ORANGE,
    PAD,
    PINK,
    PURPLE,
    RED,
    ROSE,
    VIOLET,
    WHITE,
    WILLOW,
    YELLOW,
    ball_of,
    bells_of,
    cup_flower,
    daisy_like,
    iris_like,
    lily_like,
    lipped_whorls,
    many_layered,
    open_flower,
    orchid_like,
    spike_of,
    stamens,
)
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
from automl_flowers.data.labels import COMPETITION_CLASS_NAMES

_DAISIES = {
    "daisy": daisy_like(
        24, Petal(0.1, 0.5, 0.1), Part("disc", 0.27, "#f2b91c", "#d18a10", 0.05), WHITE,
        Palette("#f6f2ee", "#f7dfe6"),
    ),
    "cape flower": daisy_like(
        18, Petal(0.13, 0.55, 0.15), Part("disc", 0.24, "#e0a020", "#8a5a1c", 0.05), WHITE, ORANGE,
        Palette("#f5e6b8", "#fdfaf0"),
    ),
    "osteospermum": daisy_like(
        16, Petal(0.14, 0.5, 0.25), Part("disc", 0.21, "#3c3a66", "#a08a4a", 0.05), WHITE, MAUVE,
        Palette("#a888c8", "#f8f4fa", "#6a4a90"),
    ),
    "barberton daisy": daisy_like(
        26, Petal(0.1, 0.45, 0.3), Part("disc", 0.25, "#55331f", "#c9a04a", 0.04), ORANGE, RED,
        PINK, GOLD, layers=2, leaf=HAND,
    ),
    "gazania": daisy_like(
        16, Petal(0.15, 0.5, 0.5, pattern="stripe"), Part("disc", 0.24, "#b8741a", "#3a2012", 0.04),
        Palette("#2a1a10", "#f2a51e", "#a8321a"), Palette("#2a1a10", "#f7dd3a", "#d8641a"),
    ),
    "black-eyed susan": daisy_like(
        15, Petal(0.14, 0.5, 0.35), Part("cone", 0.24, "#2e1a14", "#4a2c1c"), YELLOW, GOLD,
        elevation=2,
    ),
    "sunflower": daisy_like(
        22, Petal(0.13, 0.5, 0.7), Part("disc", 0.42, "#3a2414", "#7a4a1c", 0.03), YELLOW, layers=2,
        leaf=PAD,
    ),
    "blanket flower": daisy_like(
        14, Petal(0.17, 0.65, 0.05, notch=0.12, fringe=0.12),
        Part("disc", 0.3, "#5a1f1c", "#8f3a20", 0.06), Palette("#a81f22", "#f2b42c"),
        Palette("#c23a1c", "#f6c93a"),
    ),
    "purple coneflower": daisy_like(
        15, Petal(0.13, 0.4, 0.2, notch=0.05), Part("cone", 0.3, "#8a3c1c", "#d9782a"), PINK, MAUVE,
        elevation=-14, curl=-20,
    ),
    "cosmos": daisy_like(
        8, Petal(0.3, 0.75, 0.0, fringe=0.08, pattern="veins"),
        Part("disc", 0.15, "#f0bb28", "#c98a14", 0.05), PINK, WHITE, MAGENTA,
    ),
    "colt's foot": daisy_like(
        44, Petal(0.045, 0.3, 0.1), Part("disc", 0.3, "#eeb01e", "#d99414", 0.04), GOLD, layers=2,
        leaf=PAD,
    ),
    "common dandelion": daisy_like(
        30, Petal(0.06, 0.3, 0.0, fringe=0.05), Part("knob", 0.1, "#e8a818"), GOLD, layers=5,
        elevation=4, leaf=HAND,
    ),
    "bishop of llandaff": daisy_like(
        10, Petal(0.27, 0.55, 0.4), Part("disc", 0.2, "#3a1414", "#e8b020", 0.06), RED, layers=2,
        leaf=Leaf(LANCE, "#3d3a36"),
    ),
}  # fmt: skip

_FIVE_PETALLED = {
    "pink primrose": open_flower(
        4, Petal(0.5, 0.7, 0.0, notch=0.14, pattern="veins"),
        (Part("throat", 0.3, "#e9e29a"), stamens(0.35, "#e6e0a0", "#d8b83a")), ROSE, PINK,
        leaf=WILLOW,
    ),
    "wild geranium": open_flower(
        5, Petal(0.46, 0.8, 0.0, notch=0.05, pattern="veins"),
        (stamens(0.28, "#e8d0e6", "#7a5a80"),), MAUVE, PINK, LILAC,
    ),
    "mallow": open_flower(
        5, Petal(0.42, 0.9, 0.0, notch=0.22, pattern="veins"),
        (Part("column", 0.25, "#ecd4e8", "#fbf2f8"),), MAUVE, PINK,
    ),
    "tree mallow": open_flower(
        5, Petal(0.46, 0.85, 0.0, notch=0.1, pattern="veins"),
        (Part("throat", 0.3, "#5a1a55"), Part("column", 0.25, "#d9b0d4", "#f6e4f2")), MAUVE,
        MAGENTA,
    ),
    "lilac hibiscus": open_flower(
        5, Petal(0.5, 0.75, 0.0, ruffle=0.05),
        (Part("throat", 0.3, "#6f1436"), Part("column", 0.4, "#f4ecd0", "#fdf8e6")), LILAC, MAUVE,
        leaf=DARK,
    ),
    "hibiscus": open_flower(
        5, Petal(0.52, 0.75, 0.0, ruffle=0.08),
        (Part("throat", 0.3, "#7d1226"), Part("column", 0.6, "#e8a0a0", "#f4cf40")), RED, ORANGE,
        PINK, YELLOW, leaf=DARK,
    ),
    "wild rose": open_flower(
        5, Petal(0.5, 0.75, 0.0, notch=0.16),
        (stamens(0.36, "#ead98a", "#e0b02a"), Part("knob", 0.08, "#c8c060", "#9aa040")), ROSE, PINK,
        WHITE, elevation=8, leaf=DARK,
    ),
    "buttercup": open_flower(
        5, Petal(0.46, 0.7, 0.0),
        (stamens(0.3, "#dcc83a", "#e0b820"), Part("knob", 0.12, "#a8b83a", "#d8c030")), GOLD,
        elevation=25, curl=14,
    ),
    "japanese anemone": open_flower(
        6, Petal(0.4, 0.6, 0.05),
        (stamens(0.26, "#e6d080", "#e8b41e"), Part("knob", 0.09, "#93a83c")), WHITE, ROSE,
        elevation=10,
    ),
    "windflower": open_flower(
        7, Petal(0.33, 0.5, 0.2),
        (stamens(0.28, "#3a3050", "#241c3c"), Part("knob", 0.12, "#2c2440", "#3a3058")), WHITE,
        BLUE, RED, MAUVE,
    ),
    "lenten rose": open_flower(
        5, Petal(0.48, 0.55, 0.25, pattern="spots"),
        (stamens(0.3, "#dfe0a0", "#d8c45a"), Part("knob", 0.08, "#a8b85a")), GREENISH,
        Palette("#8a4a68", "#b98098", "#4f1f38"), ROSE, leaf=DARK,
    ),
    "tree poppy": open_flower(
        6, Petal(0.5, 0.6, 0.0, ruffle=0.1),
        (stamens(0.4, "#e8c030", "#edb41c"), Part("knob", 0.2, "#f0be24", "#d99c12", 0.1)), WHITE,
        leaf=Leaf(LOBED, "#7d9a86"),
    ),
    "corn poppy": open_flower(
        4, Petal(0.62, 0.6, 0.0, ruffle=0.08, pattern="blotch"),
        (stamens(0.26, "#2a2028", "#1c1620"), Part("knob", 0.12, "#4c5a3a", "#2c3424")),
        Palette("#c41f1c", "#e23a28", "#1c1016"), elevation=22, curl=14,
    ),
    "californian poppy": open_flower(
        4, Petal(0.6, 0.65, 0.0, ruffle=0.04), (stamens(0.2, "#e89a1c", "#f0b832"),),
        Palette("#e8741a", "#f7a722"), Palette("#f08a18", "#f9cf3a"), elevation=34, curl=18,
        leaf=Leaf(LOBED, "#7a9a84"),
    ),
    "frangipani": open_flower(
        5, Petal(0.36, 0.6, 0.15), (Part("throat", 0.34, "#eeb020"),),
        Palette("#f5d060", "#fefcf4"), Palette("#f3c040", "#f2b8c8"), leaf=DARK,
    ),
    "desert-rose": open_flower(
        5, Petal(0.38, 0.65, 0.4, pattern="rim"), (Part("throat", 0.3, "#f3d9b0"),),
        Palette("#f7dfe4", "#f0a0b8", "#cf2a66"), Palette("#fbf0f0", "#f6d4dc", "#d8487c"),
        leaf=DARK,
    ),
    "balloon flower": open_flower(
        5, Petal(0.52, 0.35, 0.5, pattern="veins"), (stamens(0.2, "#e6e4f0", "#f4f2fa"),), VIOLET,
        BLUE, WHITE, leaf=DARK,
    ),
    "clematis": open_flower(
        7, Petal(0.3, 0.45, 0.45, pattern="stripe"), (stamens(0.3, "#efe6c8", "#c8b070"),), PURPLE,
        Palette("#8a4fc0", "#b48ae0", "#e6a0d0"), WHITE, PINK, leaf=DARK,
    ),
    "watercress": open_flower(
        5, Petal(0.46, 0.9, 0.0, ruffle=0.08, pattern="veins"), (Part("throat", 0.26, "#a8321a"),),
        ORANGE, YELLOW, leaf=PAD,
    ),
    "wild pansy": Species(
        "open",
        (
            Whorl(2, Petal(0.5, 0.6, 0.0), azimuths=(235, 305), palette=PURPLE),
            Whorl(3, Petal(0.5, 0.6, 0.0, pattern="veins"), azimuths=(160, 20, 90), length=0.9),
        ),
        (
            Palette("#f4d040", "#f7e68a", "#2c1238"), Palette("#f2c82a", "#8f6ac4", "#2c1238"),
            Palette("#f6d848", "#fbf6dc", "#3a1a48"),
        ),
        (Part("throat", 0.14, "#f0b81e"),), Leaf(LANCE),
    ),
    "columbine": Species(
        "open",
        (
            Whorl(5, Petal(0.24, 0.5, 0.7)),
            Whorl(5, Petal(0.42, 0.4, 0.0), length=0.58, elevation=46, palette=WHITE),
        ),
        (BLUE, PINK, PURPLE, RED), (stamens(0.3, "#f0e08a", "#e6b820"),), HAND,
    ),
    "passion flower": Species(
        "open",
        (
            Whorl(10, Petal(0.22, 0.4, 0.35), palette=Palette("#dfe3c8", "#f6f4ee")),
            Whorl(44, Petal(0.03, 0.2, 0.1), length=0.66, elevation=10),
        ),
        (Palette("#4a1a5c", "#5a6ad0"), Palette("#5a1a4c", "#a06ad0")),
        (Part("knob", 0.15, "#b8c46a", "#7a8a3a", 0.1), stamens(0.46, "#c8cc7a", "#d8b030")), HAND,
    ),
    "gaura": Species(
        "open", (Whorl(4, Petal(0.3, 0.9, 0.15), azimuths=(195, 245, 295, 345)),),
        (WHITE, ROSE, PINK), (stamens(0.6, "#f4e4e8", "#c8788a"),), WILLOW,
    ),
    "love in the mist": Species(
        "open",
        (
            Whorl(14, Petal(0.025, 0.2, 0.8), length=1.05, palette=Palette("#5c8a48", "#86aa60")),
            Whorl(6, Petal(0.3, 0.6, 0.5), length=0.85, layers=2),
        ),
        (BLUE, LILAC, WHITE), (stamens(0.26, "#5a5a9a", "#3a3a70"), Part("knob", 0.12, "#7a9a5a")),
        Leaf(BLADE),
    ),
}  # fmt: skip

_TRUMPETS = {
    "petunia": open_flower(
        5, Petal(0.72, 0.3, 0.0, notch=0.05, ruffle=0.06, pattern="veins"),
        (Part("throat", 0.26, "#4a1a4a"),), MAGENTA, PURPLE, WHITE, PINK, RED, elevation=18,
        leaf=Leaf(OVAL),
    ),
    "morning glory": open_flower(
        5, Petal(0.75, 0.3, 0.0, ruffle=0.02, pattern="star"), (Part("throat", 0.3, "#fff8e0"),),
        Palette("#5f52c0", "#4253c8", "#a88ae0"), Palette("#c890d0", "#8a35a8", "#d094d4"),
        Palette("#d86a9a", "#c03a78", "#f0b0cc"), elevation=22, curl=-20, leaf=PAD,
    ),
    "mexican petunia": open_flower(
        5, Petal(0.62, 0.4, 0.0, notch=0.1, ruffle=0.1, pattern="stripe"),
        (Part("throat", 0.2, "#4a2a70"),), PURPLE, LILAC, MAUVE, elevation=16, leaf=WILLOW,
    ),
    "silverbush": open_flower(
        5, Petal(0.74, 0.3, 0.05, ruffle=0.02, pattern="stripe"), (Part("throat", 0.3, "#e8c83a"),),
        Palette("#f6efd0", "#fefdfb", "#f3d4dc"), elevation=22, leaf=FELTED,
    ),
    "thorn apple": open_flower(
        5, Petal(0.62, 0.3, 0.6, pattern="stripe"), (Part("throat", 0.26, "#b8c890"),), WHITE,
        Palette("#d8c0e0", "#f4ecf8", "#8a5aa0"), elevation=32, curl=-25, leaf=HAND,
    ),
    "stemless gentian": open_flower(
        5, Petal(0.62, 0.35, 0.45, pattern="spots"), (Part("throat", 0.3, "#2a4a4a"),),
        Palette("#26309a", "#3f56d8", "#4a7a4a"), elevation=34, curl=-22, leaf=WILLOW,
    ),
    "azalea": open_flower(
        5, Petal(0.44, 0.65, 0.2, ruffle=0.08, pattern="spots"),
        (stamens(0.6, "#f3c0d4", "#8a3a50"),), PINK, MAGENTA, WHITE, ORANGE, leaf=DARK,
    ),
    "trumpet creeper": Species(
        "umbel", (Whorl(5, Petal(0.42, 0.4, 0.0), elevation=30, curl=-30),),
        (Palette("#c8421a", "#e8682a"), Palette("#b8301c", "#dc4a28")),
        (Part("throat", 0.42, "#8a1c14"),), Leaf(OVAL, "#4a7a40"), 6,
    ),
}  # fmt: skip

_LILIES = {
    "tiger lily": lily_like(
        Petal(0.2, 0.5, 0.7, pattern="spots"), Petal(0.27, 0.5, 0.6, pattern="spots"),
        (stamens(0.62, "#f5c27a", "#7a2d12"),), Palette("#f0752a", "#ee8a1f", "#5b1c10"), curl=-58,
    ),
    "blackberry lily": lily_like(
        Petal(0.22, 0.6, 0.35, pattern="spots"), Petal(0.2, 0.6, 0.35, pattern="spots"),
        (stamens(0.4, "#f0b060", "#d89030"),), Palette("#f2a03a", "#ee7a26", "#a01c14"),
        elevation=10, curl=0, leaf=GRASSY,
    ),
    "fire lily": lily_like(
        Petal(0.16, 0.5, 0.8, ruffle=0.25), Petal(0.16, 0.5, 0.8, ruffle=0.25),
        (stamens(0.7, "#dfe08a", "#b8801c"),), Palette("#f4cf30", "#d8261c"),
        Palette("#f2b82a", "#e0481c"), elevation=30, curl=-40,
    ),
    "peruvian lily": lily_like(
        Petal(0.32, 0.6, 0.2), Petal(0.2, 0.6, 0.6, pattern="stripe"),
        (stamens(0.5, "#f0c0b0", "#7a5a50"),), Palette("#f3d04a", "#ee8a9a", "#7a1c2c"),
        Palette("#f4d860", "#f0a040", "#8a2a1c"), PINK, elevation=22, curl=-15,
    ),
    "toad lily": lily_like(
        Petal(0.18, 0.5, 0.55, pattern="spots"), Petal(0.15, 0.5, 0.65, pattern="spots"),
        (stamens(0.5, "#e8dff0", "#7a4a90"), Part("knob", 0.1, "#b88ac0")),
        Palette("#ece4f0", "#f6f2fa", "#6a2a84"), Palette("#d8c0e0", "#eadcf2", "#5a1a70"),
        elevation=14, curl=0,
    ),
    "hippeastrum": lily_like(
        Petal(0.38, 0.45, 0.45, pattern="stripe"), Petal(0.36, 0.45, 0.5, pattern="stripe"),
        (stamens(0.6, "#f6e0d0", "#e8c840"),), Palette("#b8141c", "#d6262c", "#8a0c14"),
        Palette("#d8384a", "#e8606a", "#fdf6f0"), Palette("#f4efe4", "#fdfaf4", "#d8384a"),
        elevation=26, curl=-22, leaf=GRASSY,
    ),
    "yellow iris": iris_like(Palette("#e8a818", "#f6d632", "#8a5014")),
    "iris": iris_like(
        Palette("#e9dfa0", "#5a3fa8", "#2e1a66"), Palette("#f5efc0", "#8f7fd6", "#4e3a96"),
        Palette("#f0e4b0", "#f6f2ea", "#9a86c8"), Palette("#e8c060", "#a85a8a", "#5c1a40"),
    ),
    "daffodil": Species(
        "open",
        (
            Whorl(6, Petal(0.3, 0.4, 0.5)),
            Whorl(
                7, Petal(0.55, 0.2, 0.0, fringe=0.1, ruffle=0.1), length=0.42, elevation=62,
                curl=-20, palette=Palette("#d98a10", "#f5a71c"),
            ),
        ),
        (Palette("#f5df66", "#f7ea90"), Palette("#f0c424", "#f6d83a"), WHITE),
        (stamens(0.14, "#e8c040", "#f0c830"),), GRASSY,
    ),
}  # fmt: skip

_CUPS = {
    "common tulip": cup_flower(
        3, Petal(0.42, 0.3, 0.45), Palette("#e8b23a", "#d3242f"), GOLD, PINK, PURPLE,
        Palette("#f6ecd8", "#fdf8f2"), Palette("#d8301c", "#f2a42a"), leaf=Leaf(BLADE, "#5d8f67"),
    ),
    "spring crocus": cup_flower(
        3, Petal(0.34, 0.4, 0.35, pattern="stripe"), PURPLE, LILAC, WHITE, GOLD, elevation=66,
        curl=18, centre=(Part("column", 0.5, "#e8801c", "#f0a030"),),
    ),
    "siam tulip": cup_flower(
        5, Petal(0.3, 0.35, 0.5), PINK, MAUVE, ROSE, layers=3, elevation=48, curl=10, leaf=WILLOW,
    ),
    "magnolia": cup_flower(
        5, Petal(0.34, 0.5, 0.25), Palette("#c0588a", "#f4dce4"), Palette("#e8b8cc", "#fdf8f6"),
        WHITE, elevation=50, curl=22, centre=(Part("knob", 0.14, "#a8b060", "#8a5a4a", 0.2),),
        leaf=DARK,
    ),
    "lotus": cup_flower(
        7, Petal(0.3, 0.45, 0.5), Palette("#f6e6d8", "#e888a8"), Palette("#fbf4ec", "#f3b8c8"),
        layers=2, elevation=36, curl=20, centre=(Part("cone", 0.2, "#e0c840", "#b8b040"),),
        leaf=PAD,
    ),
    "globe-flower": cup_flower(
        6, Petal(0.5, 0.4, 0.05), GOLD, Palette("#f2b41c", "#f8cf2c"), elevation=62, curl=60,
        leaf=HAND,
    ),
    "bolero deep blue": cup_flower(
        5, Petal(0.48, 0.4, 0.1, ruffle=0.06), VIOLET, PURPLE, layers=3, elevation=46, curl=10,
        leaf=FELTED,
    ),
    "cyclamen": Species(
        "cup", (Whorl(5, Petal(0.34, 0.5, 0.3, ruffle=0.05), elevation=58, curl=-16),),
        (PINK, MAGENTA, WHITE, Palette("#c02a60", "#f0a0c0")), (Part("throat", 0.3, "#8a1c50"),),
        Leaf(ROUND, "#4a6f56"),
    ),
    "king protea": Species(
        "cup", (Whorl(14, Petal(0.13, 0.3, 0.75), elevation=38, curl=15, layers=3),),
        (Palette("#c87a8a", "#e8a8ac"), Palette("#d89aa0", "#f2d0cc")),
        (Part("cone", 0.42, "#eadfd0", "#d8a8a0"),), DARK,
    ),
    "spear thistle": Species(
        "cup",
        (
            Whorl(
                16, Petal(0.09, 0.2, 0.9), length=0.55, elevation=52, curl=35, layers=3,
                palette=Palette("#4f7a44", "#8aa86a"),
            ),
            Whorl(34, Petal(0.035, 0.2, 0.3), length=1.0, elevation=72, curl=-12, layers=2),
        ),
        (MAGENTA, MAUVE, PURPLE), (), Leaf(LOBED, "#5a8052"),
    ),
    "artichoke": Species(
        "cup",
        (
            Whorl(
                9, Petal(0.3, 0.25, 0.6), length=0.72, elevation=48, curl=40, layers=4,
                palette=Palette("#5c7a4c", "#8f9a70"),
            ),
            Whorl(34, Petal(0.035, 0.2, 0.3), length=0.95, elevation=72, curl=-10, layers=2),
        ),
        (VIOLET, PURPLE), (), Leaf(LOBED, "#7a947c"),
    ),
    "giant white arum lily": Species(
        "cup",
        (
            Whorl(2, Petal(0.62, 0.35, 0.5), azimuths=(255, 285), elevation=48, curl=-15),
            Whorl(1, Petal(0.6, 0.35, 0.4), azimuths=(90,), length=0.6, elevation=62, curl=-40),
        ),
        (WHITE,), (Part("spadix", 0.6, "#e8b81c", "#f6d84a"),), Leaf(OVAL, "#3f7a44"),
    ),
}  # fmt: skip

_MANY_LAYERED = {
    "rose": many_layered(
        6, Petal(0.5, 0.5, 0.05, notch=0.06, ruffle=0.08), 6, RED, PINK, CREAM, ROSE, YELLOW,
        elevation=12, curl=18,
    ),
    "camellia": many_layered(
        7, Petal(0.42, 0.5, 0.1, notch=0.04), 6, PINK, RED, ROSE, WHITE, elevation=4, curl=8,
    ),
    "carnation": many_layered(
        8, Petal(0.42, 0.6, 0.0, fringe=0.12, ruffle=0.1), 6, PINK, RED, ROSE, WHITE,
        Palette("#c02848", "#f2c4cc"), elevation=10, curl=14, leaf=Leaf(BLADE, "#7a9a86"),
    ),
    "marigold": many_layered(
        12, Petal(0.27, 0.55, 0.0, fringe=0.06, ruffle=0.12), 6, ORANGE, YELLOW, GOLD,
    ),
    "orange dahlia": many_layered(
        12, Petal(0.2, 0.5, 0.45), 6, ORANGE, Palette("#e8481c", "#f2782a"), curl=16,
    ),
    "pink-yellow dahlia": many_layered(
        13, Petal(0.19, 0.5, 0.5), 6, Palette("#f2cc4a", "#ee92a8"), Palette("#f4d86a", "#e86a94"),
        curl=16,
    ),
    "water lily": many_layered(
        11, Petal(0.2, 0.5, 0.6), 4, PINK, WHITE, ROSE, Palette("#f6e8b0", "#f0a0b8"), elevation=12,
        curl=14, centre=(stamens(0.3, "#f0c030", "#e8a81c"),), leaf=PAD,
    ),
    "poinsettia": many_layered(
        7, Petal(0.27, 0.5, 0.75, pattern="veins"), 3, Palette("#b0141c", "#d8242a", "#7a0c12"),
        Palette("#e8a0a0", "#f4c8c0", "#c86a6a"),
        centre=(Part("knob", 0.12, "#b8c040", "#e8c030", 0.05),),
    ),
    "bromelia": many_layered(
        12, Petal(0.12, 0.3, 0.85), 4, Palette("#c81c2c", "#e8484a"), Palette("#d8486a", "#4f8a48"),
        Palette("#e8801c", "#c8281c"), elevation=16, leaf=GRASSY,
    ),
    "globe thistle": many_layered(
        26, Petal(0.06, 0.3, 0.9), 8, Palette("#3a4a8a", "#8a9ad4"), Palette("#4a5a9a", "#a8b4dc"),
        elevation=0, curl=0, leaf=Leaf(LOBED, "#6f8a70"),
    ),
    "bee balm": many_layered(
        18, Petal(0.08, 0.5, 0.35, notch=0.1), 4, RED, PINK, MAUVE, MAGENTA, elevation=4, curl=-25,
        centre=(Part("knob", 0.14, "#6a3a30", "#8a5a40"),), leaf=WILLOW,
    ),
    "great masterwort": Species(
        "open", (Whorl(15, Petal(0.15, 0.5, 0.7, pattern="veins"), layers=2),),
        (Palette("#dfe6cc", "#f3ece6", "#7a9a5c"), Palette("#e8c8d0", "#f0d8de", "#a04a6a")),
        (Part("disc", 0.42, "#e8d4d4", "#c08a98", 0.05), stamens(0.42, "#f2e4e6", "#d898a8")), HAND,
    ),
    "alpine sea holly": Species(
        "open", (Whorl(18, Petal(0.08, 0.35, 0.9, ruffle=0.4), elevation=12, layers=2),),
        (Palette("#4a5aa8", "#7a8ad0"), Palette("#5a6a9a", "#9aa8c8")),
        (Part("cone", 0.27, "#5a68b0", "#8a98d8"),), Leaf(LOBED, "#7f988f"),
    ),
    "pincushion flower": Species(
        "open", (Whorl(11, Petal(0.3, 0.6, 0.0, fringe=0.14, ruffle=0.14), layers=2),),
        (LILAC, MAUVE, WHITE, BLUE),
        (Part("disc", 0.36, "#d8cce8", "#b8a4d8", 0.05), stamens(0.44, "#e8e0f0", "#f8f4fc")),
        FELTED,
    ),
}  # fmt: skip

_BALLS = {
    "garden phlox": ball_of(
        5, Petal(0.45, 0.7, 0.0), 18, (Part("throat", 0.25, "#8a1a50"),), PINK, MAUVE,
        Palette("#d03060", "#f4f0f4"), WHITE,
    ),
    "sweet william": ball_of(
        5, Petal(0.45, 0.75, 0.0, fringe=0.14, pattern="rim"), 18,
        (Part("throat", 0.22, "#f6ecec"),), Palette("#8a1436", "#c02850", "#f8eef0"),
        Palette("#d85a8a", "#e888aa", "#fdf4f6"), Palette("#6a1030", "#a01c40", "#f0a0b8"),
    ),
    "primula": ball_of(
        5, Petal(0.48, 0.7, 0.0, notch=0.2), 13, (Part("throat", 0.36, "#f0c420"),), MAGENTA,
        PURPLE, RED, CREAM, leaf=Leaf(OVAL, "#6a9a4c"),
    ),
    "geranium": ball_of(5, Petal(0.36, 0.8, 0.05), 19, (), RED, PINK, WHITE, ORANGE, leaf=PAD),
    "wallflower": ball_of(
        4, Petal(0.46, 0.75, 0.0), 14, (Part("throat", 0.2, "#a88a1c"),), ORANGE, YELLOW, CRIMSON,
        GOLD,
    ),
    "bougainvillea": Species(
        "umbel", (Whorl(3, Petal(0.5, 0.35, 0.45, pattern="veins"), elevation=30, curl=16),),
        (
            MAGENTA, Palette("#c81c5a", "#e84a80", "#8a1040"),
            Palette("#d86a2a", "#f0a04a", "#a8401c"),
        ),
        (Part("knob", 0.12, "#f8f4dc", "#e8dca0", 0.3),), DARK, 10,
    ),
}  # fmt: skip

_SPIKES = {
    "snapdragon": spike_of(
        lipped_whorls(Petal(0.5, 0.6, 0.0), Petal(0.45, 0.6, 0.0)), 16,
        Palette("#f6d84a", "#ea6aa0"), Palette("#f6d84a", "#c83246"), Palette("#f6d84a", "#fbf4e4"),
        GOLD, centre=(Part("throat", 0.3, "#f2c832"),),
    ),
    "monkshood": spike_of(
        (
            Whorl(2, Petal(0.45, 0.5, 0.2), azimuths=(155, 25)),
            Whorl(1, Petal(0.55, 0.3, 0.0), azimuths=(90,), length=0.6),
            Whorl(2, Petal(0.62, 0.3, 0.1), azimuths=(262, 278), elevation=40, curl=30),
        ),
        15, VIOLET, BLUE, leaf=HAND,
    ),
    "sword lily": spike_of(
        (
            Whorl(3, Petal(0.36, 0.5, 0.3, ruffle=0.1), elevation=26),
            Whorl(3, Petal(0.36, 0.5, 0.3, ruffle=0.1), elevation=30),
        ),
        8, RED, PINK, WHITE, Palette("#f2d84a", "#ee8a5a"), PURPLE,
        centre=(Part("throat", 0.3, "#f0e0a0"),), leaf=GRASSY,
    ),
    "canna lily": spike_of(
        (
            Whorl(3, Petal(0.36, 0.6, 0.2, ruffle=0.12, pattern="spots"), elevation=20),
            Whorl(1, Petal(0.3, 0.5, 0.2, ruffle=0.12), azimuths=(90,), length=0.7),
        ),
        6, Palette("#f2b82a", "#e0401c", "#a81c14"), GOLD, RED, leaf=DARK,
    ),
    "foxglove": spike_of(
        (Whorl(5, Petal(0.42, 0.25, 0.0, pattern="spots"), elevation=66, curl=-18),), 16, PINK,
        MAUVE, WHITE, centre=(Part("throat", 0.3, "#7a2a5a"),), leaf=Leaf(OVAL),
    ),
    "grape hyacinth": spike_of(
        (Whorl(6, Petal(0.42, 0.4, 0.0), elevation=60, curl=40),), 26, BLUE, VIOLET, leaf=GRASSY,
    ),
    "red ginger": spike_of(
        (Whorl(3, Petal(0.36, 0.35, 0.3), elevation=50, curl=20),), 18, RED, CRIMSON, leaf=DARK,
    ),
    "prince of wales feathers": spike_of(
        (Whorl(9, Petal(0.13, 0.4, 0.8, ruffle=0.2), elevation=40),), 18, MAGENTA, RED, YELLOW,
        ORANGE, leaf=WILLOW,
    ),
    "pink quill": spike_of(
        (
            Whorl(
                2, Petal(0.36, 0.3, 0.4), azimuths=(250, 290), elevation=30,
                palette=Palette("#d8508a", "#ee8ab0"),
            ),
            Whorl(3, Petal(0.36, 0.5, 0.1), length=0.5, elevation=20),
        ),
        12, VIOLET, PURPLE, leaf=GRASSY,
    ),
    "cautleya spicata": spike_of(
        (
            Whorl(
                2, Petal(0.3, 0.4, 0.3), azimuths=(240, 300), palette=Palette("#7a1c2c", "#a83040"),
            ),
            Whorl(3, Petal(0.4, 0.6, 0.05), azimuths=(30, 90, 150), length=0.9),
        ),
        12, GOLD, YELLOW, leaf=DARK,
    ),
}  # fmt: skip

_BELLS = {
    "canterbury bells": bells_of(5, Petal(0.46, 0.2, 0.4), 6, VIOLET, LILAC, PINK, WHITE),
    "fritillary": bells_of(
        6, Petal(0.4, 0.25, 0.3, pattern="spots"), 2, Palette("#6a2a4a", "#8f4a68", "#d8a8b8"),
        Palette("#e8e0d0", "#f6f2ea", "#a8b88a"), curl=18, leaf=GRASSY,
    ),
}  # fmt: skip

_ODDITIES = {
    "hard-leaved pocket orchid": orchid_like(
        Petal(0.34, 0.5, 0.4, pattern="veins"), Petal(0.2, 0.5, 0.3), Palette("#d8b83a", "#8aa040"),
        Palette("#c8d88a", "#e8eac8", "#6a8a3a"), Palette("#e0d8a0", "#f3efd8", "#8a6a3a"),
    ),
    "moon orchid": orchid_like(
        Petal(0.34, 0.6, 0.15), Petal(0.62, 0.7, 0.0), Palette("#e8b82a", "#c8306a"), WHITE,
        Palette("#f0c0d8", "#e89ac4"), WHITE,
    ),
    "ruby-lipped cattleya": orchid_like(
        Petal(0.2, 0.5, 0.5), Petal(0.48, 0.6, 0.1, ruffle=0.12), Palette("#8a0c3a", "#c01c5a"),
        Palette("#e8b0d4", "#f0c8e0"), MAUVE, WHITE,
    ),
    "sweet pea": Species(
        "open",
        (
            Whorl(
                2, Petal(0.62, 0.5, 0.0, notch=0.06, ruffle=0.1), azimuths=(250, 290), elevation=20,
            ),
            Whorl(2, Petal(0.46, 0.5, 0.0), azimuths=(60, 120), length=0.6, elevation=35),
        ),
        (PINK, MAUVE, ROSE, PURPLE, WHITE, Palette("#f0a0b8", "#c83a6a")),
        (Part("throat", 0.2, "#f4e8ec"),), Leaf(OVAL),
    ),
    "bird of paradise": Species(
        "open",
        (
            Whorl(
                1, Petal(0.13, 0.3, 0.9), azimuths=(180,), length=1.1,
                palette=Palette("#4a7a4a", "#a83a4a"),
            ),
            Whorl(4, Petal(0.15, 0.4, 0.85), azimuths=(232, 258, 288, 318)),
            Whorl(
                1, Petal(0.09, 0.3, 0.9), azimuths=(345,), length=0.85,
                palette=Palette("#26308a", "#3f50c8"),
            ),
        ),
        (Palette("#e8641a", "#f7a51e"), Palette("#e87a1c", "#f8b82c")), (), Leaf(OVAL, "#4a7a56"),
    ),
    "anthurium": Species(
        "open",
        (
            Whorl(2, Petal(0.62, 0.2, 0.0), azimuths=(218, 322), length=0.62, elevation=4),
            Whorl(1, Petal(0.72, 0.25, 0.42), azimuths=(90,), elevation=4),
        ),
        (RED, Palette("#c81c24", "#e0343a", "#8a0c14"), ROSE, WHITE),
        (Part("spadix", 0.62, "#e8c040", "#f6e08a"),), Leaf(OVAL, "#3f7a44"),
    ),
}  # fmt: skip

SPECIES: Mapping[str, Species] = MappingProxyType(
    _DAISIES
    | _FIVE_PETALLED
    | _TRUMPETS
    | _LILIES
    | _CUPS
    | _MANY_LAYERED
    | _BALLS
    | _SPIKES
    | _BELLS
    | _ODDITIES
)
"""All species, by the competition's name."""

LOOK_ALIKES: tuple[tuple[str, ...], ...] = (
    ("wild geranium", "tree mallow", "wild rose"),
    ("daisy", "osteospermum", "gazania"),
    ("tiger lily", "blackberry lily", "peruvian lily"),
    ("common tulip", "spring crocus", "siam tulip"),
    ("petunia", "morning glory", "mexican petunia"),
    ("rose", "camellia", "carnation"),
    ("sunflower", "black-eyed susan", "barberton daisy"),
    ("garden phlox", "sweet william", "primula"),
)
"""Groups that are easily confused; the first groups make up the small data sets."""


def species_for(class_index: int) -> Species:
    """Return the species of a class.

    Args:
        class_index: The class's label in the competition, 0 to 103.
    """
    return SPECIES[COMPETITION_CLASS_NAMES[class_index]]


def choose_classes(num_classes: int) -> tuple[int, ...]:
    """Return which of the competition's classes a data set of `num_classes` has, in order.

    Few classes are no easy ones: they are taken from `LOOK_ALIKES`, a group at a time, and only
    then from the rest. All 104 are the competition's classes, in its order.

    Args:
        num_classes: How many, 0 to 104.
    """
    first = [COMPETITION_CLASS_NAMES.index(name) for group in LOOK_ALIKES for name in group]
    rest = [index for index in range(len(COMPETITION_CLASS_NAMES)) if index not in first]
    return tuple(sorted((first + rest)[:num_classes]))
