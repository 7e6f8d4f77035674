"""Records the vectors of a `huse demo` for its test, which then encodes a few of the rows alone.

    python scripts/record_demo.py huse-demo

To be run again when the bundled rows or the encoders of the demo change.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.features.store import Store

OUTPUT = Path(__file__).parent.parent / "tests" / "demo" / "recorded.npz"


def main(folder: Path) -> None:
    """Writes `OUTPUT`: in the order of the manifest, the vectors and what they were made of."""
    store = Store.open(folder / "features")
    rows = store.load()
    record: dict[str, NDArray[np.generic]] = {}
    for modality, its in rows.modalities.items():
        spec = store.info.specs.of(modality)
        if spec is None or not its.present.all():
            sys.exit(f"{folder}: rows without a vector of modality {modality}")
        record[f"{modality}_fingerprint"] = np.array(spec.fingerprint)
        record[f"{modality}_digest"] = its.digest
        record[f"{modality}_vectors"] = its.vectors.astype(np.float16)
    np.savez_compressed(OUTPUT, **record)  # type: ignore[arg-type]
    print(f"{OUTPUT}: {len(rows)} rows, {OUTPUT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
