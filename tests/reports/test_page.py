"""The page: complete, self-contained, and safe with hostile names."""

from html.parser import HTMLParser

import pytest

from automl_flowers.reports import page, summary

SECTIONS = [
    "summary",
    "leaderboard",
    "curves",
    "hyperparameters",
    "backbones",
    "learning-rate",
    "blend",
    "confusion",
    "model",
    "trials",
    "environment",
]


class Reader(HTMLParser):
    """Collects ids, addresses, and the text and tags outside scripts."""

    def __init__(self):
        super().__init__()
        self.ids, self.addresses, self.tags, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        self.addresses += [values[name] for name in ("src", "href") if values.get(name)]

    def handle_data(self, data):
        self.text.append(data)


def read(run):
    reader = Reader()
    reader.feed(page.render(summary.collect(run)))
    return reader


every_run = pytest.mark.parametrize("run", ["empty_run", "searched_run", "blended_run"])


@every_run
def test_every_section_is_there_once(request, run):
    reader = read(request.getfixturevalue(run))

    assert [i for i in reader.ids if i in SECTIONS] == SECTIONS


@every_run
def test_nothing_is_loaded_from_elsewhere(request, run):
    reader = read(request.getfixturevalue(run))

    assert all(address.startswith("#") for address in reader.addresses)


def test_hostile_words_stay_words(blended_run):
    reader = read(blended_run)
    calm = read_calm_tags(blended_run)

    assert reader.tags == calm
    assert "alert(1)</script>" not in page.render(summary.collect(blended_run))


def read_calm_tags(run):
    """Return the tags of the same page with harmless words."""
    for file in (run.blend, run.data):
        text = file.read_text(encoding="utf-8")
        for word in ("<images>", "<out>", "<img src=x>", "<b>broken</b>", "<script>", "</script>"):
            text = text.replace(word, "word")
        file.write_text(text.replace("<b>bold</b>", "bold"), encoding="utf-8")
    return read(run).tags


def test_scores_stand_with_their_split(blended_run):
    text = " ".join(" ".join(read(blended_run).text).split())

    assert "90 % interval 0.700 to 0.900" in text
    assert "naive 0.8200, cross-fitted 0.7900" in text
    assert "1 in blend" in text


def test_page_is_written_whole(searched_run):
    page.write(summary.collect(searched_run), searched_run.report)

    assert searched_run.report.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert list(searched_run.path.glob("*.tmp")) == []
