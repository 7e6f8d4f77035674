"""Records the image vectors of a `huse demo` for its test, which then encodes a few of the images alone.

    python scripts/record_demo.py huse-demo

To be run again when the bundled images or the encoder of the demo change.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from huse.features.store import Store

OUTPUT = Path(__file__).parent.parent / "tests" / "demo" / "recorded.npz"


def main(folder: Path) -> None:
    """Writes `OUTPUT`: in the order of the manifest, the vectors and what they were made of."""
    store = Store.open(folder / "features")
    rows = store.load()
    spec = store.info.image
    if spec is None or not rows.image.present.all():
        sys.exit(f"{folder}: some images have no vector")
    np.savez_compressed(
        OUTPUT,
        fingerprint=np.array(spec.fingerprint),
        digest=rows.image.digest,
        vectors=rows.image.vectors.astype(np.float16),
    )
    print(f"{OUTPUT}: {len(rows)} images, {OUTPUT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
