"""The page: complete, self-contained, and safe with hostile names."""

import base64
import hashlib
import json
import re
from dataclasses import asdict
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest
import yaml

from automl_flowers.config import read_yaml
from automl_flowers.errors import RunError
from automl_flowers.files import write_json, write_text
from automl_flowers.ledger import Ledger
from automl_flowers.reports import page, summary
from automl_flowers.tuning.probe_rule import Probe

VOID = {"meta", "br", "img", "link", "input", "hr"}
every_run = pytest.mark.parametrize(
    "run", ["empty_run", "searched_run", "blended_run", "unlabelled_run", "repeated_run"]
)


class Reader(HTMLParser):
    """Collects sections, links, tags and scripts, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.ids, self.links, self.addresses = [], [], [], []
        self.tags, self.words, self.figures, self.scripts = [], [], {}, []
        self.meta, self._open, self._attributes = [], [], {}
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self._attributes = dict(attributes)
        self.tags.append(tag)
        self.meta += [self._attributes] if tag == "meta" else []
        self.sections += [self._attributes["id"]] if tag == "section" else []
        self.ids += [self._attributes["id"]] if "id" in self._attributes else []
        self.links += [self._attributes["href"]] if tag == "a" else []
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            self.addresses += [self._attributes[name]] if name in self._attributes else []
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["script"]:
            self.words.append(data)
        elif self._attributes.get("type") == "application/json":
            self.figures[self._attributes["id"]] = json.loads(data, parse_constant=_refuse)
        else:
            self.scripts.append(data)


def _refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def render(run):
    return page.render(summary.collect(run))


def read(run):
    return Reader(render(run))


def words_of(run):
    return " ".join(" ".join(read(run).words).split())


def strings_in(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)


@every_run
def test_every_section_is_there_once(request, run):
    reader = read(request.getfixturevalue(run))

    assert reader.sections == list(page.SECTIONS)
    assert len(set(reader.ids)) == len(reader.ids)
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)


@every_run
def test_nothing_is_loaded_from_elsewhere(request, run):
    text = render(request.getfixturevalue(run))
    reader = Reader(text)
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]

    assert all(address.startswith("#") for address in reader.addresses)
    assert "link" not in reader.tags
    assert not re.search(r"@import|url\(|@font-face", style)


def test_only_the_scripts_of_the_page_may_run(blended_run):
    reader = read(blended_run)
    policy = next(m["content"] for m in reader.meta if "http-equiv" in m)
    digests = [hashlib.sha256(script.encode()).digest() for script in reader.scripts]

    assert policy.startswith("default-src 'none'; ")
    assert re.findall("'sha256-(.*?)'", policy) == [base64.b64encode(d).decode() for d in digests]


def test_plotly_is_embedded_once(blended_run):
    reader = read(blended_run)

    assert [len(script) > 1_000_000 for script in reader.scripts] == [True, False]


def test_hostile_words_stay_words(blended_run, build):
    before = read(blended_run)
    for file in (blended_run.data, blended_run.blend):
        text = file.read_text(encoding="utf-8")
        for name in build.class_names:
            text = text.replace(json.dumps(name)[1:-1], f"calm {len(name)}")
        file.write_text(re.sub(r"<[^>]*>", "", text), encoding="utf-8")
    calm = read(blended_run)

    assert before.tags == calm.tags
    assert "img" not in before.tags
    assert build.class_names[0] in before.words


def test_hostile_words_stay_words_in_figures(blended_run):
    allowed = re.compile(r"<br>|<extra></extra>")
    figures = read(blended_run).figures

    strings = [allowed.sub("", text) for figure in figures.values() for text in strings_in(figure)]

    assert any("&lt;script&gt;alert(1)" in text for text in strings)
    assert not any("<" in text for text in strings)


def test_embedded_json_cannot_end_its_script(blended_run):
    block = re.compile(r'<script type="application/json" id="[\w-]+">(.*?)</script>', re.DOTALL)
    blocks = block.findall(render(blended_run))

    assert len(blocks) > 5
    assert not any(character in content for content in blocks for character in "<>")


@every_run
def test_figures_are_what_plotly_takes(request, run):
    figures = read(request.getfixturevalue(run)).figures

    assert "figure-data-0" in figures or run == "empty_run"
    for figure in figures.values():
        go.Figure(figure)


@every_run
def test_every_figure_has_a_place_and_a_description(request, run):
    text = render(request.getfixturevalue(run))

    places = re.findall(r'data-figure="(.*?)" role="img" aria-label="(.+?)"', text)

    assert [name for name, _ in places] == list(Reader(text).figures)


def test_same_facts_give_the_same_page(blended_run):
    assert render(blended_run) == render(blended_run)


def test_page_is_written_whole(searched_run):
    page.write(summary.collect(searched_run), searched_run.report)

    assert searched_run.report.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert list(searched_run.path.glob(".*.tmp")) == []


def test_page_that_cannot_be_written_is_named(searched_run):
    searched_run.report.mkdir()

    with pytest.raises(RunError, match=r"report\.html` cannot be written"):
        page.write(summary.collect(searched_run), searched_run.report)


def test_leaderboard_shows_failures_with_their_reasons(searched_run):
    words = words_of(searched_run)

    assert "DivergedError: <i>the loss is nan</i>" in words
    assert "infeasible" in words
    assert "from 0001" in words


def test_unfinished_search_is_said_at_the_top(empty_run):
    words = words_of(empty_run)

    assert "The search has not ended: 0 of" in words
    assert "No trial has finished yet." in words
    assert "There is no ensemble yet." in words


def test_no_search_is_told_from_one_that_has_not_ended(repeated_run):
    words = words_of(repeated_run)

    assert "There was no search." in words
    for told in ("The search has not ended", "No trial has", "planned trials", "in the search"):
        assert told not in words


def test_scores_stand_with_their_split(blended_run):
    words = words_of(blended_run)

    assert "macro F1 on val" in words
    assert "Val steered the search, so this is flattering." in words
    spread = r"0\.\d{4} \(\d\.\d{3} to \d\.\d{3}\)"
    assert re.search(rf"On blend: naive {spread}, nested {spread}", words)
    assert re.search(r"Nested; naive 0\.\d{4}\. Expect \S+ to \S+ on 9 new images", words)
    assert "9 images; nothing was chosen by them." in words


def test_classes_without_images_are_named(blended_run, build):
    assert f"Classes without an image: blend 1 ({build.class_names[1]})." in words_of(blended_run)


def test_test_without_labels_is_said(unlabelled_run):
    words = words_of(unlabelled_run)

    assert "Test has no labels." in words
    assert "images that have no labels" in words


def test_external_decisions_are_shown(blended_run):
    words = words_of(blended_run)

    assert "7 images could join the training set; copies of evaluation images" in words
    assert "that were left out: 1." in words
    assert "has <the> name" in words
    assert "75 %" in words


def test_external_data_sets_are_named_beside_the_scores(blended_run):
    assert "trained on train; no member was better with external images of other (7)." in words_of(
        blended_run
    )

    content = json.loads(blended_run.blend.read_text(encoding="utf-8"))
    content["members"][0]["name"] += "+external"
    blended_run.blend.write_text(json.dumps(content), encoding="utf-8")

    told = "trained on train, and 1 of 2 members on external images of other (7) too"
    assert told in words_of(blended_run)


def change_blend(run, **settings):
    content = json.loads(run.blend.read_text(encoding="utf-8"))
    content["settings"] = settings
    run.blend.write_text(json.dumps(content), encoding="utf-8")
    return content


def test_a_mean_of_fits_does_not_claim_the_score_of_its_first(blended_run, build):
    words = words_of(blended_run)
    assert "lite0 in the blend, macro F1 on val 0.9000" in words
    build.record_fit(blended_run, "lite0.recipes3-0a1b2c3d", made_of=["lite0", "lite2", "lite3"])
    build.blend_by(blended_run, ["lite0.recipes3-0a1b2c3d"], ["lite1"])

    words = words_of(blended_run)

    assert "lite0.recipes3-0a1b2c3d in the blend, curve of its first fit lite1 in the" in words
    assert "lite1 in the blend, macro F1 on val 0.9000" in words


def test_scores_on_a_fold_are_not_called_those_on_val(blended_run, build):
    build.record_fit(blended_run, "lite0.fold1of5")
    build.blend_by(blended_run, ["lite0.fold1of5"], ["lite1.fold1of5"], folds=5)

    words = words_of(blended_run)

    assert "lite0.fold1of5 in the blend, macro F1 on fold 1 0.9000" in words
    assert "log loss on fold 1; dotted" in words
    assert "and the better on fold 1 is kept. member fold 1 without fold 1 with kept" in words


def test_the_blend_with_and_without_external_images_stands_side_by_side(blended_run):
    assert "without external images." not in words_of(blended_run)
    content = json.loads(blended_run.blend.read_text(encoding="utf-8"))
    content["without_external"] = {"nested_macro_f1": 0.75, "nested_interval_90": [0.6, 0.9]}
    blended_run.blend.write_text(json.dumps(content), encoding="utf-8")

    words = words_of(blended_run)

    told = "as it is, 0.7500 (0.600 to 0.900) with the same members trained without external"
    assert told in words
    assert "blend without external images, nested" in words


def test_pseudo_labels_are_named_beside_the_scores(blended_run):
    content = change_blend(blended_run, pseudo_labels=0.9)
    assert "no member was better with test images labelled by an ensemble." in words_of(blended_run)

    for member in content["members"]:
        member["name"] += "+external+pseudo"
    blended_run.blend.write_text(json.dumps(content), encoding="utf-8")

    told = (
        "trained on train, and all members on external images of other (7) too, and all members "
        "on test images labelled by an ensemble."
    )
    assert told in words_of(blended_run)
    assert "without" not in words_of(blended_run).split("val with kept")[1].split("other")[0]


def test_final_fits_are_told_apart_from_what_was_scored(blended_run):
    told = "Test and new images are predicted by final fits on all labelled images; the other"
    assert told not in words_of(blended_run)

    change_blend(blended_run, final_fit=True)

    told = (
        "Test and new images are predicted by final fits on all labelled images; the other scores"
    )
    assert told in words_of(blended_run)


def test_what_models_were_trained_on_stands_beside_each_score_where_it_differs(blended_run):
    assert "chose nothing trained on" not in words_of(blended_run)

    change_blend(blended_run, final_fit=True)

    words = words_of(blended_run)
    assert "this is the best of 2: flattering trained on train 0." in words
    assert "9 images that chose nothing trained on train, val and blend 0." in words


def test_log_loss_on_images_that_fitted_the_temperature_is_called_flattering(blended_run):
    told = (
        "The temperature of the blend was fitted on blend, so its log loss and calibration error "
        "there are flattering."
    )
    assert told not in words_of(blended_run)
    content = json.loads(blended_run.blend.read_text(encoding="utf-8"))
    content["temperature_fitted_on"] = "blend"
    blended_run.blend.write_text(json.dumps(content), encoding="utf-8")

    assert told in words_of(blended_run)


@pytest.mark.parametrize(("policy", "done"), [("drop", "left out"), ("warn", "trained on all")])
def test_copies_among_training_images_are_counted(searched_run, policy, done):
    content = json.loads(searched_run.data.read_text(encoding="utf-8"))
    content["leaks"] = {"policy": policy, "dropped": [], "found": [{"file": "a"}, {"file": "b"}]}
    searched_run.data.write_text(json.dumps(content), encoding="utf-8")

    assert f"2 training images were copies of evaluation images and {done}" in words_of(
        searched_run
    )


def test_copies_among_external_images_that_were_kept_are_counted(blended_run):
    content = json.loads(blended_run.blend.read_text(encoding="utf-8"))
    leaks = {"policy": "warn", "dropped": [], "found": [{"file": "a"}]}
    content["external"][0].update(near_copies_dropped=[], leaks=leaks)
    blended_run.blend.write_text(json.dumps(content), encoding="utf-8")

    words = words_of(blended_run)

    assert "that were left out: none; that were trained on all the same: 1." in words


def test_most_confused_pairs_are_listed(blended_run, build):
    words = words_of(blended_run)

    assert "1 of 9 images were taken for another class" in words
    assert f"{build.class_names[0]} {build.class_names[1]} 1 of 3" in words


def test_skipped_files_are_listed_up_to_a_number(searched_run, build):
    content = json.loads(searched_run.data.read_text(encoding="utf-8"))
    problems = [{"path": f"{i}.jpg", "reason": "is empty"} for i in range(page.MOST_PROBLEMS + 7)]
    searched_run.data.write_text(json.dumps({**content, "problems": problems}), encoding="utf-8")

    words = words_of(searched_run)

    assert "57 files were skipped while reading; these are the first 50" in words
    assert "49.jpg" in words
    assert "50.jpg" not in words


def test_model_of_the_best_is_described(searched_run):
    words = words_of(searched_run)

    assert "trainable parameters 1,500,000" in words
    assert "share that trains 50 %" in words
    assert "blocks that train 4 of 18: block14, block15, block16, head" in words


def test_hundred_trials_and_classes_with_long_names(empty_run, build):
    names = [f"{'very ' * 30}long name {number}" for number in range(104)]
    build.data(empty_run, class_names=names)
    with Ledger(empty_run.ledger, writable=True) as ledger:
        for number in range(1, 100):
            recipe = build.recipe(l2=number / 1e6, dropout=number % 6 / 10)
            build.trial(ledger, number, recipe, [number / 200, number / 100])

    reader = read(empty_run)

    assert len(reader.figures["figure-curves-0"]["data"]) == 99 + 1
    assert reader.tags.count("tbody") >= 100


def write_probes(run, **macro_f1):
    for backbone, score in macro_f1.items():
        made = Probe(backbone, 96, score, 0.5, 1.0, 0.1, 3.0, 1.0, content="ab")
        write_json(run.probes / f"{made.name}.json", asdict(made))


def test_frozen_features_are_told_best_first(searched_run):
    assert "frozen features" not in words_of(searched_run)

    write_probes(searched_run, vgg16=0.5, xception=0.75)

    assert "val macro F1 of xception 96 px 0.750, vgg16 96 px 0.500" in words_of(searched_run)


def test_backbones_that_were_left_out_are_named(searched_run):
    write_probes(searched_run, vgg16=0.5, xception=0.75, densenet121=0.7)

    assert "more than 0.10 behind, so not searched: vgg16" in words_of(searched_run)
    listed = summary.to_dict(summary.collect(searched_run), searched_run.report)["frozen_features"]
    assert [(row["backbone"], row["left_out"]) for row in listed] == [
        ("xception", False),
        ("densenet121", False),
        ("vgg16", True),
    ]

    config = read_yaml(searched_run.config)
    write_text(searched_run.config, yaml.safe_dump({**config, "probe": "keep"}))

    assert "not searched" not in words_of(searched_run)
