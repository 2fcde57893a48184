"""Whatever happens to the bytes of a data set, `data describe` describes it or says why not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.conftest import encode_image, serialise_example, write_image_tree
from tests.data.conftest import write_tfrecord_file as write_records


def folder(root):
    places = ("train/a", "train/b", "val/a", "val/b")
    return write_image_tree(root, {f"{place}/1.jpg": None for place in places})


def records(root):
    for split in ("train", "test"):
        payloads = [
            serialise_example(image=encode_image(), label=label, id_=f"{split}{label}".encode())
            for label in range(2)
        ]
        write_records(root / f"tfrecords-jpeg-8x6/{split}/00-8x6-2.tfrec", payloads)
    (root / "classes.txt").write_text("daisy\nrose\n")
    (root / "test_labels.csv").write_text("id,label\ntest0,0\ntest1,1\n")
    return root


def table(root):
    write_image_tree(root, {"a.jpg": None, "b.jpg": None, "c.jpg": None})
    text = 'path,label,split,id\na.jpg,daisy,train,1\n"b.jpg",rose,train,2\nc.jpg,,test,3\n'
    (root / "labels.csv").write_text(text)
    return root / "labels.csv"


@st.composite
def damages(draw):
    """Draw changes of a file: where, as a share of its length, how many bytes go, what comes."""
    places = st.floats(0, 1, exclude_max=True)
    come = st.one_of(st.binary(max_size=3), st.sampled_from([b"", b"\n", b",", b'"', b"\xff\xfe"]))
    one = st.tuples(places, st.sampled_from([0, 1, 1, 4, 10_000]), come)
    return draw(st.lists(one, min_size=1, max_size=3))


def damage(data, changes):
    for place, go, come in changes:
        start = int(place * len(data))
        data = data[:start] + come + data[start + go :]
    return data


@pytest.fixture(scope="module", params=[folder, records, table], ids=lambda make: make.__name__)
def data_set(request, tmp_path_factory):
    """Return an address, and its files as they were."""
    root = tmp_path_factory.mktemp("damaged")
    address = request.param(root / "data")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return address, {path: path.read_bytes() for path in files}


@settings(max_examples=40, derandomize=True)
@given(which=st.floats(0, 1, exclude_max=True), changes=damages())
def test_damaged_data_are_described_or_answered(data_set, cli, which, changes):
    address, files = data_set
    path = list(files)[int(which * len(files))]
    path.write_bytes(damage(files[path], changes))
    try:
        result = cli("data", "describe", address)  # raises what would be a traceback
    finally:
        path.write_bytes(files[path])

    assert result.exit_code in (0, 2)
    assert (result.exit_code == 2) == result.stderr.startswith("error: ")
    assert (result.exit_code == 0) == bool(result.stdout)
