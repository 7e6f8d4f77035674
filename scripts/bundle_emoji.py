"""Packs the demo's data set from a folder with emoji.csv and images/.

    python scripts/bundle_emoji.py FOLDER

The same input gives the same bytes. Credits are in NOTICE.
"""

from __future__ import annotations

import csv
import sys
import zipfile
from pathlib import Path

OUTPUT = Path(__file__).parent.parent / "demo" / "emoji.zip"
EPOCH = (1980, 1, 1, 0, 0, 0)


def main(folder: Path) -> None:
    """Writes `OUTPUT` from the images that emoji.csv names."""
    table = (folder / "emoji.csv").read_text(encoding="utf-8")
    images = sorted(row["image"] for row in csv.DictReader(table.splitlines()))
    with zipfile.ZipFile(OUTPUT, "w") as archive:
        for name in ["emoji.csv", *images]:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (folder / name).read_bytes())
    print(f"{OUTPUT}: {len(images)} images, {OUTPUT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
