"""AdamW, the optimizer of the default preset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class AdamW(keras.optimizers.Adam):
    """Keras's AdamW by two operations of TensorFlow a variable, where Keras takes more than twenty.

    Each of those goes through the memory of a variable and its moments once more, and all of them take up much of the
    seconds that go by before the first step of a fit.

    Args:
        learning_rate: a number or a schedule.
        decay: share of a weight that a step at a learning rate of 1 takes away.
    """

    def __init__(self, learning_rate: Any, decay: float) -> None:
        super().__init__(learning_rate)
        self.decay = decay

    def _backend_update_step(self, grads: Sequence[tf.Tensor], trainable_variables: Sequence[Any], rate: Any) -> None:
        step = tf.cast(self.iterations.value + 1, tf.float32)
        betas = tf.constant(self.beta_1), tf.constant(self.beta_2)
        powers = tuple(tf.pow(beta, step) for beta in betas)
        shared = (rate, self.decay * rate, *powers, *betas, tf.constant(self.epsilon))
        super()._backend_update_step(grads, trainable_variables, shared)

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tuple[tf.Tensor, ...]) -> None:
        """One step of a variable.

        Args:
            gradient: of the shape of the variable.
            variable: TensorFlow's, on the device of this replica.
            learning_rate: as it stands in this step, its product with the decay, the powers of both betas by the
                number of the step, the betas, and epsilon; made once for all variables.
        """
        rate, decay, power_1, power_2, beta_1, beta_2, epsilon = learning_rate
        place = self._get_variable_index(variable)
        weights = variable.handle
        tf.raw_ops.ResourceApplyGradientDescent(var=weights, alpha=decay, delta=variable)
        tf.raw_ops.ResourceApplyAdam(
            var=weights,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            beta1_power=power_1,
            beta2_power=power_2,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=gradient,
        )
