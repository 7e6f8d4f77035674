"""The machine: versions, devices, arithmetic, memory, extras and weights."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from huse.doctor.finding import Finding
from huse.extract.encoders import image_encoder, text_encoder
from huse.extract.encoders.convolution import winograd_is_faster
from huse.extract.encoders.precision import arithmetic, has_native_bfloat16
from huse.extract.encoders.replicas import device_names
from huse.features.errors import EncoderError
from huse.features.processor import AMX, cpu_flags, processors
from huse.train.data.memory import machine_memory

PACKAGES = ("tensorflow", "keras", "numpy", "h5py", "scikit-learn", "Pillow")

WEIGHTS = {
    "vgg16": "af7b4531108b161eb7328b2ef4f783a3",
    "use": "6b6af08cf9844592841fecf57b33de42",
}
"""First digits of the digests of the weights that come with huse and its packages."""

_REQUIREMENT = re.compile(r"""([A-Za-z0-9._-]+).*;.*extra == ['"]([a-z]+)['"]""")


@dataclass(frozen=True)
class Environment:
    """What a run on this machine would use; `values` is JSON-ready."""

    values: dict[str, Any]
    findings: list[Finding]


def examine_environment(folder: Path, known: Mapping[str, str] = WEIGHTS) -> Environment:
    """Looks at this machine; loads TensorFlow, to see its devices.

    Args:
        folder: whose disk's free space is told.
        known: first digits of the digests that the weights of encoders have.
    """
    flags, auto = cpu_flags(), arithmetic("auto")
    extras = installed_extras()
    weights, findings = _weights(known)
    values = {
        "huse": _version("huse"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": device_names(),
        "cores": processors(),
        "native_bfloat16": has_native_bfloat16(),
        "amx": flags >= AMX,
        "precision_auto": auto,
        "convolution": _convolution(auto, flags),
        "memory_gib": round(machine_memory() / 2**30, 1),
        "free_disk_gib": round(shutil.disk_usage(folder).free / 2**30, 1),
        "extras": extras,
        "weights": weights,
    }
    return Environment(values, findings)


def installed_extras() -> dict[str, list[str]]:
    """The packages that each extra of huse lacks here, by extra; none for one that is whole."""
    lacking: dict[str, list[str]] = {}
    for requirement in metadata.requires("huse") or []:
        found = _REQUIREMENT.match(requirement)
        if found and found[2] != "dev":
            missing = lacking.setdefault(found[2], [])
            if not _version(found[1]):
                missing.append(found[1])
    return lacking


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _convolution(dtype: str, flags: set[str]) -> str:
    if any("GPU" in name for name in device_names()):
        return "the GPU library's own"
    return "winograd" if winograd_is_faster(dtype, flags) else "direct"


def _weights(known: Mapping[str, str]) -> tuple[dict[str, str], list[Finding]]:
    """The digests of the bundled weights, and what is wrong with them."""
    digests, findings = {}, []
    for name, make in (("vgg16", image_encoder), ("use", text_encoder)):
        try:
            digests[name] = make(name).spec.weights
        except (EncoderError, OSError) as error:
            findings.append(Finding(f"weights of {name}", str(error), "pip install --force-reinstall huse"))
            continue
        if not digests[name].startswith(known[name]):
            what = f"have digest {digests[name][:32]}, not {known[name]}; vectors of other machines will not mix"
            findings.append(Finding(f"weights of {name}", what, "pip install --force-reinstall huse"))
    return digests, findings
