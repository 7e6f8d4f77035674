"""A model folder is brought to the Hugging Face hub, in one commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huse.features.errors import HubError
from huse.features.extras import require
from huse.train.artifact.hub import bars_of_terminals, told
from huse.train.artifact.model_files import FILES

WRITTEN = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class Repository:
    """A repository of the hub that may be written to, as far as is known without asking it.

    Attributes:
        id: ``ORG/NAME``.
        public: whether all may read it, if it is made now.
    """

    id: str
    public: bool = False

    def require_usable(self) -> None:
        """Refuses what cannot be pushed to, before any work.

        Raises:
            ExtraError: huggingface_hub is not installed.
            HubError: the name is none, or there is no token.
        """
        if not WRITTEN.fullmatch(self.id):
            raise HubError(f"push={self.id!r} (--push): is no repository; write ORG/NAME")
        if self._hub.get_token() is None:
            raise HubError(f"push={self.id!r} (--push): there is no token; set HF_TOKEN, or run hf auth login")

    def make(self) -> None:
        """Makes it, if it is not there.

        Raises:
            HubError: it cannot be reached, or the token does not allow it.
        """
        try:
            self._hub.HfApi().create_repo(self.id, private=not self.public, exist_ok=True)
        except Exception as error:  # what its versions and their HTTP libraries raise differs
            way_out = "check the name, the network, and that HF_TOKEN may write there"
            raise HubError(f"push={self.id!r} (--push): cannot be made ({told(error)}); {way_out}") from error

    def push(self, folder: Path, message: str) -> str:
        """Brings the files of a model there, and removes those that an earlier one had and this one has not.

        Args:
            folder: the model; what else lies in it stays here.
            message: of the commit.

        Returns:
            The URL of the commit.

        Raises:
            HubError: something went wrong on the way; the repository is as it was.
        """
        api, here = self._hub.HfApi(), [name for name in FILES if (folder / name).is_file()]
        try:
            gone = set(FILES).intersection(api.list_repo_files(self.id)) - {*here}
            steps = [self._hub.CommitOperationAdd(name, str(folder / name)) for name in here]
            steps += [self._hub.CommitOperationDelete(name) for name in sorted(gone)]
            with bars_of_terminals():
                return str(api.create_commit(self.id, steps, commit_message=message).commit_url)
        except Exception as error:  # as above
            again = f"{folder} is whole: hf upload {self.id} {folder} pushes it"
            raise HubError(f"push={self.id!r} (--push): failed ({told(error)}); {again}") from error

    @property
    def _hub(self) -> Any:
        return require("huggingface_hub", "hub", f"push={self.id!r} (--push)")
