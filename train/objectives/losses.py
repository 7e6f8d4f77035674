"""The three losses of HUSE (paper section 3.2) and the supervised contrastive one beside them.

All take the rows of both modalities pooled: B images, then the B texts of the same instances. `present` marks the
rows that are really there; the others add nothing to any sum or mean.
"""

from __future__ import annotations

import tensorflow as tf

EPSILON = 1e-9


def cosine_distances(embeddings: tf.Tensor) -> tf.Tensor:
    """(n, n) cosine distances of (n, D) unit vectors."""
    return 1.0 - tf.matmul(embeddings, embeddings, transpose_b=True)


def classification_loss(logits: tf.Tensor, labels: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy, mean over the items of both modalities (eq. 6-8).

    Args:
        logits: (n, K).
        labels: (n,) int class numbers.
        present: (n,) float, 1 for rows that are there and 0 for others.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return mean_over(losses, present)


def graph_loss(
    embeddings: tf.Tensor, labels: tf.Tensor, present: tf.Tensor, graph: tf.Tensor, zeta: float, margin: str
) -> tf.Tensor:
    """Distances of items follow the semantic distances of their classes (eq. 9-11).

    With d the distance of two items and A that of their classes, the mean over all pairs of

    - ``paper``: sigma (d - A)^2, where sigma = 1 when A < zeta and d < zeta, else 0, as printed;
    - ``push``: the same, plus max(0, zeta - d)^2 for the pairs with A >= zeta, which the prose around eq. 10 asks for.

    Args:
        embeddings: (n, D) unit vectors.
        labels: (n,) int class numbers.
        present: (n,) float mask.
        graph: (K, K) semantic distances, eq. 4.
        zeta: the margin.
        margin: ``paper`` or ``push``.
    """
    distance = cosine_distances(embeddings)
    semantic = tf.gather(tf.gather(graph, labels), labels, axis=1)
    kept = tf.cast((semantic < zeta) & (distance < zeta), distance.dtype)
    terms = kept * tf.square(distance - semantic)
    if margin == "push":
        far = tf.cast(semantic >= zeta, distance.dtype)
        terms += far * tf.square(tf.nn.relu(zeta - distance))
    pairs = present[:, None] * present[None, :]
    return tf.reduce_sum(terms * pairs) / (tf.reduce_sum(pairs) + EPSILON)


def gap_loss(image: tf.Tensor, text: tf.Tensor, both: tf.Tensor) -> tf.Tensor:
    """Mean cosine distance of the image and the text of each instance (eq. 12).

    Args:
        image: (B, D) unit vectors.
        text: (B, D) unit vectors of the same instances.
        both: (B,) float, 1 where the instance has both modalities.
    """
    return mean_over(1.0 - tf.reduce_sum(image * text, axis=1), both)


def contrastive_loss(embeddings: tf.Tensor, labels: tf.Tensor, present: tf.Tensor, temperature: float) -> tf.Tensor:
    """Supervised contrastive loss over both modalities (Khosla et al., arXiv 2004.11362, eq. 2; not in the paper).

    Every item is an anchor; its positives are the other items of its class. The mean over anchors that have one.

    Args:
        embeddings: (n, D) unit vectors.
        labels: (n,) int class numbers.
        present: (n,) float mask.
        temperature: divides the similarities.
    """
    similarity = tf.matmul(embeddings, embeddings, transpose_b=True) / temperature
    others = present[None, :] * (1.0 - tf.eye(tf.shape(labels)[0], dtype=similarity.dtype))
    similarity += (others - 1.0) * 1e9
    log_probability = similarity - tf.reduce_logsumexp(similarity, axis=1, keepdims=True)
    positive = tf.cast(labels[:, None] == labels[None, :], similarity.dtype) * others
    count = tf.reduce_sum(positive, axis=1)
    losses = -tf.reduce_sum(positive * log_probability, axis=1) / tf.maximum(count, 1.0)
    return mean_over(losses, present * tf.cast(count > 0, present.dtype))


def projection_loss(embeddings: tf.Tensor, class_vectors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Distance of each item to the embedding of its class name, the loss of HUSE-P (eq. 13).

    The printed sum is over instances; here, as rows may lack a modality, it is twice the mean over items.

    Args:
        embeddings: (n, D) unit vectors.
        class_vectors: (n, D) unit vector of each item's class.
        present: (n,) float mask.
    """
    return 2.0 * mean_over(1.0 - tf.reduce_sum(embeddings * class_vectors, axis=1), present)


def mean_over(values: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """The mean of values (n,) over those that a float mask (n,) marks; 0 of none."""
    return tf.reduce_sum(values * present) / (tf.reduce_sum(present) + EPSILON)
