"""How the whole of an image becomes the pixels that an encoder takes: made larger or smaller, then cut out."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

Resampling = Image.Resampling

LONG = 1 << 13
"""Of sides that become longer the part that is cut out is made alone, to within a rounding of the whole."""


@dataclass(frozen=True)
class Extent:
    """What becomes of the width or height of an image.

    Attributes:
        resized: its length once the image is resized.
        start: where in it the part begins that is taken; below 0 for black before it.
        length: of the part.
    """

    resized: int
    start: int
    length: int

    @classmethod
    def whole(cls, resized: int) -> Extent:
        """All of it, at a length."""
        return cls(resized, 0, resized)

    def across(self, image: Image.Image, how: Resampling) -> Image.Image:
        """An image of which this becomes the width."""
        height = image.height
        if self.resized > max(LONG, self.length):
            scale = image.width / self.resized
            return image.resize((self.length, height), how, (self.start * scale, 0, self._end * scale, height))
        resized = image.resize((self.resized, height), how)
        return resized if self.length == self.resized else resized.crop((self.start, 0, self._end, height))

    def down(self, image: Image.Image, how: Resampling) -> Image.Image:
        """An image of which this becomes the height."""
        width = image.width
        if self.resized > max(LONG, self.length):
            scale = image.height / self.resized
            return image.resize((width, self.length), how, (0, self.start * scale, width, self._end * scale))
        resized = image.resize((width, self.resized), how)
        return resized if self.length == self.resized else resized.crop((0, self.start, width, self._end))

    @property
    def _end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True)
class Framing:
    """An encoder's wish, which whoever decodes images for it fulfils.

    Attributes:
        size: (height, width) of the pixels that the encoder takes.
        resize: (height, width) to which the whole image is resized, or its shorter side, the longer keeping its share;
            None leaves it as large as it is. Of what is larger than `size` then the middle is taken, and what is
            smaller gets black around it.
        resampling: Pillow's filter.
    """

    size: tuple[int, int]
    resize: tuple[int, int] | int | None
    resampling: Resampling = Resampling.BILINEAR

    @classmethod
    def whole(cls, size: tuple[int, int]) -> Framing:
        """The whole image, at a (height, width)."""
        return cls(size, size)

    @property
    def longest(self) -> int:
        """The longer side of what an image is resized to, or its shorter where that alone is told; 0 for neither."""
        return max(self.resize) if isinstance(self.resize, tuple) else self.resize or 0

    def sides(self, size: tuple[int, int]) -> tuple[Extent, Extent]:
        """What becomes of the width and of the height of an image of (width, height)."""
        width, height = self._resized(size)
        return (
            Extent(width, (width - self.size[1]) // 2, self.size[1]),
            Extent(height, (height - self.size[0]) // 2, self.size[0]),
        )

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        if self.resize is None:
            return size
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        width, height = size
        if width <= height:
            return self.resize, int(self.resize * height / width)
        return int(self.resize * width / height), self.resize

    def __str__(self) -> str:
        """In words, for an encoder's spec."""
        height, width = self.size
        how = self.resampling.name.lower()
        if self.resize == self.size:
            return f"whole picture resized {how} to {height} x {width}"
        if self.resize is None:
            before = "not resized"
        elif isinstance(self.resize, tuple):
            before = f"resized {how} to {self.resize[0]} x {self.resize[1]}"
        else:
            before = f"shorter side resized {how} to {self.resize}"
        return f"{before}, middle {height} x {width}"
