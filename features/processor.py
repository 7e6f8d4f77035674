"""How many processors there are for this process, and what they multiply in hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NATIVE_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of processors with arithmetic in bfloat16; one of them is enough."""

AMX = {"amx_tile", "amx_bf16"}
"""Flags of processors that multiply matrices of bfloat16 in hardware of their own."""


def processors() -> int:
    """How many this process may use: those of the machine, less what affinity or a container's quota leaves out."""
    from joblib import cpu_count

    return int(cpu_count())


def multiplies_bfloat16(devices: Any) -> bool:
    """True when matrix products in bfloat16 run in hardware: on every GPU, or else on the processor.

    Args:
        devices: `tf.config`, which knows what GPUs there are.
    """
    gpus = devices.list_physical_devices("GPU")
    if gpus:
        capabilities = [devices.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
        return bool(min(capabilities) >= (8, 0))  # NVIDIA Ampere and later
    return bool(cpu_flags() & NATIVE_BFLOAT16)


def cpu_flags() -> set[str]:
    """What this machine's processor can do, as Linux names it; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no such file outside Linux: float32 is always right
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":", 1)[1].split()}
