"""Faults on purpose: processes killed, bits flipped, disks filled, images and tables damaged; what was lost or wrong.

python -m tests.faults            # the whole campaign; writes its table into docs/reliability.md
python -m tests.faults --tries 2  # a few of each, printed alone
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.campaign import campaign, table
from faults.scenarios import KILLS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> None:
    """Runs the campaign, prints each kind as it ends, and writes the page when all tries were made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=0, help="of each fault; 0 for all, and the page")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(KILLS), choices=list(KILLS))
    options = parser.parse_args()
    counts = []
    for count in campaign(options.tries, options.seed, options.only):
        counts.append(count)
        print(f"{count.fault}: {count.tries} tries, {count.lost} lost, {count.wrong} wrong", flush=True)
        for line in count.told[:5]:
            print(f"    {line}", flush=True)
    if not options.tries and len(options.only) == len(KILLS):
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{table(counts)}\n\n{END}{after}", encoding="utf-8")
    if any(count.lost or count.wrong for count in counts):
        sys.exit(1)


if __name__ == "__main__":
    main()
