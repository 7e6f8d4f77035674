"""Makes the bundled float16 VGG16 base from a Keras-format weights file.

    python scripts/bundle_vgg16.py vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5

The same input gives the same bytes. Credit for the weights is in NOTICE.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

from huse.extract.encoders.vgg16 import LAYERS, load_weights

OUTPUT = Path(__file__).parent.parent / "extract" / "encoders" / "vgg16_float16.h5"


def main(source: Path) -> None:
    """Writes `OUTPUT` from the weights in `source`."""
    arrays = iter(load_weights(source))
    with h5py.File(OUTPUT, "w") as file:
        for block, count in LAYERS:
            for i in range(1, count + 1):
                for part in ("kernel", "bias"):
                    name = f"{block}_conv{i}/{part}"
                    file.create_dataset(name, data=next(arrays).astype(np.float16), track_times=False)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
