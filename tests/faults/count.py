"""What came of a kind of fault."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Count:
    """What came of a kind of fault.

    Attributes:
        fault: what was done, and to what.
        tries: how often.
        lost: tries after which the same command did not bring everything back.
        wrong: tries after which something else than what was written passed for whole.
        test: the function of this file that did it.
        told: what went wrong, the first few.
    """

    fault: str
    tries: int = 0
    lost: int = 0
    wrong: int = 0
    test: str = ""
    told: list[str] = field(default_factory=list)
