"""VGG16 with our weights and our readout in other libraries: each function makes what turns files into vectors.

They decode by Pillow with huse's resizing, on all processors, while the network runs. The input is RGB as it comes; the
first kernel is turned for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from huse.extract.encoders.vgg16 import LAYERS, MEAN_BGR, SIDE, load_weights
from huse.features.processor import processors

Vectors = NDArray[np.float32]
Work = Callable[[], Vectors]

READ = ("block4", "block5")
"""The blocks whose means are the vector, one behind the other."""


def pixels(path: Path) -> NDArray[np.uint8]:
    """(224, 224, 3) RGB of a file."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


class Photos:
    """Files as a data set of PyTorch."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        """How many there are."""
        return len(self.paths)

    def __getitem__(self, at: int) -> NDArray[np.uint8]:
        """Pixels of one."""
        return pixels(self.paths[at])


def batches(paths: Sequence[Path], size: int) -> Iterator[NDArray[np.uint8]]:
    """Pixels in batches of one size, the last filled up with its last image, decoded by threads ahead of their use."""
    filled = [*paths, *[paths[-1]] * (-len(paths) % size)]
    with ThreadPoolExecutor(processors()) as threads:
        found = threads.map(pixels, filled)
        for _ in range(len(filled) // size):
            yield np.stack([next(found) for _ in range(size)])


def by_predict(paths: Sequence[Path], batch: int) -> Work:
    """Keras's own network and `model.predict`, one batch behind the other, as a script has it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    network = keras.applications.VGG16(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    network.set_weights(load_weights())
    means = [keras.layers.GlobalAveragePooling2D()(network.get_layer(f"{block}_pool").output) for block in READ]
    model = keras.Model(network.inputs, keras.layers.Concatenate()(means))

    def work() -> Vectors:
        vectors = []
        for start in range(0, len(paths), batch):
            inputs = np.stack([pixels(path) for path in paths[start : start + batch]]).astype(np.float32)
            vectors.append(model.predict(keras.applications.vgg16.preprocess_input(inputs), verbose=0))
        return np.concatenate(vectors)

    return work


def by_pytorch(paths: Sequence[Path], precision: str, batch: int) -> Work:
    """`torch.nn` layers as torchvision stacks them, channels last, fed by a DataLoader with a process a core."""
    import torch

    torch.set_num_threads(processors())
    dtype = getattr(torch, precision)
    layers, arrays = [], iter(turned())
    for _, count in LAYERS:
        for _ in range(count):
            kernel, bias = next(arrays), next(arrays)
            layer = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
            layer.load_state_dict({"weight": torch.tensor(kernel), "bias": torch.tensor(bias)})
            layers += [layer, torch.nn.ReLU(inplace=True)]
        layers.append(torch.nn.MaxPool2d(2, 2))
    network = torch.nn.Sequential(*layers).eval().to(dtype=dtype, memory_format=torch.channels_last)
    body, last = network[:-7], network[-7:]
    mean = torch.tensor(MEAN_BGR[::-1])
    loader = torch.utils.data.DataLoader(
        Photos(paths), batch_size=batch, num_workers=processors(), persistent_workers=True
    )

    def work() -> Vectors:
        vectors = []
        with torch.inference_mode():
            for found in loader:
                fourth = body((found.float() - mean).to(dtype).permute(0, 3, 1, 2))
                pooled = [x.float().mean((2, 3)) for x in (fourth, last(fourth))]
                vectors.append(torch.cat(pooled, 1).numpy())
        return np.concatenate(vectors)

    return work


def by_onnxruntime(paths: Sequence[Path], model: Path, batch: int) -> Work:
    """ONNX Runtime with its own settings, all optimizations and a thread a core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = processors()
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def work() -> Vectors:
        parts = [session.run(None, {"pixels": found})[0] for found in batches(paths, batch)]
        return np.concatenate(parts)[: len(paths)]

    return work


def by_openvino(paths: Sequence[Path], model: Path, precision: str, batch: int) -> Work:
    """OpenVINO, made for throughput, with as many requests under way as it asks for."""
    import openvino

    core = openvino.Core()
    network = core.read_model(str(model))
    network.reshape([batch, SIDE, SIDE, 3])
    hints = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
    }
    compiled = core.compile_model(network, "CPU", hints)
    queue = openvino.AsyncInferQueue(compiled)

    def work() -> Vectors:
        parts: dict[int, Vectors] = {}
        queue.set_callback(lambda request, at: parts.update({at: request.get_output_tensor(0).data.copy()}))
        for at, found in enumerate(batches(paths, batch)):
            queue.start_async({0: found}, at)
        queue.wait_all()
        return np.concatenate([parts[at] for at in sorted(parts)])[: len(paths)]

    return work


def turned() -> list[Vectors]:
    """Kernels (out, in, 3, 3) and biases of the 13 convolutions, the first for RGB."""
    arrays = load_weights()
    arrays[0] = arrays[0][:, :, ::-1]
    return [np.ascontiguousarray(a.transpose(3, 2, 0, 1)) if a.ndim == 4 else a for a in arrays]


def write_onnx(out: Path) -> Path:
    """Writes the network as an ONNX model from `pixels` (n, 224, 224, 3) uint8 to `vectors` (n, 1024)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    arrays = dict(enumerate(turned()))
    weights = {f"w{at}": array for at, array in arrays.items()} | {"mean": np.array(MEAN_BGR[::-1], np.float32)}
    nodes: list[Any] = []

    def add(operation: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operation}{len(nodes)}"
        nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    x = add("Sub", add("Cast", "pixels", to=TensorProto.FLOAT), "mean")
    x, at, means = add("Transpose", x, perm=[0, 3, 1, 2]), 0, []
    for block, count in LAYERS:
        for _ in range(count):
            x, at = add("Relu", add("Conv", x, f"w{at}", f"w{at + 1}", pads=[1, 1, 1, 1])), at + 2
        x = add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        means += [add("Flatten", add("GlobalAveragePool", x))] if block in READ else []
    nodes.append(helper.make_node("Concat", means, ["vectors"], axis=1))
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 3])]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 1024])]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "vgg16", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(out))
    return out
