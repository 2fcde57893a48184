"""Where data lies: from what a person typed to an address that can be read.

Looked for in this order:

    tfds:oxford_flowers102      a name in TensorFlow Datasets, where that package is installed
    gs://bucket/petals          an address with a scheme: as it is
    photos, ~/photos/*.tfrec    a file, a folder or a glob that matches something here
    tpu-getting-started         below /kaggle/input, where a Kaggle notebook finds what is added
    owner/dataset               to it, in the older layout and in the newer
    the same names              on Kaggle, where the package `kagglehub` is installed

What is found is written to the run, so that a search that goes on reads the same data.

Reference:
    https://github.com/Kaggle/kagglehub
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from automl_flowers.data.nearest import nearest
from automl_flowers.data.sources import layouts, storage
from automl_flowers.data.tfds import PREFIX, prepare_tfds
from automl_flowers.errors import DataError

Say = Callable[[str], None]
"""Called with one line about what was found, or what is about to take a while."""

KAGGLE_INPUT = Path("/kaggle/input")
KAGGLE_INPUT_VARIABLE = "KAGGLE_CACHE_MOUNT_FOLDER"
"""Environment variable that puts another folder in the place of `KAGGLE_INPUT`, as in kagglehub."""

_KAGGLE_NAME = re.compile(r"(?:[a-z0-9][a-z0-9-]*/)?[a-z0-9][a-z0-9-]*")
_ADDRESS_HINT = (
    "give a folder of images, TFRecords, a CSV file or an address such as gs://, or the name of a "
    "competition (`tpu-getting-started`) or data set (`owner/dataset`) on Kaggle"
)


def _quietly(_text: str) -> None:
    """Say nothing."""


def locate(address: str, say: Say = _quietly, *, kaggle_input: Path | None = None) -> str:
    """Return the address at which a data set can be read.

    Args:
        address: What a person typed: a path, a glob, an address with a scheme, the name of a
            Kaggle competition, `owner/dataset`, or `tfds:NAME`.
        say: Hears where a name was found, and of a download before it starts.
        kaggle_input: Where Kaggle's data lie; by default what the environment says, or
            `/kaggle/input`.

    Returns:
        An absolute path, an absolute glob, or the address with its scheme.

    Raises:
        DataError: If there is no such data set, with all places where it was looked for and the
            nearest name that exists; or if it cannot be downloaded.
    """
    if not address.strip():
        raise DataError("The address of a data set is empty.", hint=_ADDRESS_HINT)
    if address.startswith(PREFIX):
        return prepare_tfds(address, say)
    if storage.is_remote(address):
        return address
    here = storage.normalise(address)
    if _is_there(here):
        return here
    root = kaggle_input or Path(os.environ.get(KAGGLE_INPUT_VARIABLE, KAGGLE_INPUT))
    for path in _below(root, address):
        if _is_there(path):
            say(f"`{address}` is {path}")
            return path
    if storage.is_pattern(here) and Path(layouts.fixed_part(here)).is_dir():
        return here  # reading it says best what lies there instead
    if _KAGGLE_NAME.fullmatch(address) and importlib.util.find_spec("kagglehub"):
        path = _download(address, here, root, say)
        say(f"`{address}` is {path}")
        return path
    asked = ""
    if _KAGGLE_NAME.fullmatch(address):
        asked = "; Kaggle was not asked, since the package `kagglehub` is not installed"
    raise DataError(_nothing_at(address, here, root, asked), hint=_ADDRESS_HINT)


def _is_there(path: str) -> bool:
    return bool(storage.match(path)) if storage.is_pattern(path) else Path(path).exists()


def _below(root: Path, address: str) -> Iterator[str]:
    """Yield where Kaggle may have put what a name stands for."""
    parts = Path(address).parts
    if not _is_name(address):
        return
    yield str(root.joinpath(*parts))
    yield str(root.joinpath("competitions", *parts))
    if len(parts) > 1:
        yield str(root.joinpath("datasets", *parts))
    owners = [path for path in storage.match(f"{root}/datasets/*") if Path(path).is_dir()]
    having_it = [path for owner in owners if _is_there(path := storage.join(owner, address))]
    if len(having_it) == 1:
        yield having_it[0]
    if len(parts) > 1:  # the older layout has no folder for the owner
        yield str(root.joinpath(*parts[1:]))


def _is_name(address: str) -> bool:
    """Return whether an address is a name, and no path from here, from home or from the root."""
    return not address.startswith(("/", "~", ".")) and ".." not in Path(address).parts


def _download(name: str, here: str, root: Path, say: Say) -> str:
    """Return the folder to which kagglehub downloads a competition or a data set."""
    say(f"downloading `{name}` from Kaggle; what was downloaded before is used again")
    try:
        # It logs to the stdout that it finds when it is imported; ours is for results.
        with contextlib.redirect_stdout(sys.stderr):
            kagglehub: Any = importlib.import_module("kagglehub")
            fetch = kagglehub.dataset_download if "/" in name else kagglehub.competition_download
            return storage.normalise(str(fetch(name)))
    except Exception as error:  # of any kind: kagglehub passes on what its own libraries raise
        reason, hint = _why_not_downloaded(name, error)
        raise DataError(_nothing_at(name, here, root, f", and {reason}"), hint=hint) from error


def _why_not_downloaded(name: str, error: Exception) -> tuple[str, str]:
    """Return the end of a sentence, and what to do."""
    is_competition = "/" not in name
    page = f"https://www.kaggle.com/{'competitions' if is_competition else 'datasets'}/{name}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    log_in = (
        "create a token in your settings on kaggle.com, and save it as `~/.kaggle/kaggle.json` or "
        "set KAGGLE_USERNAME and KAGGLE_KEY"
    )
    if type(error).__name__ in ("UnauthenticatedError", "CredentialError") or status == 401:
        return "Kaggle wants to know who you are before it lets you download it", log_in
    if status == 403 and is_competition:
        return (
            "Kaggle does not let you download it before you accept the competition's rules",
            f"accept them at {page}/rules, with the account whose token is used here",
        )
    if status == 403:
        return "Kaggle does not let you download it", f"look at {page}; or {log_in}"
    if status == 404:
        return "Kaggle has none of this name either", f"look at {page}, or {_ADDRESS_HINT}"
    if status is None and isinstance(error, OSError):
        if error.errno is not None:
            return (
                f"it cannot be downloaded: {error.strerror}",
                "make room in kagglehub's cache, or set KAGGLEHUB_CACHE to another folder",
            )
        return "Kaggle cannot be reached", "connect to the network, or give a folder that is here"
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"kagglehub cannot download it: {first_line.rstrip('.')}", f"look at {page}"


def _nothing_at(address: str, here: str, root: Path, reason: str) -> str:
    """Return where there is nothing, why Kaggle does not help, and the nearest name there is."""
    below = f" nor below `{root}`" if _is_name(address) else ""
    near = _nearest(address, here, root)
    suggestion = f" Did you mean `{near}`?" if near else ""
    return f"There is nothing at `{here}`{below}{reason}.{suggestion}"


def _nearest(address: str, here: str, root: Path) -> str | None:
    """Return the nearest name that exists, beside the one that does not, or below Kaggle's."""
    near = _nearest_path(Path(here))
    if near is None and _is_name(address):
        patterns = {root: "*", root / "competitions": "*", root / "datasets": "*/*"}
        near = nearest(
            address,
            (
                path.relative_to(folder).as_posix()
                for folder, pattern in patterns.items()
                for path in folder.glob(pattern)
            ),
        )
    return near


def _nearest_path(path: Path) -> str | None:
    """Return the path with the first part that does not exist put right, if one is near."""
    rest: list[str] = []
    while not path.parent.exists():
        rest.insert(0, path.name)
        path = path.parent
    close = nearest(path.name, storage.list_names(str(path.parent)))
    if close is None:
        return None
    corrected = path.with_name(close).joinpath(*rest)
    return str(corrected if corrected.exists() else path.with_name(close))
