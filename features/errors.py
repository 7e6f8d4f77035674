"""Every exception huse raises on purpose. The command line prints its message as one line and exits with 1."""

from __future__ import annotations

from huse.features.summary import ExtractSummary


class HuseError(Exception):
    """Base of all errors that name a key, file or option and the way out."""


class ExtraError(HuseError):
    """An optional package is not installed."""


class PlaceError(HuseError):
    """A path or URL that cannot be used as it is written."""


class SettingsError(HuseError):
    """A file of settings cannot be read, or has a name or a value that no command knows."""


class ManifestError(HuseError):
    """The manifest as a whole cannot be used: no such column, duplicate keys, not UTF-8, empty."""


class EncoderError(HuseError):
    """An encoder is unknown, or its weights cannot be read."""


class ExtractionError(HuseError):
    """A run ended with too many failed rows; `summary` tells what it did all the same."""

    def __init__(self, message: str, summary: ExtractSummary) -> None:
        super().__init__(message)
        self.summary = summary

    def __reduce__(self) -> tuple[type[ExtractionError], tuple[str, ExtractSummary]]:
        return type(self), (str(self), self.summary)  # it comes from other machines too


class ClusterError(HuseError):
    """A cluster cannot be reached, lacks what a run needs, or has not filled all shards."""


class ShardError(HuseError):
    """A shard file is damaged, incomplete or of another format version."""


class UnreadableError(ShardError):
    """A shard file that could not be read this time: nothing is known of it, so that nothing may replace it."""


class StoreError(HuseError):
    """A folder is not a store, or not one that this command can use."""


class FingerprintError(HuseError):
    """Vectors of two different encoders were about to be mixed."""


class FitError(HuseError):
    """The store or the hyperparameters do not allow training."""


class ModelError(HuseError):
    """A folder is not a saved model, or is damaged."""


class HubError(HuseError):
    """The Hugging Face hub has not what was asked for, or cannot be reached or written to."""


class QueryError(HuseError):
    """A search query or its gallery cannot be used."""


class ServeError(HuseError):
    """The server cannot listen where it was told to."""
