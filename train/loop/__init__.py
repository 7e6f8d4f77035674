"""The training loop, its checkpoints, its devices and what TensorBoard shows of it."""
