"""What is minimized: the losses of HUSE and the objectives it is compared with."""
