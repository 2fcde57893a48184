"""One configuration: defaults, then a YAML file, then flags; checked, and written to the run.

Everything that a flag can say, a file can say too, under the same name (`image_size` for
`--image-size`). The effective configuration is written to `RUN/config.yaml`, from which
`ensemble`, `report` and `predict` go on.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from automl_flowers.blending.pick import MOST_IN_SOUP, is_maximised
from automl_flowers.data.bad_images import parse_policy
from automl_flowers.data.caching import CacheMode
from automl_flowers.disk import GIGABYTE
from automl_flowers.durations import parse_seconds
from automl_flowers.errors import ConfigError, RunError
from automl_flowers.files import write_text
from automl_flowers.starting_weights import IMAGENET, Weights, parse_weights

if TYPE_CHECKING:
    from automl_flowers.data.label_mapping import LabelMap


def _as_list(value: object) -> object:
    """Let one value stand for a list of one, and `a,b` for a list of two."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int) else value


def _as_one(value: object) -> object:
    """Let one value stand for a list of one, commas and all."""
    return [value] if isinstance(value, str) else value


def _as_seconds(value: object) -> float:
    try:
        return parse_seconds(value)
    except ValueError as error:
        raise PydanticCustomError("seconds", "{sentence}", {"sentence": str(error)}) from None


def _as_pairs(value: object) -> object:
    """Let `label=flower,id=name` stand for a mapping."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",")]
    return {name.strip(): meaning.strip() for name, _, meaning in pairs}


def _as_switch(value: object) -> object:
    """Let YAML's own reading of a bare `on` and `off` be the words that they are."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


def _as_weights(value: object) -> Weights:
    try:
        return parse_weights(value)
    except ValueError as error:
        raise PydanticCustomError("weights", "{sentence}", {"sentence": str(error)}) from None


def _as_policy(value: object) -> str:
    try:
        return parse_policy(value)
    except ValueError as error:
        raise PydanticCustomError("bad_images", "{sentence}", {"sentence": str(error)}) from None


Names = Annotated[list[str], BeforeValidator(_as_list)]
Integers = Annotated[list[int], BeforeValidator(_as_list)]

DEFAULT_MAX_EPOCHS = {"demo": 4, "small": 6, "petals": 20}
"""Full horizon of the presets' trials; 12 for other spaces."""

SEARCH_SETTINGS = (
    "data",
    "record_features",
    "seed",
    "leaks",
    "space",
    "backbones",
    "image_size",
    "batch_size",
    "oracle",
    "max_epochs",
    "factor",
    "max_recipes",
    "objective",
    "weights",
    "precision",
    "probe",
    "enqueue",
)
"""What makes one search differ from another; the same run folder must keep them."""

DECIDED_SETTINGS = tuple(name for name in SEARCH_SETTINGS if name not in ("leaks", "precision"))
"""Those that an ensemble cannot have otherwise than the search had them."""


class RunConfig(pydantic.BaseModel):
    """All settings of a run.

    Attributes:
        data: Folder, TFRecords or glob; None for the embedded default.
        run: Run folder; None for one below `runs/` that is named after the settings.
        record_features: What TFRecords call the index of a class (`label`), the `id` and the
            picture (`image`), where these have unusual names; also written `label=flower,id=name`.
        seed: Any integer.
        space: Preset, YAML file or the content of one; None for `demo` with the embedded
            default, else `petals` with an accelerator and `small` without.
        backbones: Instead of the space's.
        image_size: Pixels, instead of the space's.
        batch_size: Images a step and replica, instead of the space's.
        oracle: What decides which recipe runs next, and for how long.
        max_epochs: Full horizon of a trial.
        factor: How many times fewer trials, and more epochs, each round has.
        time_budget: Seconds that the search may take, final fits included; may be written `90s`,
            `20m` or `3h`. Recipes are drawn as long as there is time.
        extend: Seconds more for a search that has ended.
        extended: Whether that was done.
        max_recipes: Distinct recipes to try; promotions are not counted.
        objective: What the search optimises, on the whole `val` split.
        weights: What backbones start from: `imagenet`, `none`, or a file for some of them.
        weights_sha256: Of those files, by backbone; filled in by the run.
        strategy: `auto`, `tpu`, `tpu:NAME`, `mirrored`, `gpu` or `cpu`.
        precision: `auto` or a Keras dtype policy.
        fresh_programs: Compile a program for every trial, with the same numbers as a reused
            one.
        probe: What a linear head on frozen features decides before the search: `drop` leaves out
            backbones that are far behind, `keep` none, `off` is without.
        enqueue: Recipes to begin with: a YAML file, or the content of one.
        cache: How decoded pictures are kept: `disk`, `memory`, `none`, or `auto` for the first of
            these that has room; changes no number.
        feature_bank: Whether what frozen layers compute is kept and used again; changes no number.
        feature_bank_gigabytes: Most disk that it takes.
        max_disk: Gigabytes that the run folder may take while searching.
        top: Members of the ensemble.
        external: More training data, for the ensemble; a folder of data sets stands for all of
            them, `FOLDER:NAME,NAME` for some.
        label_map: YAML file from external class names to ours, or the content of one; what stands
            below the name of a data set concerns that one.
        leaks: What is done with training and external images that are copies of evaluation
            images: `drop`, `warn`, `fail` or `keep`.
        bad_images: What is done about images that cannot be read: `skip` up to 1 % of a data set,
            or five of a small one, `fail` at the first, or the most that may be bad, such as `5%`.
        blend_weights: How members are weighted; `auto` as the data allow.
        ema: Momentum, a step, of the moving average of weights that members consist of; 0 for
            the weights themselves.
        pseudo_labels: Confidence with which a first ensemble must have labelled a test image for it
            to join the training set of a second one; None for no second one.
        seeds: Fits of each member that differ in their seed: their weights are averaged into one
            model where that predicts no worse than the mean of their probabilities.
        soup: Most recipes whose weights are averaged into each member's: others of the search with
            its backbone and image size, where log loss on `val` does not rise. None for as many
            as may be where the search has trained all that is needed, else for its own alone.
        folds: Parts of all labelled images, each predicted by models that were trained on the
            others; None for the run's own division.
        test_views: Views of an image that members are shown when they predict, where that lowers
            their log loss: 1, 2 with the mirror image, 4 with both closer.
        final_fit: Whether new images are predicted by models that were trained on the evaluation
            images, too. Scores are those of models that were not.
        probabilities: Whether probabilities of each class are written beside the submission.
        quiet: No progress.
        json_output: Results as JSON.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    data: str | None = None
    run: str | None = None
    record_features: Annotated[
        dict[Literal["label", "id", "image"], str], BeforeValidator(_as_pairs)
    ] = Field(default_factory=dict)
    seed: int = 0
    space: str | dict[str, Any] | None = None
    backbones: Names | None = None
    image_size: Integers | None = None
    batch_size: Integers | None = None
    oracle: Literal["hyperband", "pasha", "random", "bayesian", "grid"] = "hyperband"
    max_epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    factor: Annotated[int, Field(ge=2, le=100)] = 3
    time_budget: Annotated[float, BeforeValidator(_as_seconds)] | None = None
    extend: Annotated[float, BeforeValidator(_as_seconds)] | None = None
    extended: bool = False
    max_recipes: Annotated[int, Field(ge=1, le=100_000)] | None = None
    objective: Literal["macro_f1", "accuracy", "log_loss"] = "macro_f1"
    weights: Annotated[Weights, BeforeValidator(_as_weights)] = IMAGENET
    weights_sha256: dict[str, str] = Field(default_factory=dict)
    strategy: str = "auto"
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    fresh_programs: bool = False
    probe: Literal["drop", "keep", "off"] = "drop"
    enqueue: str | list[dict[str, Any]] | None = None
    cache: CacheMode = "auto"
    feature_bank: Annotated[Literal["on", "off"], BeforeValidator(_as_switch)] = "on"
    feature_bank_gigabytes: Annotated[float, Field(ge=0, le=1e6)] = 2.0
    max_disk: Annotated[float, Field(gt=0, le=1e9)] | None = None
    top: Annotated[int, Field(ge=1, le=100)] = 3
    external: Annotated[list[str], BeforeValidator(_as_one)] = Field(default_factory=list)
    label_map: str | dict[str, str | dict[str, str | None] | None] | None = None
    leaks: Literal["drop", "warn", "fail", "keep"] = "drop"
    bad_images: Annotated[str, BeforeValidator(_as_policy)] = "skip"
    blend_weights: Literal["auto", "optimized", "uniform"] = "auto"
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    pseudo_labels: Annotated[float, Field(gt=0, le=1)] | None = None
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    soup: Annotated[int, Field(ge=1, le=MOST_IN_SOUP)] | None = None
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    test_views: Literal[1, 2, 4] = 1
    final_fit: bool = False
    probabilities: bool = False
    quiet: bool = False
    json_output: bool = Field(default=False, alias="json")

    @property
    def maximise(self) -> bool:
        """Whether a higher objective is better."""
        return is_maximised(self.objective)

    @property
    def is_endless(self) -> bool:
        """Whether time ends the search, not a number of recipes."""
        return self.time_budget is not None and (self.max_recipes is None or self.extended)

    @property
    def max_bytes(self) -> int | None:
        """Bytes that the run folder may take while searching, or None."""
        return None if self.max_disk is None else int(GIGABYTE * self.max_disk)

    def search_settings(self) -> dict[str, Any]:
        """Return what makes this search differ from another, as plain data.

        Files of weights stand there by their content, wherever they lie.
        """
        settings = {name: getattr(self, name) for name in SEARCH_SETTINGS}
        if self.weights_sha256:
            settings["weights"] = self.weights_sha256
        return settings

    def digits(self) -> str:
        """Return six hexadecimal digits of the search settings."""
        text = json.dumps(self.search_settings(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:6]


def make_config(flags: Mapping[str, Any], file: Path | None = None) -> RunConfig:
    """Return the configuration: defaults, then a file's settings, then flags.

    Args:
        flags: By name; None means "not given".
        file: A YAML file, or None.

    Raises:
        ConfigError: If a setting is unknown or its value does not hold up; all of them are
            named at once.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    return parse_config({**(read_yaml(file) if file else {}), **given})


def parse_config(settings: Mapping[str, Any]) -> RunConfig:
    """Check settings and return them as a configuration.

    Raises:
        ConfigError: If a setting is unknown or its value does not hold up.
    """
    try:
        return RunConfig.model_validate(settings)
    except pydantic.ValidationError as error:
        raise ConfigError("; ".join(_sentence(item) for item in error.errors())) from None


def _sentence(item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else "settings"
    if item["type"] == "extra_forbidden":
        valid = sorted(field.alias or n for n, field in RunConfig.model_fields.items())
        close = difflib.get_close_matches(name, valid, n=1)
        suggestion = f" Did you mean {close[0]!r}?" if close else f" Settings: {', '.join(valid)}."
        return f"There is no setting {name!r}.{suggestion}"
    return f"`{name}`: {item['msg'].lower()}, got {item['input']!r}"


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ConfigError: If it cannot be read or holds no mapping.
    """
    content = load_yaml(file)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(
            f"`{file}` must hold settings, one `name: value` a line.",
            hint="docs/settings.md lists the settings",
        )
    return content


def read_label_map(given: str | Mapping[str, Any] | None) -> LabelMap:
    """Return a label map: external class names to ours, or to None.

    Args:
        given: A YAML file, the content of one, or None for an empty map.

    Raises:
        ConfigError: If the file cannot be read or holds no mapping.
    """
    return read_yaml(Path(given)) if isinstance(given, str) else given or {}


def load_yaml(file: Path) -> Any:
    """Return what a YAML file holds.

    Raises:
        ConfigError: If it cannot be read.
    """
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"`{file}` cannot be read: {_reason(error)}.",
            hint="give a YAML file in UTF-8, with one `name: value` a line",
        ) from error


def _reason(error: Exception) -> str:
    """Return why a YAML file cannot be read, as the end of one sentence."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return str(error).replace("\n", " ")
    return f"in line {mark.line + 1}, {problem}"


def write_config(config: RunConfig, file: Path) -> None:
    """Write the effective configuration, but for what only concerns one call."""
    settings = config.model_dump(exclude={"run", "quiet", "json_output", "extend"})
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    if yaml.safe_load(text) != settings:  # PyYAML writes U+0085 as it is and reads a line break
        text = yaml.safe_dump(settings, sort_keys=False)
    write_text(file, text)


def check_same_search(
    config: RunConfig, file: Path, names: Iterable[str] = SEARCH_SETTINGS
) -> None:
    """Refuse to go on with a run whose search settings differ.

    Args:
        config: Of this call.
        file: `config.yaml` of the run; nothing is checked if it does not exist.
        names: Settings to compare, some of `SEARCH_SETTINGS`.

    Raises:
        RunError: Naming each setting that differs, with both values.
    """
    if not file.exists():
        return
    before = parse_config(read_yaml(file)).search_settings()
    now = config.search_settings()
    differing = [name for name in names if before[name] != now[name]]
    if differing:
        listed = "; ".join(f"`{n}` was {before[n]!r}, now {now[n]!r}" for n in differing)
        raise RunError(
            f"Run `{file.parent}` was started with other settings: {listed}.",
            hint="choose another folder with `--run`, or give the same settings again",
        )
