"""What is worth knowing and stops nothing: one line on standard error."""

from __future__ import annotations

import sys

from tqdm import tqdm


def notify(message: str) -> None:
    """Says one line beside the progress bars."""
    tqdm.write(message.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
