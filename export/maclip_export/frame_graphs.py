"""Graphs around the encoder: a frame's views in front of it, the head behind it.

    views    frame uint8 [H, W, 3] (, views int64 [N])  ->  pixels float32 [V or N, 3, S, S]
    encoder  pixels                                      ->  features float32 [V or N, D]
    head     features float32 [V, D]                     ->  score, similarity, magnitude float32 []

`chain_graphs` joins them by the names of their inputs and outputs: views and encoder are the frame
graph, all three the score graph. Views and head carry no weights worth mentioning and are float32 in
every precision. They are written out, not traced, so that their operators are the same with every torch.

Windows are gathered in square blocks of gcd(S, T) pixels (32 for S = 224, T = 128): a window is 7 x 7
whole blocks and takes 49 indices, not 50176, which keeps graphs small where indices are constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import ArrayLike, NDArray
from onnx import compose
from onnxscript import GraphBuilder, optimizer

from maclip_export.graphs import IR_VERSION, OPSET, PRODUCER
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.head import Head

OpBuilder = Any  # onnxscript.OpBuilder looks its operators up by name

FrameSize = tuple[int, int]  # (height, width)

_FLOAT = ir.DataType.FLOAT.value
_INT64 = ir.DataType.INT64.value
_FOLD_LIMIT = (
    1 << 24
)  # bytes; the optimizer's default would leave the indices of a static graph unfolded


def write_views_graph(
    geometry: ViewGeometry, frame_size: FrameSize | None, *, chunked: bool
) -> onnx.ModelProto:
    """frame uint8 [H, W, 3] to pixels float32 [V, 3, S, S]; H and W at least S.

    `frame_size` folds every index into a constant; None takes any size. `chunked` adds the input
    `views` int64 [N], the indices of the views to cut, the last view V - 1 being the global one: so a
    frame on the device is worked off in portions, in bounded memory.
    """
    shape = ir.Shape([*(frame_size or ("height", "width")), 3])
    inputs = [ir.Value(name="frame", type=ir.TensorType(ir.DataType.UINT8), shape=shape)]
    if chunked:
        index_type = ir.TensorType(ir.DataType.INT64)
        inputs.append(ir.Value(name="views", type=index_type, shape=ir.Shape(["views"])))

    def write(op: OpBuilder, frame: ir.Value, views: ir.Value | None = None) -> dict[str, ir.Value]:
        # TensorRT wants the Cast to be the first to read the uint8 input.
        image = op.Cast(frame, to=_FLOAT)
        height, width = op.Shape(image, start=0, end=1), op.Shape(image, start=1, end=2)
        rows = op.Add(op.Div(op.Sub(height, [geometry.size]), [geometry.stride]), [1])
        columns = op.Add(op.Div(op.Sub(width, [geometry.size]), [geometry.stride]), [1])
        last = op.Mul(rows, columns)
        whole = _write_global_view(op, image, height, width, geometry.size)
        if views is None:
            zero, one = _constant(op, 0, np.int64), _constant(op, 1, np.int64)
            windows = op.Range(zero, op.Squeeze(last), one)
            cut = _write_windows(op, image, windows, rows, columns, geometry)
            raw = op.Concat(cut, whole, axis=0)
        else:
            # The global view's index cuts the last window in its place; Where puts that right.
            windows = op.Min(views, op.Sub(last, [1]))
            cut = _write_windows(op, image, windows, rows, columns, geometry)
            raw = op.Where(op.Unsqueeze(op.Equal(views, last), [1, 2, 3]), whole, cut)
        return {"pixels": _write_normalisation(op, raw, geometry)}

    return _write_graph("views", inputs, write)


def write_dense_graph(
    geometry: ViewGeometry, frame_size: FrameSize | None, encoder: onnx.ModelProto
) -> onnx.ModelProto:
    """frame uint8 [H, W, 3] to features float32 [V, D], neighbouring windows encoded together.

    encoder: a ResNet's graph for pictures of any size. It runs twice with one copy of its weights, on
    all that windows cover as one picture, and on the global view; so memory grows with the frame.
    """
    shape = ir.Shape([*(frame_size or ("height", "width")), 3])
    frame = ir.Value(name="frame", type=ir.TensorType(ir.DataType.UINT8), shape=shape)

    def write_front(op: OpBuilder, frame: ir.Value) -> dict[str, ir.Value]:
        image = op.Cast(frame, to=_FLOAT)
        height, width = op.Shape(image, start=0, end=1), op.Shape(image, start=1, end=2)
        sides = op.Concat(height, width, axis=0)
        steps = op.Div(op.Sub(sides, [geometry.size]), [geometry.stride])
        covered = op.Add(op.Mul(steps, [geometry.stride]), [geometry.size])
        seen = op.Transpose(op.Slice(image, [0, 0], covered, [0, 1]), perm=[2, 0, 1])
        whole = _write_global_view(op, image, height, width, geometry.size)
        return {
            "covered": _write_normalisation(op, op.Unsqueeze(seen, [0]), geometry),
            "whole": _write_normalisation(op, whole, geometry),
        }

    def write_back(op: OpBuilder, windows: ir.Value, view: ir.Value) -> dict[str, ir.Value]:
        return {"features": op.Concat(windows, view, axis=0)}

    dim = encoder.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    ends = [
        ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([rows, dim]))
        for name, rows in (("windows", "rows"), ("view", 1))
    ]
    front = _write_graph("front", [frame], write_front)
    back = _write_graph("back", ends, write_back)
    runs = (("covered", "windows"), ("whole", "view"))
    return chain_graphs(front, *(_rename(encoder, *names) for names in runs), back)


def _rename(encoder: onnx.ModelProto, source: str, target: str) -> onnx.ModelProto:
    """A copy of an encoder graph whose input and output have other names."""
    copy = ir.from_proto(encoder)
    copy.graph.inputs[0].name, copy.graph.outputs[0].name = source, target
    return ir.to_proto(copy)


def _write_normalisation(op: OpBuilder, raw: ir.Value, geometry: ViewGeometry) -> ir.Value:
    """Pixels [N, 3, h, w] in 0..255 to CLIP's scale: (raw / 255 - mean) / std, as gain and shift."""
    gain = (1 / (255 * np.asarray(geometry.std, np.float64))).reshape(1, 3, 1, 1)
    shift = gain * 255 * np.asarray(geometry.mean, np.float64).reshape(1, 3, 1, 1)
    return op.Sub(op.Mul(raw, _constant(op, gain)), _constant(op, shift))


def _write_windows(
    op: OpBuilder,
    image: ir.Value,
    windows: ir.Value,
    rows: ir.Value,
    columns: ir.Value,
    geometry: ViewGeometry,
) -> ir.Value:
    """image [H, W, 3] and window indices int64 [N], row by row, to raw pixels [N, 3, S, S]."""
    block = math.gcd(geometry.size, geometry.stride)
    side, step = geometry.size // block, geometry.stride // block  # of a window, in blocks
    block_rows = op.Add(op.Mul(op.Sub(rows, [1]), [step]), [side])
    block_columns = op.Add(op.Mul(op.Sub(columns, [1]), [step]), [side])
    covered = op.Concat(op.Mul(block_rows, [block]), op.Mul(block_columns, [block]), axis=0)
    seen = op.Slice(image, [0, 0], covered, [0, 1])
    seen = op.Reshape(seen, op.Concat(block_rows, [block], block_columns, [block * 3], axis=0))
    blocks = op.Reshape(op.Transpose(seen, perm=[0, 2, 1, 3]), [-1, block * block * 3])

    top = op.Div(windows, columns)
    left = op.Sub(windows, op.Mul(top, columns))
    first = op.Mul(op.Add(op.Mul(top, block_columns), left), [step])  # [N]
    grid = np.arange(side)
    below = op.Mul(_constant(op, grid[:, None], np.int64), block_columns)
    inside = op.Add(below, _constant(op, grid[None], np.int64))
    index = op.Add(op.Unsqueeze(first, [1, 2]), op.Unsqueeze(inside, [0]))  # [N, side, side]
    found = op.Reshape(op.Gather(blocks, index, axis=0), [-1, side, side, block, block, 3])
    channels_first = op.Transpose(found, perm=[0, 5, 1, 3, 2, 4])
    return op.Reshape(channels_first, [-1, 3, geometry.size, geometry.size])


def _write_global_view(
    op: OpBuilder, image: ir.Value, height: ir.Value, width: ir.Value, size: int
) -> ir.Value:
    """image [H, W, 3] to [1, 3, S, S]: bilinear, half-pixel centres, no antialiasing.

    Gathers and blends, with coordinates in float32 as PyTorch has them: ONNX Runtime's own Resize
    rounds them otherwise (a difference of 5e-4), and would need the frame with its channels first.
    """

    def blend(value: ir.Value, length: ir.Value, axis: int) -> ir.Value:
        scale = op.Div(op.Cast(length, to=_FLOAT), [float(size)])
        centres = op.Sub(op.Mul(_constant(op, np.arange(size) + 0.5), scale), [0.5])
        place = op.Max(centres, [0.0])
        floor = op.Floor(place)
        lower = op.Cast(floor, to=_INT64)
        upper = op.Min(op.Add(lower, [1]), op.Sub(length, [1]))
        weight = op.Unsqueeze(op.Sub(place, floor), [1, 2] if axis == 0 else [1])
        near = op.Mul(op.Gather(value, lower, axis=axis), op.Sub([1.0], weight))
        far = op.Mul(op.Gather(value, upper, axis=axis), weight)
        return op.Add(near, far)

    whole = blend(blend(image, height, 0), width, 1)  # [S, S, 3]
    return op.Unsqueeze(op.Transpose(whole, perm=[2, 0, 1]), [0])


def write_head_graph(
    prompts: NDArray[np.float32], logit_scale: float, constants: Head
) -> onnx.ModelProto:
    """features float32 [V, D] to score, similarity and magnitude, float32 scalars: means over V.

    `prompts`: unit embeddings [K, 2, D], (good, bad) per pair; `logit_scale`: the logarithm, as CLIP
    stores it. The same equations as `maclip_runtime.head`.
    """
    pairs, _, dim = prompts.shape
    text = np.exp(logit_scale) * prompts.reshape(2 * pairs, dim).T.astype(np.float64)

    def write(op: OpBuilder, features: ir.Value) -> dict[str, ir.Value]:
        def sum_of_squares(value: ir.Value) -> ir.Value:
            return op.ReduceSum(op.Mul(value, value), [1], keepdims=1)

        norm = op.Max(op.Sqrt(sum_of_squares(features)), [1e-12])
        logits = op.MatMul(op.Div(features, norm), _constant(op, text))
        good = op.Slice(op.Softmax(op.Reshape(logits, [-1, pairs, 2]), axis=2), [0], [1], [2])
        similarity = op.ReduceMean(op.Squeeze(good, [2]), [1], keepdims=1)  # [V, 1]

        magnitudes = op.Abs(features)
        centred = op.Sub(magnitudes, op.ReduceMean(magnitudes, [1], keepdims=1))
        spread = op.Sqrt(op.Mul(sum_of_squares(centred), [1 / (dim - 1)]))
        shifted = op.Add(op.Div(magnitudes, op.Add(spread, [1e-6])), [1.0])
        lam = constants.magnitude.boxcox_lambda
        if lam == 0:
            transformed = op.Log(shifted)
        else:
            transformed = op.Mul(op.Sub(op.Pow(shifted, [lam]), [1.0]), [1 / lam])
        magnitude = op.ReduceMean(transformed, [1], keepdims=1)  # [V, 1]

        # A softmax over two numbers is the logistic of their difference.
        difference = op.Sub(similarity, magnitude)
        bases = constants.similarity.base - constants.magnitude.base
        weight = op.Sigmoid(op.Add(op.Mul(difference, [2 * constants.alpha]), [bases]))
        score = op.Add(magnitude, op.Mul(weight, difference))
        cues = {"score": score, "similarity": similarity, "magnitude": magnitude}
        return {name: op.ReduceMean(value, keepdims=0) for name, value in cues.items()}

    shape = ir.Shape(["views", dim])
    features = ir.Value(name="features", type=ir.TensorType(ir.DataType.FLOAT), shape=shape)
    return _write_graph("head", [features], write)


def chain_graphs(*models: onnx.ModelProto) -> onnx.ModelProto:
    """Join graphs front to back: outputs feed the next ones' inputs of the same name, weights are shared.

    An output that the next graph does not take stays one, for a later graph or of the whole.
    """
    joined = models[0]
    for number, model in enumerate(models[1:], start=1):
        wanted = {value.name for value in model.graph.input}
        links = [(v.name, v.name) for v in joined.graph.output if v.name in wanted]
        # Names inside the graphs may clash, those of their inputs and outputs must stay.
        model = compose.add_prefix(model, f"{number}/", rename_inputs=False, rename_outputs=False)
        joined = compose.merge_models(joined, model, io_map=links)
    return _finish(ir.from_proto(joined))


def _write_graph(
    name: str, inputs: Sequence[ir.Value], write: Callable[..., dict[str, ir.Value]]
) -> onnx.ModelProto:
    """The graph that `write(op, *inputs)` writes; it returns the outputs by name."""
    graph = ir.Graph(list(inputs), [], nodes=[], opset_imports={"": OPSET}, name=name)
    outputs = write(GraphBuilder(graph).op, *inputs)
    for label, value in outputs.items():
        value.name = label
        graph.outputs.append(value)
    return _finish(ir.Model(graph, ir_version=IR_VERSION))


def _finish(model: ir.Model) -> onnx.ModelProto:
    """Fold what is constant, share equal constants, and drop what the builder noted of its source."""
    optimizer.optimize_ir(model, input_size_limit=_FOLD_LIMIT, output_size_limit=_FOLD_LIMIT)
    ir.passes.common.DeduplicateHashedInitializersPass()(model)
    ir.passes.common.ClearMetadataAndDocStringPass()(model)
    model.ir_version, model.producer_name = IR_VERSION, PRODUCER
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto)
    return proto


def _constant(op: OpBuilder, value: ArrayLike, dtype: type[np.generic] = np.float32) -> ir.Value:
    array = np.asarray(value, dtype=dtype, order="C")
    return op.Constant(value=ir.tensor(array))
