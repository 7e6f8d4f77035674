"""What this machine can do at best: `python -m benchmarks.machine [--json]`.

- matmul_float32_gflops, matmul_bfloat16_gflops: TensorFlow's product of 2048 x 2048 matrices (8192 on a GPU), 10^9
  operations a second;
- read_gb_s: products of a float32 matrix of 512 MB and a vector, so memory read once;
- copy_gb_s: a copy of 256 MB by a thread a core, bytes read and written together;
- write_gb_s: a file of 1 GB written and synced.

Each is the best of several runs: a limit, not a mean.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

from benchmarks.figures import show
from huse.features.processor import cpu_flags, processors

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "bf16")
"""Of processors, those on which figures depend."""

SIDE, LARGE_SIDE, PRODUCTS, RUNS = 2048, 8192, 4, 8
COPIED, READ, WRITTEN = 256_000_000, 512_000_000, 1_000_000_000
"""Bytes."""


def best_seconds(work: Callable[[], Any], runs: int = RUNS) -> float:
    """The shortest of several runs, after one that warms up."""
    work()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def matmul_gflops(precision: str) -> float:
    """10^9 multiplications and additions a second in square products, on a GPU where there is one."""
    import tensorflow as tf

    side = LARGE_SIDE if tf.config.list_physical_devices("GPU") else SIDE
    a = tf.cast(tf.random.normal((side, side), stddev=side**-0.5), precision)  # whose powers stay as large

    @tf.function
    def product(a: tf.Tensor) -> tf.Tensor:
        b = a
        for _ in range(PRODUCTS):
            b = tf.matmul(a, b)
        return b[0, 0]

    return 2 * side**3 * PRODUCTS / best_seconds(lambda: product(a).numpy()) / 1e9


def read_gb_s() -> float:
    """10^9 bytes a second that a product of a matrix and a vector reads."""
    matrix, vector = np.ones((READ // 4 // 512, 512), np.float32), np.ones(512, np.float32)
    return READ / best_seconds(lambda: matrix @ vector) / 1e9


def copy_gb_s() -> float:
    """10^9 bytes a second that threads read and write together."""
    cores = processors()
    source, target = np.ones((2, cores, COPIED // cores), np.uint8)
    with ThreadPoolExecutor(cores) as threads:
        return 2 * COPIED / best_seconds(lambda: list(threads.map(np.copyto, target, source))) / 1e9


def write_gb_s() -> float:
    """10^9 bytes a second into a file that is synced."""
    data = np.random.default_rng(0).bytes(WRITTEN // 10)
    with tempfile.TemporaryDirectory() as folder:

        def write() -> None:
            with (Path(folder) / "file").open("wb") as file:
                for _ in range(10):
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())

        return WRITTEN / best_seconds(write, 2) / 1e9


def description() -> dict[str, Any]:
    """The machine in words."""
    flags = cpu_flags()
    return {
        "processor": _processor_name(),
        "cores": processors(),
        "flags": " ".join(flag for flag in FLAGS if flag in flags) or "none of those that matter",
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no such file outside Linux
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@click.command()
@click.option("--json", "as_json", is_flag=True)
def main(as_json: bool) -> None:
    """Prints the figures."""
    products = {f"matmul_{precision}_gflops": matmul_gflops(precision) for precision in ("float32", "bfloat16")}
    rates = {"read_gb_s": read_gb_s(), "copy_gb_s": copy_gb_s(), "write_gb_s": write_gb_s()}
    show(description() | products | rates, as_json)


if __name__ == "__main__":
    main()
