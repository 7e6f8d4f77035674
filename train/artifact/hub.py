"""`hf://ORG/NAME@REVISION` where a model is asked for: its files, of one commit, from the Hugging Face hub."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huse.features.errors import HubError
from huse.features.extras import require
from huse.features.files.place import place
from huse.train.artifact.model_files import FILES

WRITTEN = re.compile(
    r"hf://(?P<id>(?!(?:datasets|spaces|buckets|kernels)/)[\w.-]+/[\w.-]+)(?:@(?P<revision>[^@#\s]+))?/?"
)
"""A model itself; what lies deeper, or is none, is a URL as any other."""


def model_folder(given: str | Path) -> Path:
    """The folder of a model: a place, or for one of the hub that of its files on this machine, downloaded if need be.

    What huggingface_hub obeys holds here too: HF_TOKEN for what is private, HF_ENDPOINT for a mirror, HF_HUB_OFFLINE
    for what was downloaded before, HF_HOME for where that lies.

    Raises:
        ExtraError: huggingface_hub is not installed.
        HubError: there is no such model or revision, or it cannot be had.
        PlaceError: as `place`.
    """
    found = WRITTEN.fullmatch(str(given))
    return _snapshot(str(given), found["id"], found["revision"]) if found else place(given)


def is_of_hub(given: str | Path) -> bool:
    """Whether a model is one of the hub."""
    return WRITTEN.fullmatch(str(given)) is not None


def told(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)


@contextmanager
def bars_of_terminals() -> Iterator[None]:
    """Leaves out the bars of huggingface_hub where nobody sees them move."""
    bars = require("huggingface_hub.utils", "hub", "the Hugging Face hub")
    if sys.stderr.isatty() or bars.are_progress_bars_disabled():
        yield
        return
    bars.disable_progress_bars()
    try:
        yield
    finally:
        bars.enable_progress_bars()


def _snapshot(url: str, repository: str, revision: str | None) -> Path:
    hub, errors = (require(module, "hub", url) for module in ("huggingface_hub", "huggingface_hub.errors"))
    try:
        with bars_of_terminals():
            return Path(hub.snapshot_download(repository, revision=revision, allow_patterns=list(FILES)))
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{url}: there is no revision {revision}; name a branch, a tag or a commit") from error
    except errors.RepositoryNotFoundError as error:
        why = "there is no such model, or none that may be read"
        raise HubError(f"{url}: {why}; check the name, and HF_TOKEN if it is private") from error
    except Exception as error:  # what its versions and their HTTP libraries raise differs
        raise HubError(f"{url}: cannot be had ({told(error)}); check the network, or name a folder") from error
