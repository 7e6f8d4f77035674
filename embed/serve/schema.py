"""What the API takes and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from huse.embed.serve.searcher import Prediction

MOST_HITS = 200

GalleryName = Literal["other", "image", "text", "fused"]
"""What to compare with: ``other`` is the other kind than the query, where there are any."""


def whole_unicode(value: Any) -> Any:
    """A string with U+FFFD in place of halves of surrogate pairs, which no encoder takes; other values as they are."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Words = Annotated[str, BeforeValidator(whole_unicode), Field(max_length=10_000)]
Labels = Annotated[list[Words], Field(max_length=1_000)]


class Query(BaseModel):
    """A search by words, or from a row; give one of `text` and `key`."""

    model_config = ConfigDict(extra="forbid")

    text: Words = Field("", description="What to search for.")
    key: Words = Field("", description="Search from the row of this key.")
    modality: Literal["image", "text"] = Field("image", description="With `key`: from its image or from its text.")
    gallery: GalleryName = Field("other", description="Compare with images, texts, both, or the other kind.")
    classes: Labels = Field([], description="Only rows of these label paths, or below them.")
    k: int = Field(24, ge=1, le=MOST_HITS, description="Most hits.")


class Keys(BaseModel):
    """Rows that are asked for."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[Words], Field(max_length=MOST_HITS)]


class ShownRow(BaseModel):
    """A row as the page shows it."""

    key: str
    label: str
    caption: str
    has_image: bool = Field(description="Whether it can be searched from by its image.")
    image: str = Field(description="Path of its image on this server; empty when there is none to be shown.")


class ShownRows(BaseModel):
    """The rows that were asked for, in that order, without those that there are not."""

    rows: list[ShownRow]


class ShownHit(ShownRow):
    """A row found."""

    score: float


class ShownAnswer(BaseModel):
    """The nearest rows, nearest first, and the most probable classes of the query."""

    hits: list[ShownHit]
    classes: list[Prediction]


class Counted(BaseModel):
    """A class, and how many rows it has."""

    label: str
    rows: int


class Info(BaseModel):
    """What is served."""

    rows: int
    classes: list[Counted]
    galleries: list[str] = Field(description="What queries can be compared with.")
    fingerprint: str = Field(description="Of the model.")
    gallery: str = Field(description="What browsers keep tags of rows under: other for another model or place.")
    most_upload: int = Field(description="Bytes that an uploaded image may have.")
    most_pixels: int = Field(description="Pixels that an uploaded image may have.")
    ready: bool = Field(description="Whether the encoders are built; queries wait until they are.")
    map_ready: bool = Field(description="Whether the map is drawn.")
    problems: list[str] = Field(description="Why some kinds of queries cannot be answered.")


class Refusal(BaseModel):
    """Why a request was not answered."""

    detail: str


class NotYet(Refusal):
    """What was asked for is being made."""

    ready: Literal[False] = False


def refusals(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation that are refusals, by status, given as ``s404="why"``."""
    return {int(status[1:]): {"model": Refusal, "description": reason} for status, reason in reasons.items()}
