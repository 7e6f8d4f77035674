"""The pairwise losses of a batch at once: the same values and gradients as `losses.py`, in a fraction of the time.

The pooled batch is B images and B texts of the same instances, so its 2B x 2B similarities are four B x B blocks, of
which one is another's transpose, and all of them share one B x B matrix of class distances. Both losses are symmetric
functions of the similarities, so one symmetric gradient per block serves both sides of the product.

Below a temperature of about 0.01 the exponentials of far pairs are 0 in float32, and so is what they would push.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

EPSILON = 1e-9

COMPILE_FROM = 256
"""Batch size from which XLA's fused loops are worth the seconds that it takes to compile them."""

Blocks = list[tuple[int, int]]


def pairwise_losses(
    embeddings: list[tf.Tensor],
    labels: tf.Tensor,
    present: list[tf.Tensor],
    graph: tf.Tensor,
    zeta: float,
    margin: str,
    temperature: float | None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """`graph_loss` and `contrastive_loss` of a batch, differentiable in the embeddings.

    Args:
        embeddings: for one or two modalities, (B, D) unit vectors of the same instances.
        labels: (B,) int class numbers.
        present: for each modality, (B,) float mask.
        graph: (K, K) semantic distances.
        zeta: margin of the graph loss.
        margin: ``paper`` or ``push``.
        temperature: of the contrastive loss; None leaves it out, as 0.

    Returns:
        The graph loss and the contrastive loss, two scalars.
    """
    compute = _compiled if (labels.shape[0] or 0) >= COMPILE_FROM else _losses_and_slopes
    classes = tf.gather(tf.gather(graph, labels), labels, axis=1)
    same = tf.cast(labels[:, None] == labels[None, :], embeddings[0].dtype)

    blocks = [(a, b) for a in range(len(embeddings)) for b in range(a, len(embeddings))]
    # the other side of a block with itself is constant, as its slope has both sides in it
    others = {(a, b): tf.stop_gradient(embeddings[b]) if a == b else embeddings[b] for a, b in blocks}
    products = [tf.matmul(embeddings[a], others[a, b], transpose_b=True) for a, b in blocks]
    (graph_value, contrast_value), graph_slopes, contrast_slopes = compute(
        [tf.stop_gradient(product) for product in products], blocks, classes, same, present, zeta, margin, temperature
    )
    return _sloped(graph_value, graph_slopes, products), _sloped(contrast_value, contrast_slopes, products)


def _sloped(value: tf.Tensor, slopes: list[tf.Tensor], products: list[tf.Tensor]) -> tf.Tensor:
    """A value with the given derivatives by the products; `tf.custom_gradient` would keep every trace for good."""
    terms = [tf.reduce_sum(tf.stop_gradient(slope) * product) for slope, product in zip(slopes, products, strict=True)]
    rise = tf.add_n(terms)
    return tf.stop_gradient(value) + (rise - tf.stop_gradient(rise))


def _losses_and_slopes(
    products: list[tf.Tensor],
    blocks: Blocks,
    classes: tf.Tensor,
    same: tf.Tensor,
    present: list[tf.Tensor],
    zeta: float,
    margin: str,
    temperature: float | None,
) -> tuple[tuple[tf.Tensor, tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
    """Both losses, and for each block the derivative by its similarities plus that by the transposed ones."""
    pairs = [present[a][:, None] * present[b][None, :] for a, b in blocks]
    graph_loss, graph_slopes = _graph(products, blocks, classes, present, pairs, zeta, margin)
    if temperature is None:
        zero = tf.constant(0.0, classes.dtype)
        return (graph_loss, zero), graph_slopes, [tf.zeros_like(classes)] * len(blocks)
    contrast, contrast_slopes = _contrast(products, blocks, same, present, pairs, temperature)
    return (graph_loss, contrast), graph_slopes, contrast_slopes


_compiled = tf.function(_losses_and_slopes, jit_compile=True, autograph=False)


def _graph(
    products: list[tf.Tensor],
    blocks: Blocks,
    classes: tf.Tensor,
    present: list[tf.Tensor],
    pairs: list[tf.Tensor],
    zeta: float,
    margin: str,
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    count = tf.square(tf.add_n([tf.reduce_sum(p) for p in present])) + EPSILON
    graph_sum = tf.constant(0.0, classes.dtype)
    graph_slopes = []
    for product, pair, (a, b) in zip(products, pairs, blocks, strict=True):
        terms, slope = _graph_terms(1.0 - product, classes, zeta, margin)
        graph_sum += (1.0 if a == b else 2.0) * tf.reduce_sum(terms * pair)
        graph_slopes.append(-2.0 * slope * pair / count)
    return graph_sum / count, graph_slopes


def _contrast(
    products: list[tf.Tensor],
    blocks: Blocks,
    same: tf.Tensor,
    present: list[tf.Tensor],
    pairs: list[tf.Tensor],
    temperature: float,
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    others = 1.0 - tf.eye(tf.shape(same)[0], dtype=same.dtype)
    apart = [pair * others if a == b else pair for pair, (a, b) in zip(pairs, blocks, strict=True)]
    # similarities of unit vectors are at most 1, so this exponential never overflows
    weights = [tf.exp((product - 1.0) / temperature) * w for product, w in zip(products, apart, strict=True)]
    positives = [same * w for w in apart]
    total = _row_sums(weights, blocks, len(present))
    number = _row_sums(positives, blocks, len(present))
    pulled = _row_sums([p * (s - 1.0) for p, s in zip(positives, products, strict=True)], blocks, len(present))
    valid = [p * tf.cast(n > 0, p.dtype) for p, n in zip(present, number, strict=True)]
    anchors = tf.add_n([tf.reduce_sum(v) for v in valid]) + EPSILON
    contrast = tf.constant(0.0, same.dtype)
    push, pull = [], []
    for v, z, n, s in zip(valid, total, number, pulled, strict=True):
        log_total = tf.math.log(tf.where(z > 0, z, 1.0))
        contrast += tf.reduce_sum(v * (log_total - s / tf.maximum(n, 1.0) / temperature)) / anchors
        push.append(v / tf.where(z > 0, z, 1.0) / (anchors * temperature))
        pull.append(v / tf.maximum(n, 1.0) / (anchors * temperature))
    contrast_slopes = [
        w * (push[a][:, None] + push[b][None, :]) - p * (pull[a][:, None] + pull[b][None, :])
        for w, p, (a, b) in zip(weights, positives, blocks, strict=True)
    ]
    return contrast, contrast_slopes


def _graph_terms(distance: tf.Tensor, classes: tf.Tensor, zeta: float, margin: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Terms of the graph loss and their derivative by the distance."""
    kept = tf.cast((classes < zeta) & (distance < zeta), distance.dtype)
    miss = distance - classes
    terms, slope = kept * tf.square(miss), 2.0 * kept * miss
    if margin == "push":
        short = tf.cast(classes >= zeta, distance.dtype) * tf.nn.relu(zeta - distance)
        terms, slope = terms + tf.square(short), slope - 2.0 * short
    return terms, slope


def _row_sums(values: list[tf.Tensor], blocks: Blocks, modalities: int) -> list[tf.Tensor]:
    """For every modality, the sums over all pooled columns of its rows."""
    sums: list[Any] = [0.0] * modalities
    for value, (a, b) in zip(values, blocks, strict=True):
        sums[a] += tf.reduce_sum(value, axis=1)
        if a != b:
            sums[b] += tf.reduce_sum(value, axis=0)
    return sums
