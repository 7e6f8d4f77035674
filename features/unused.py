"""Options that were given, and have nothing to act on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence


def tell_unused(why: str, options: Sequence[str]) -> None:
    """Warns of options that do nothing, such as those of images where there are none.

    Args:
        why: what lacks.
        options: as they are typed; nothing is told when there are none.
    """
    if options:
        verb = "are" if len(options) > 1 else "is"
        warnings.warn(f"{why}: {', '.join(options)} {verb} not used", stacklevel=3)
