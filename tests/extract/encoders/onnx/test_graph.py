"""What is read of an ONNX file without running it, against the library of ONNX, and on damaged files."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnx_models
import pytest
from onnx import TensorProto, helper, numpy_helper

from huse.extract.encoders import image_encoder
from huse.extract.encoders.onnx.graph import Tensor, read_graph
from huse.features.errors import EncoderError


def test_inputs_and_outputs_are_those_that_onnx_reads(tmp_path: Path) -> None:
    path = onnx_models.both_model(tmp_path / "model.onnx")
    graph, model = read_graph(path), onnx.load(str(path)).graph
    assert list(graph.inputs) == [entry.name for entry in model.input]
    assert list(graph.outputs) == [entry.name for entry in model.output]
    assert graph.inputs["pixel_values"] == Tensor("float32", (0, 3, 0, 0))
    assert graph.inputs["input_ids"] == Tensor("int64", (0, 0))
    assert graph.outputs["text_embeds"] == Tensor("float32", (0, onnx_models.DIMENSION))
    assert graph.operations == {node.op_type for node in model.node}
    assert not graph.external


def test_weights_that_older_files_list_as_inputs_are_none(tmp_path: Path) -> None:
    path = onnx_models.vision_model(tmp_path / "model.onnx")
    model = onnx.load(str(path))
    model.graph.input.append(onnx_models.value("kernel", [onnx_models.DIMENSION, 3, 8, 8]))
    onnx.save(model, str(path))
    assert set(read_graph(path).inputs) == {"pixel_values"}


def elsewhere(location: str) -> TensorProto:
    """A tensor whose values lie in a file of their own."""
    tensor = numpy_helper.from_array(np.ones(2, np.float32), "inner")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def branches(location: str) -> onnx.ModelProto:
    """A graph with another in it, whose constant lies in a file of its own."""
    tensor = elsewhere(location)
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["x"], value=tensor)], "inner", [], [onnx_models.value("x", [2])]
    )
    node = helper.make_node("If", ["condition"], ["y"], then_branch=inner, else_branch=inner)
    inputs = [helper.make_tensor_value_info("condition", TensorProto.BOOL, [])]
    return helper.make_model(helper.make_graph([node], "g", inputs, [onnx_models.value("y", [2])]))


def test_weights_of_inner_graphs_are_found(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(branches("more/weights.bin").SerializeToString())
    graph = read_graph(tmp_path / "m.onnx")
    assert graph.external == {"more/weights.bin"}
    assert graph.operations == {"If", "Constant"}


def sparse(location: str) -> onnx.ModelProto:
    """A sparse constant whose values lie in a file of their own."""
    indices = numpy_helper.from_array(np.arange(2), "indices")
    value = helper.make_sparse_tensor(elsewhere(location), indices, [4])
    node = helper.make_node("Constant", [], ["y"], sparse_value=value)
    return helper.make_model(helper.make_graph([node], "g", [], [onnx_models.value("y", [4])]))


def usual(location: str) -> onnx.ModelProto:
    """A function with an attribute that lies in a file of its own where a node does not say it."""
    constant = helper.make_node("Constant", [], ["y"])
    constant.attribute.add(name="value", ref_attr_name="of", type=onnx.AttributeProto.TENSOR)
    of = helper.make_attribute("of", elsewhere(location))
    opsets = [helper.make_opsetid("", onnx_models.OPSET), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "F", [], ["y"], [constant], opsets[:1], attribute_protos=[of])
    node = helper.make_node("F", [], ["y"], domain="own")
    graph = helper.make_graph([node], "g", [], [onnx_models.value("y", [2])])
    return helper.make_model(graph, functions=[function], opset_imports=opsets)


@pytest.mark.parametrize("make", [branches, sparse, usual])
def test_weights_are_found_wherever_a_graph_may_have_them(
    make: Callable[[str], onnx.ModelProto], tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(make("more/weights.bin").SerializeToString())
    assert read_graph(tmp_path / "m.onnx").external == {"more/weights.bin"}
    (tmp_path / "m.onnx").write_bytes(make("../weights.bin").SerializeToString())
    with pytest.raises(EncoderError, match="keeps weights outside its folder"):
        read_graph(tmp_path / "m.onnx")


OUTSIDE = ["/etc/passwd", "../secret", "a/../../secret", "C:\\secret", "\\\\host\\x", "", "*/_ORT_MEM_ADDR_/*"]


@pytest.mark.parametrize("location", OUTSIDE)
def test_weights_outside_the_folder_are_refused_before_anything_is_loaded(location: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(branches(location).SerializeToString())
    onnx_models.write(tmp_path / "preprocessor_config.json", onnx_models.CLIP)
    with pytest.raises(EncoderError, match="keeps weights outside its folder"):
        image_encoder(f"onnx:{tmp_path}")


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    content = onnx_models.both_model(tmp_path / "model.onnx").read_bytes()
    dice = random.Random(0)
    path = tmp_path / "damaged.onnx"
    for i in range(300):
        damaged = bytearray(content[: dice.randrange(len(content))] if i % 2 else content)
        for _ in range(dice.randrange(1, 30)):
            if damaged:
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        with suppress(EncoderError):  # and nothing else
            read_graph(path)
    for rubbish in (b"", b"\0", b"\xff" * 100, os.urandom(1000), b"\x3a\xff\xff\xff\xff\x0f", b"<html>"):
        path.write_bytes(rubbish)
        with pytest.raises(EncoderError, match="not an ONNX model"):
            read_graph(path)


def test_a_graph_within_a_graph_a_thousand_times_is_one_line(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        length, size = len(content), b""
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    graph = b""
    for _ in range(2000):
        graph = field(1, field(5, field(6, graph)))
    (tmp_path / "m.onnx").write_bytes(field(7, graph))
    with pytest.raises(EncoderError, match="not an ONNX model, or damaged"):
        read_graph(tmp_path / "m.onnx")
