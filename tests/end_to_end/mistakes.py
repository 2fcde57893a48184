"""How to make each mistake of docs/mistakes.md, for real.

A case prepares files and returns the arguments of a command. It is registered under the name of
its row in the table; what the command answers is in the table, too.
"""

import contextlib
import dataclasses
import json
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from automl_flowers.ledger import Ledger
from automl_flowers.modeling import backbones
from tests.data.conftest import serialise_example, write_tfrecord_file
from tests.end_to_end.conftest import COLOURS, draw_folder
from tests.test_tensorflow_import import BLOCK, COMMAND

MISTAKES = {}
"""By the name of the row: what prepares the mistake, and the exit status."""


def mistake(title, status=2):
    """Register a case under the name of its row."""

    def register(prepare):
        assert title not in MISTAKES, title
        MISTAKES[title] = prepare, status
        return prepare

    return register


def small_search(data, space, run, *flags):
    """Return the arguments of a search that takes seconds."""
    return [
        *("search", "--data", data, "--space", space, "--weights", "none"),
        *("--max-epochs", 1, "--max-recipes", 2, "--run", run, *flags),
    ]


@dataclasses.dataclass
class Bench:
    """What a case works with.

    Attributes:
        folder: For whatever the case writes; empty.
        space: A space whose recipes train in seconds.
        fixture: Returns a fixture by its name, for what only some cases need.
        around: Within which the command runs.
        program: Code of an interpreter of its own for the command, where it needs one.
    """

    folder: Path
    space: Path
    fixture: Any
    around: contextlib.ExitStack
    program: str | None = None

    @property
    def run(self):
        return self.folder / "run"

    def draw(self, sizes=None, colours=COLOURS):
        """Draw a data set that belongs to the case."""
        return draw_folder(self.folder / "photos", sizes or {"train": 6, "val": 6}, colours)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def table(self, text):
        """Write a CSV file beside six pictures of two classes, `0.png` to `5.png`."""
        drawn = draw_folder(self.folder / "drawn", {"train": 3}, dict([*COLOURS.items()][:2]))
        path = self.write("table/labels.csv", textwrap.dedent(text).lstrip())
        for number, file in enumerate(sorted(drawn.rglob("*.png"))):
            shutil.copy(file, path.with_name(f"{number}.png"))
        return path

    def records(self, *payloads, name="00-8x8-{}.tfrec"):
        """Write a shard of a data set in the competition's layout."""
        root = self.folder / "records"
        shard = root / "tfrecords-jpeg-8x8/train" / name.format(len(payloads))
        write_tfrecord_file(shard, payloads)
        (root / "classes.txt").write_text("daisy\nrose\n")
        return shard

    def copy_run(self, *, same_data=False):
        """Copy a finished run, by default with its data, and return where the data are."""
        shutil.copytree(self.fixture("searched"), self.run)
        config = self.run / "config.yaml"
        settings = yaml.safe_load(config.read_text())
        if same_data:
            return settings["data"]
        data = shutil.copytree(settings["data"], self.folder / "photos")
        manifest = self.run / "manifest.csv"
        manifest.write_text(manifest.read_text().replace(settings["data"], str(data)))
        config.write_text(yaml.safe_dump({**settings, "data": str(data)}, sort_keys=False))
        return data

    def search(self, data, *flags):
        return small_search(data, self.space, self.run, "--quiet", *flags)

    def search_pictures(self, *flags):
        return self.search(self.fixture("pictures"), *flags)

    def search_config(self, text):
        return self.search_pictures("--config", self.write("config.yaml", text))

    def search_space(self, text):
        return self.search_pictures("--space", self.write("space.yaml", text))

    def ensemble(self, *flags):
        return ["ensemble", "--top", 2, "--run", self.run, "--quiet", *flags]

    def describe(self, data):
        return ["data", "describe", data]


def two_records():
    return [serialise_example(label=label, id_=b"%d" % label) for label in (0, 1)]


@contextlib.contextmanager
def files_no_larger_than(num_bytes):
    """Let every write beyond some bytes fail, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


HOLD = """
import sys
from pathlib import Path
from automl_flowers.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).writing():
    print("holding", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held_by_another_process(run):
    command = [sys.executable, "-c", HOLD, str(run)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "holding\n"
        yield
        holder.stdin.close()


# Where the data lie


@mistake("The path is misspelt")
def _(bench):
    bench.draw()
    return bench.search(bench.folder / "photo/train")


@mistake("A name on Kaggle, and `kagglehub` is not installed")
def _(bench):
    bench.fixture("monkeypatch").setitem(sys.modules, "kagglehub", None)
    return bench.search("tpu-getting-started")


@mistake("The address is empty")
def _(bench):
    return bench.search("")


@mistake("A file of another kind")
def _(bench):
    return bench.search(bench.write("photos.zip", "PK"))


@mistake("A pattern that matches nothing")
def _(bench):
    bench.records(*two_records())
    return bench.search(bench.folder / "records/*.tfrec")


# Folders


@mistake("An empty folder")
def _(bench):
    (bench.folder / "photos").mkdir()
    return bench.search(bench.folder / "photos")


@mistake("Images without class folders")
def _(bench):
    return bench.search(bench.draw() / "train/red rose")


@mistake("A class folder without images")
def _(bench):
    (bench.draw() / "train/tulip").mkdir()
    return bench.search(bench.folder / "photos")


@mistake("A single class")
def _(bench):
    return bench.search(bench.draw({"train": 20}, {"red rose": (220, 40, 60)}))


@mistake("Too few images to divide")
def _(bench):
    return bench.search(bench.draw({"train": 1}) / "train")


@mistake("A class of `val` that `train` spells differently")
def _(bench):
    (bench.draw() / "val/red rose").rename(bench.folder / "photos/val/red roses")
    return bench.search(bench.folder / "photos")


@mistake("Training images that are copies of test images, with `--leaks fail`")
def _(bench):
    photos = bench.draw({"train": 6, "val": 6, "test": 1})
    for name in COLOURS:
        shutil.copy(photos / "test" / name / "0.png", photos / "train" / name / "copy.png")
    return bench.search(photos, "--leaks", "fail")


@mistake("A folder of several data sets")
def _(bench):
    for name in ("garden", "meadow"):
        draw_folder(bench.folder / "more" / name, {"train": 2})
    return bench.describe(bench.folder / "more")


@mistake("Most images cannot be read")
def _(bench):
    for path in bench.draw().rglob("*.png"):
        if path.stem != "0":
            path.write_bytes(b"words")
    return bench.search(bench.folder / "photos")


@mistake("An image that cannot be read, with `--bad-images fail`")
def _(bench):
    (bench.draw() / "train/red rose/0.png").write_bytes(b"words")
    return bench.search(bench.folder / "photos", "--bad-images", "fail")


@mistake("A policy that does not exist")
def _(bench):
    return bench.search_pictures("--bad-images", "ignore")


@mistake("A class of `train` that `val` lacks", status=0)
def _(bench):
    shutil.rmtree(bench.draw() / "val/red rose")
    return bench.describe(bench.folder / "photos")


@mistake("Images without a label in `train` TFRecords")
def _(bench):
    return bench.search(bench.records(serialise_example(id_=b"a")).parent)


# TFRecords


@mistake("A compressed shard")
def _(bench):
    shard = bench.records(*two_records())
    shard.write_bytes(b"\x1f\x8b\x08\x00" + shard.read_bytes())
    return bench.describe(bench.folder / "records")


@mistake("A list of classes of another data set")
def _(bench):
    bench.records(*(serialise_example(label=label, id_=b"%d" % label) for label in (5, 6)))
    return bench.describe(bench.folder / "records")


@mistake("A label beyond the list of classes", status=0)
def _(bench):
    bench.records(*two_records(), serialise_example(label=2, id_=b"2"))
    return bench.describe(bench.folder / "records")


@mistake("An id twice")
def _(bench):
    bench.records(*two_records(), *two_records()[:1])
    return bench.describe(bench.folder / "records")


@mistake("A shard of which a part is missing", status=0)
def _(bench):
    shard = bench.records(*two_records())
    shard.write_bytes(shard.read_bytes()[:-3])
    return bench.describe(bench.folder / "records")


@mistake("A damaged record", status=0)
def _(bench):
    shard = bench.records(*two_records())
    shard.write_bytes(shard.read_bytes().replace(b"pixels", b"pixies", 1))
    return bench.describe(bench.folder / "records")


@mistake("A count in a shard's name that is not kept", status=0)
def _(bench):
    bench.records(*two_records(), name="00-8x8-9.tfrec")
    return bench.describe(bench.folder / "records")


@mistake("A negative label", status=0)
def _(bench):
    bench.records(*two_records(), serialise_example(label=-1, id_=b"2"))
    return bench.describe(bench.folder / "records")


# CSV files


@mistake("A CSV file without a column `label`")
def _(bench):
    return bench.describe(bench.table("path,species\n0.png,rose\n"))


@mistake("A CSV file with two columns that may be the path")
def _(bench):
    return bench.describe(bench.table("image,file,label\n0.png,0.png,rose\n"))


@mistake("A CSV file that lists images elsewhere")
def _(bench):
    return bench.describe(bench.table("path,label\nphotos/0.png,rose\nphotos/1.png,daisy\n"))


@mistake("A path that leaves the CSV's folder")
def _(bench):
    return bench.describe(bench.table("path,label\n0.png,rose\n../1.png,daisy\n"))


@mistake("A misspelt split in a CSV file")
def _(bench):
    return bench.describe(bench.table("path,label,split\n0.png,rose,trian\n"))


@mistake("A class of `val` that a CSV file spells differently")
def _(bench):
    text = "path,label,split\n0.png,rose,train\n1.png,daisy,train\n2.png,roses,val\n"
    return bench.describe(bench.table(text))


@mistake("A comma in a path, without quotes")
def _(bench):
    return bench.describe(bench.table("path,label\n0.png,rose\n1, red.png,rose\n"))


@mistake("A table that is not UTF-8")
def _(bench):
    bench.table("").write_bytes("path,label\n0.png,müsli\n".encode("latin-1"))
    return bench.describe(bench.folder / "table/labels.csv")


@mistake("A row of a CSV file without a label", status=0)
def _(bench):
    return bench.describe(bench.table("path,label\n0.png,rose\n3.png,daisy\n1.png,\n"))


@mistake("A row of a CSV file whose image is not there", status=0)
def _(bench):
    return bench.describe(bench.table("path,label\n0.png,rose\n3.png,daisy\n9.png,daisy\n"))


# Settings


@mistake("A misspelt setting in the config file")
def _(bench):
    return bench.search_config("max_epoch: 3\n")


@mistake("A setting of another type")
def _(bench):
    return bench.search_config("seed: one\n")


@mistake("A config file that holds a list")
def _(bench):
    return bench.search_config("- 1\n")


@mistake("A config file that is no YAML")
def _(bench):
    return bench.search_config("space: [small\n")


@mistake("A config file that is not there")
def _(bench):
    return bench.search_pictures("--config", bench.folder / "config.yaml")


@mistake("A misspelt space")
def _(bench):
    return bench.search_pictures("--space", "petal")


@mistake("A misspelt backbone")
def _(bench):
    return bench.search_pictures("--backbones", "efficientnet_lite9")


@mistake("A misspelt entry in a space")
def _(bench):
    return bench.search_space("backbon: [efficientnet_lite0]\n")


@mistake("A space with the augmentation that blackens pictures")
def harmful_augmentation(bench):
    return bench.search_space("augmentation: [light, v3]\n")


@mistake("A range in a space that ends before it begins")
def _(bench):
    return bench.search_space("dropout: {min: 0.5, max: 0.1}\n")


@mistake("Images too small for any backbone")
def _(bench):
    return bench.search_pictures("--image-size", 8)


@mistake("A recipe to begin with whose images are too small for its backbone")
def _(bench):
    recipes = bench.write("first.yaml", "- {backbone: xception, image_size: 64}\n")
    return bench.search_pictures("--enqueue", recipes)


@mistake("An objective that does not exist")
def _(bench):
    return bench.search_pictures("--objective", "f1")


@mistake("No epochs")
def _(bench):
    return bench.search_pictures("--max-epochs", 0)


@mistake("ImageNet weights that cannot be had")
def _(bench):
    patch = bench.fixture("monkeypatch")
    patch.setenv("KERAS_HOME", str(bench.folder))
    patch.setattr(backbones, "WEIGHTS_URL", "https://127.0.0.1")
    return bench.search_pictures("--backbones", "vgg16", "--weights", "imagenet")


# Device


@mistake("A misspelt strategy")
def _(bench):
    return bench.search_pictures("--strategy", "miror")


@mistake("A TPU where there is none")
def _(bench):
    return bench.search_pictures("--strategy", "tpu")


@mistake("TensorFlow is not installed")
def _(bench):
    bench.program = f"{BLOCK}{COMMAND}"
    return ["tensorflow", *bench.search_pictures()]


# The run


@mistake("`ensemble` before `search`")
def _(bench):
    bench.fixture("monkeypatch").chdir(bench.folder)
    return ["ensemble"]


@mistake("A folder that is no run")
def _(bench):
    return ["report", "--run", bench.draw()]


@mistake("`--top` above one where a single recipe has finished")
def _(bench):
    bench.copy_run()
    with Ledger(bench.run / "ledger.sqlite", writable=True) as ledger:
        first, *others = ledger.trials()
        for trial in others:
            if trial.identity != first.identity:
                ledger.end_trial(trial.trial_id, "failed", reason="as a test asks for")
    return bench.ensemble("--top", 9)


@mistake("`predict` before any model is trained")
def _(bench):
    data = bench.copy_run()
    shutil.rmtree(bench.run / "best")
    return ["predict", data, "--run", bench.run]


@mistake("A run with other settings")
def _(bench):
    return bench.search(bench.copy_run(), "--seed", 1)


@mistake("Settings for `ensemble` that its search had otherwise")
def _(bench):
    bench.copy_run()
    return bench.ensemble("--config", bench.write("run.yaml", "max_epochs: 2\n"))


@mistake("Images that have changed since the run began")
def _(bench):
    (bench.copy_run() / "train/red rose/0.png").unlink()
    return bench.search(bench.folder / "photos")


@mistake("Images that have gone since the run began")
def _(bench):
    shutil.rmtree(bench.copy_run())
    return bench.ensemble()


@mistake("A space file that has changed since the run began")
def _(bench):
    data, text = bench.copy_run(), bench.space.read_text()
    bench.space = bench.write("space.yaml", text.replace("[0.0, 0.2]", "[0.0, 0.3]"))
    config = (bench.run / "config.yaml").read_text()
    settings = {**yaml.safe_load(config), "space": str(bench.space)}
    (bench.run / "config.yaml").write_text(yaml.safe_dump(settings))
    return bench.search(data)


@mistake("A damaged config file of a run")
def _(bench):
    bench.copy_run()
    bench.write("run/config.yaml", "data: [")
    return bench.ensemble()


@mistake("A damaged space file of a run")
def _(bench):
    data = bench.copy_run()
    bench.write("run/space.yaml", "backbone: [")
    return bench.search(data)


@mistake("A run that another process is writing to")
def _(bench):
    data = bench.copy_run()
    bench.around.enter_context(held_by_another_process(bench.run))
    return bench.search(data)


@mistake("A damaged ledger")
def _(bench):
    data = bench.copy_run()
    (bench.run / "ledger.sqlite").write_bytes(b"SQLite format 3\x00" + b"damaged" * 100)
    return bench.search(data)


@mistake("A ledger that lost its end")
def _(bench):
    bench.copy_run()
    ledger = bench.run / "ledger.sqlite"
    ledger.write_bytes(ledger.read_bytes()[: ledger.stat().st_size // 2])
    return bench.ensemble()


@mistake("A damaged `data.json`")
def _(bench):
    data = bench.copy_run()
    bench.write("run/data.json", "{")
    return bench.search(data)


@mistake("A damaged `blend.json`")
def _(bench):
    data = bench.copy_run()
    bench.write("run/blend.json", "{")
    return ["predict", data, "--run", bench.run]


@mistake("A `blend.json` without its members")
def _(bench):
    data = bench.copy_run()
    bench.write("run/blend.json", "{}")
    return ["predict", data, "--run", bench.run]


@mistake("`predict` after an `ensemble` with other settings that was stopped")
def _(bench):
    data = bench.copy_run()
    with Ledger(bench.run / "ledger.sqlite") as ledger:
        recipe = ledger.trials()[0].recipe
    member = {"name": "one", "weight": 1.0, "recipe": recipe, "trained_on": ["01234567"]}
    bench.write("run/blend.json", json.dumps({"members": [member], "class_names": []}))
    bench.write("run/members/one.json", json.dumps({"trained_on": "other images"}))
    return ["predict", data, "--run", bench.run]


@mistake("A run folder that cannot be written to")
def _(bench):
    return bench.search_pictures("--run", bench.write("file", "") / "run")


@mistake("A disk that is full")
def _(bench):
    bench.around.enter_context(files_no_larger_than(20_000))
    return bench.search_pictures()


@mistake("More disk than `--max-disk` allows")
def _(bench):
    return bench.search_pictures("--max-disk", "1e-6")


@mistake("A disk that is full by the time the images are decoded")
def _(bench):
    data = bench.copy_run(same_data=True)
    bench.around.enter_context(files_no_larger_than(1_000))
    return bench.search(data)


# Ensemble, prediction, export, conversion


@mistake("External data that are not there")
def _(bench):
    bench.copy_run()
    return bench.ensemble("--external", bench.folder / "photoz")


@mistake("A data set that the folder of external data does not have")
def _(bench):
    bench.copy_run()
    draw_folder(bench.folder / "more/oxford_102", {"train": 2})
    draw_folder(bench.folder / "more/tf_flowers", {"train": 2})
    return bench.ensemble("--external", f"{bench.folder}/more:oxford_103")


@mistake("A label map for a data set that does not exist")
def _(bench):
    bench.copy_run()
    more = draw_folder(bench.folder / "more", {"train": 2}, {"oak": (9, 9, 9), "elm": (99, 9, 9)})
    label_map = bench.write("map.yaml", "mote:\n  oak: red rose\n")
    return bench.ensemble("--external", more, "--label-map", label_map)


@mistake("External data without a class of ours")
def _(bench):
    bench.copy_run()
    return bench.ensemble("--external", bench.table("path,label\n0.png,oak\n1.png,elm\n"))


@mistake("A label map with a class that does not exist")
def _(bench):
    bench.copy_run()
    more = draw_folder(bench.folder / "more", {"train": 2}, {"oak": (9, 9, 9), "elm": (99, 9, 9)})
    label_map = bench.write("map.yaml", "oak: red roze\n")
    return bench.ensemble("--external", more, "--label-map", label_map)


@mistake("A sample submission of other images")
def _(bench):
    (bench.copy_run() / "sample_submission.csv").write_text("id,label\nnowhere.jpg,0\n")
    return bench.ensemble()


@mistake("Nothing to predict")
def _(bench):
    bench.copy_run()
    bench.write("run/blend.json", '{"members": [], "class_names": []}')
    return ["predict", bench.folder / "photoz", "--run", bench.run]


@mistake("A folder as the file that predictions go to")
def _(bench):
    data = bench.copy_run()
    out = bench.write("results/notes.txt", "").parent
    return ["predict", data, "--run", bench.run, "--out", out, "--quiet"]


def export(bench, format_, *, out=None):
    out = out or bench.folder / "out"
    return ["export", "--format", format_, "--out", out, "--run", bench.run, "--quiet"]


@mistake("A format of export that does not exist")
def _(bench):
    bench.copy_run()
    return export(bench, "onyx")


@mistake("An export without its packages")
def _(bench):
    patch = bench.around.enter_context(pytest.MonkeyPatch.context())
    patch.setitem(sys.modules, "tf2onnx", None)
    bench.copy_run()
    return export(bench, "onnx")


@mistake("An export into a folder that is not empty")
def _(bench):
    bench.copy_run()
    return export(bench, "keras", out=bench.write("out/notes.txt", "").parent)


@mistake("An export below a file")
def _(bench):
    bench.copy_run()
    return export(bench, "keras", out=bench.write("notes.txt", "") / "out")


@mistake("An export of images that are gone")
def _(bench):
    shutil.rmtree(bench.copy_run())
    return export(bench, "keras")


@mistake("A conversion into a folder that is not empty")
def _(bench):
    data = bench.draw()
    return ["data", "convert", data, bench.write("records/notes.txt", "").parent]


@mistake("A conversion on a disk that is full")
def _(bench):
    data = bench.draw()
    bench.around.enter_context(files_no_larger_than(2_000))
    return ["data", "convert", data, bench.folder / "records"]


# Skipped


@mistake("An image among many that is no image", status=0)
def _(bench):
    data = bench.draw()
    bench.write("photos/train/red rose/broken.png", "\x89PNG, it says")
    return ["data", "convert", data, bench.folder / "records", "--size", 16]


@mistake("An image among many that lost its end", status=0)
def _(bench):
    path = bench.draw() / "train/red rose/0.png"
    path.write_bytes(path.read_bytes()[:999])
    return ["data", "convert", bench.folder / "photos", bench.folder / "records", "--size", 16]
