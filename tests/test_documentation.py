"""The documentation: it builds, and whatever it tells a reader to type works.

Commands, Python and YAML are taken from the fenced blocks of README.md and `docs/*.md`. A reader
follows README.md and then a page, in one folder with small stand-ins for what the pages name.
Three tables say everything that differs from what is printed: `STAND_INS`, `CHEAP` and `NOT_RUN`.
"""

import contextlib
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main
import yaml
from typer.testing import CliRunner

import automl_flowers
import ensembles
import search_spaces
from automl_flowers import cli
from automl_flowers.config import RunConfig, make_config, parse_config
from automl_flowers.data.synthetic import synthesize
from automl_flowers.reports.page import SECTIONS
from automl_flowers.tuning.hyperband import count_epochs, plan_brackets
from search_spaces.augmentation import LADDER, LIMITS, TRAINABLE
from search_spaces.parameters import Choice
from search_spaces.portfolio import parse_recipes
from search_spaces.schedules import SCHEDULES
from search_spaces.spaces import PARAMETERS, list_presets, load_space, parse_space
from tests.end_to_end.conftest import draw_folder

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
LINKED_PAGES = [*PAGES, *sorted(DOCS.glob("*/*.md"))]

STAND_INS = {
    "/kaggle/input/tpu-getting-started": "petals",
    "/kaggle/input/tf-flower-photo-tfrec/oxford_102": "petals/external",
}
"""What a page says, and what the reader here has in its place. `photos/`, `more_photos/` and
`holiday/` are drawn under their own names."""

CHEAP = {
    "--max-epochs": "1",
    "--max-recipes": "3",
    "--image-size": "32",
    "--batch-size": "8",
    "--backbones": "efficientnet_lite0",
}
"""Given to every search after what the page says, so that these win; what the page says is
parsed and checked first. Its space keeps what costs no further compilation (`cheap_space`), and
without `--data` it takes `photos/`, because the flowers of the default take long to draw."""

NOT_RUN = {
    "make ": "CI begins with it, and it makes an environment of its own",
    "python3 -m venv ": "changes the environment",
    ". .venv/bin/activate": "changes the environment",
    "pip install ": "changes the environment",
    "cd ": "the reader here stays in one folder",
    "find ": "the reader has no shell to make a list with",
    "kaggle ": "needs an account and the network",
    "unzip ": "follows a download",
    "automl-flowers search --strategy gpu": "needs a GPU",
    "automl-flowers search --strategy tpu": "needs a TPU",
    "automl-flowers search --weights densenet201=": "needs a file that Keras publishes",
}
"""How lines begin that are not run, and why."""

FOREIGN_OPTIONS = {"--logdir"}
"""Options of other programs that running text mentions: TensorBoard's."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str

    def commands(self):
        """Return the lines of a shell block, continued ones joined, comments left out."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def blocks(page, language):
    found = re.findall(r"^```(\S*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(page, name, text) for name, text in found if name == language]


def all_blocks(language):
    return [block for page in PAGES for block in blocks(page, language)]


def page_id(page):
    return page.relative_to(ROOT).as_posix()


def reason_not_to_run(command):
    return next((why for start, why in NOT_RUN.items() if f"{command} ".startswith(start)), None)


class Reader:
    """Somebody who types what a page says, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.followed = set()
        draw_photographs(folder)
        for block in all_blocks("yaml"):
            (folder / file_name(block)).write_text(block.text)

    def follow(self, page):
        """Run every command of a page, once."""
        if page in self.followed:
            return
        with contextlib.chdir(self.folder):
            for block in blocks(page, "sh"):
                for command in block.commands():
                    if reason_not_to_run(command) is None:
                        self.run(command)
                    elif command.startswith("automl-flowers search"):
                        documented_settings(shlex.split(command, comments=True)[1:])
        self.followed.add(page)

    def run(self, command):
        """Run one command in this process, and fail with what it said unless it ends well."""
        words = shlex.split(replace(command), comments=True)
        while "=" in words[0]:  # an environment variable, which none of the results depend on
            words.pop(0)
        words, target = redirection(words)
        assert words[0] == "automl-flowers", f"nobody has said how to run {command!r}"
        arguments = cheaply(words[1:])
        result = CliRunner().invoke(cli.app, arguments)
        said = f"{command}\nrun as {shlex.join(arguments)}\n{result.stdout}{result.stderr}"
        assert result.exit_code == 0, said
        assert "Traceback" not in result.stderr, said
        if target:
            Path(target).write_text(result.stdout)
        self.make_latest(result.stdout)

    def make_latest(self, stdout):
        """Let the run of a search be the latest, though its trials may be those of a page before.

        The search of a real reader trains, which changes the ledger.
        """
        for run in re.findall(r"^run +(\S+)$", stdout, re.MULTILINE):
            for file in Path(run).glob("ledger.sqlite*"):
                os.utime(file)


def draw_photographs(folder):
    """Make the data that the pages speak of: three classes, two dozen images each at most."""
    ours = {"daisy": (230, 210, 60), "rose": (220, 40, 60), "tulip": (60, 60, 220)}
    theirs = {"daisy": (230, 210, 60), "rose": (60, 60, 60), "garden tulip": (60, 60, 220)}
    draw_folder(folder, {"photos": 16, "holiday": 1}, ours)
    draw_folder(folder, {"more_photos": 6}, theirs)
    draw_folder(folder / "collection", {"garden": 4, "web": 4}, theirs)
    synthesize(folder / "petals", num_classes=3, images_per_class=8, image_size=48)


def replace(text):
    for said, stand_in in STAND_INS.items():
        text = text.replace(said, stand_in)
    return text


def redirection(words):
    """Return a command without `> file`, and the file."""
    if ">" not in words:
        return words, None
    place = words.index(">")
    return words[:place], words[place + 1]


def cheaply(arguments):
    """Return arguments under which a command takes seconds; others than a search do anyway."""
    if arguments[0] != "search" or "--help" in arguments:
        return arguments
    given = documented_settings(arguments)
    added = [word for option in CHEAP.items() for word in option]
    for option in ("--time-budget", "--extend"):
        added += [option, "5s"] if option in arguments else []
    if given.data is None:
        added += ["--data", "photos/"]
    return [*arguments, *added, "--space", cheap_space(given.space or "small")]


def documented_settings(arguments):
    """Return the settings that a search would have as it is printed, all of them checked."""
    command = typer.main.get_command(cli.app).commands[arguments[0]]
    flags = command.make_context(arguments[0], arguments[1:]).params
    given = {name: value for name, value in flags.items() if name != "config" and value != ()}
    settings = make_config(given, flags["config"])
    named = {
        "backbone": settings.backbones,
        "image_size": settings.image_size,
        "batch_size": settings.batch_size,
    }
    space = load_space(settings.space or "small")
    space.restrict(**{name: values for name, values in named.items() if values is not None})
    return settings


def cheap_space(name):
    """Write a space with one architecture, and return its file: the rest of it costs nothing."""
    space = load_space(name).restrict(
        backbone=["efficientnet_lite0"],
        image_size=[32],
        batch_size=[8],
        trainable_fraction=[0.0],
        optimizer=["adam"],
    )
    file = Path(f"cheap_{Path(name).stem}.yaml")
    file.write_text(yaml.safe_dump(space.to_dict()))
    return str(file)


def file_name(block):
    """Return the name that a YAML block's first line gives it."""
    found = re.match(r"# (\w+\.yaml)\b", block.text)
    assert found, f"{page_id(block.page)}: begin the block with `# NAME.yaml`:\n{block.text}"
    return found[1]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sh")], ids=page_id)
def test_every_command_of_a_page_works(reader, page):
    reader.follow(PAGES[0])
    reader.follow(page)


@pytest.mark.parametrize("block", all_blocks("python"), ids=lambda block: page_id(block.page))
def test_python_of_a_page_runs(reader, block, monkeypatch):
    reader.follow(PAGES[0])
    monkeypatch.chdir(reader.folder)
    search_cheaply(monkeypatch)

    exec(compile(replace(block.text), page_id(block.page), "exec"), {"__name__": "page"})  # noqa: S102


def search_cheaply(monkeypatch):
    """Give `automl_flowers.search` what `CHEAP` gives the command."""
    search = getattr(automl_flowers, "search", None)
    if search is None:
        return

    def search_with_cheap_settings(data="photos/", **settings):
        added = {n.removeprefix("--").replace("-", "_"): v for n, v in CHEAP.items()}
        space = settings.pop("space", "small")
        return search(data=data, **{**settings, **added, "space": cheap_space(space)})

    monkeypatch.setattr(automl_flowers, "search", search_with_cheap_settings)


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=file_name)
def test_yaml_of_a_page_is_accepted(block):
    name, content = file_name(block), yaml.safe_load(block.text)
    if name.endswith("space.yaml"):
        parse_space(name, content)
    elif name.endswith("map.yaml"):
        parse_config({"label_map": content})
    elif name.endswith("recipes.yaml"):
        assert parse_recipes(content, load_space("small"))
    else:
        parse_config(content)


def test_every_reason_not_to_run_a_line_is_needed():
    commands = [command for block in all_blocks("sh") for command in block.commands()]

    unused = [start for start in NOT_RUN if not any(f"{c} ".startswith(start) for c in commands)]

    assert len(commands) > 20
    assert unused == []


def test_every_stand_in_is_needed():
    said = "".join(block.text for block in all_blocks("sh"))

    assert [name for name in STAND_INS if name not in said] == []


def options_of_the_program(command):
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }.union(*(options_of_the_program(c) for c in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_option_that_running_text_mentions_exists(page):
    known = options_of_the_program(typer.main.get_command(cli.app)) | {"--help"} | FOREIGN_OPTIONS
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text())

    mentioned = {option for span in spans for option in re.findall(r"(?<![\w-])--[a-z-]+", span)}

    assert mentioned - known == set()


@pytest.mark.parametrize("page", LINKED_PAGES, ids=page_id)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?://)([^)#\s]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_is_listed_by_its_title():
    pages = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    listed = re.findall(
        r"^(\d+)\. \[(.+)\]\((.+)\)$", (DOCS / "decisions/README.md").read_text(), re.MULTILINE
    )

    assert listed == [
        (str(number), page.read_text().splitlines()[0].removeprefix("# "), page.name)
        for number, page in enumerate(pages, start=1)
    ]


def table_of(page, heading):
    """Return the rows of the table whose first heading is `heading`, without code marks."""
    lines = (DOCS / page).read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    return rows


def test_settings_page_lists_every_setting():
    names = [field.alias or name for name, field in RunConfig.model_fields.items()]

    assert [row[0].strip() for row in table_of("settings.md", "setting")] == names


def as_words(domain):
    if isinstance(domain, Choice):
        return ", ".join(str(value) for value in domain.values)
    spread = " (log)" if domain.sampling == "log" else ""
    step = f" by {domain.step:g}" if domain.step else ""
    return f"{domain.low:g} to {domain.high:g}{step}{spread}"


def presets_table():
    """Return the presets side by side, as the page has them."""
    presets = {name: load_space(name) for name in list_presets()}
    presets = {name: presets[name] for name in ("demo", "small", "petals")}
    names = " | ".join(f"`{name}`" for name in presets)
    lines = [f"| hyperparameter | {names} |", "|---|---|---|---|"]
    for name in PARAMETERS:
        cells = (as_words(space.domains[name]) for space in presets.values())
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    for kind in SCHEDULES:
        cells = (_schedule_cell(space.schedules.get(kind)) for space in presets.values())
        lines.append(f"| `{kind}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _schedule_cell(domains):
    if domains is None:
        return "no"
    return "; ".join(f"{name} {as_words(domain)}" for name, domain in domains.items()) or "yes"


def test_presets_stand_side_by_side_as_they_are():
    assert presets_table() in (DOCS / "search_space.md").read_text(), presets_table()


def test_search_space_page_explains_every_hyperparameter():
    rows = {row[0]: row for row in table_of("search_space.md", "name")}

    assert list(rows) == [*PARAMETERS, "schedule"]
    for name, parameter in PARAMETERS.items():
        if parameter.kind == "name":
            assert rows[name][3] == parameter.default
        else:
            assert rows[name][2] == f"{parameter.low:g} to {parameter.high:g}"
            assert rows[name][3] == f"{parameter.default:g}"
    assert [row[0] for row in table_of("search_space.md", "schedule")] == list(SCHEDULES)


def test_search_space_page_has_the_ladder_in_numbers():
    rungs = [LADDER[name] for name in ("light", "medium", "strong", "heavy")]

    rows = [[row[0], *row[2:7]] for row in table_of("search_space.md", "operation")]

    assert rows == [
        [name, *(f"{getattr(rung, name):g}" for rung in rungs), f"{limit:g}"]
        for name, limit in LIMITS.items()
    ]
    mentioned = [row[0] for row in table_of("search_space.md", "strength")]
    assert [name for name in TRAINABLE if name not in LADDER or name == "heavy"] == mentioned


def test_brackets_of_the_hyperband_page_are_those_of_six_epochs():
    rows = [
        [int(n) for n in re.findall(r"\d+", " ".join(r))]
        for r in table_of("hyperband.md", "bracket")
    ]
    plan = plan_brackets(6)

    assert rows == [
        [number, *(n for r in bracket for n in (r.size, r.first_epoch + 1, r.last_epoch))]
        for number, bracket in enumerate(plan)
    ]
    for epochs in (6, 20):
        recipes = sum(bracket[0].size for bracket in plan_brackets(epochs))
        text = " ".join((DOCS / "hyperband.md").read_text().split())
        assert f"{epochs} make {recipes} recipes" in text
        assert str(count_epochs(plan_brackets(epochs))) in text


def test_every_panel_of_the_report_is_explained():
    page = (DOCS / "reading_the_report.md").read_text()

    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == list(SECTIONS.values())


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The built pages; a warning is an error."""
    folder = tmp_path_factory.mktemp("html")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    built = subprocess.run([*command, DOCS, folder], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def public_names(package):
    """Return the functions and classes of a package's public modules, by their full names."""
    modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    names = [module.name for module in modules if "._" not in module.name]
    return {
        f"{module}.{name}"
        for module in names
        for name, value in vars(importlib.import_module(module)).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module
    }


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("api", {f"automl_flowers.{name}" for name in getattr(automl_flowers, "__all__", ())}),
        ("api_search_spaces", public_names(search_spaces)),
        ("api_ensembles", public_names(ensembles)),
    ],
    ids=["automl_flowers", "search_spaces", "ensembles"],
)
def test_everything_public_is_in_the_reference(html, page, names):
    anchors = set(re.findall(r'id="([\w.]+)"', (html / f"{page}.html").read_text()))

    assert names - anchors == set()


def test_every_page_is_built_and_can_be_reached(html):
    index = (html / "index.html").read_text()

    for page in DOCS.glob("*.md"):
        assert (html / f"{page.stem}.html").exists()
        assert page.stem == "index" or f'href="{page.stem}.html"' in index
