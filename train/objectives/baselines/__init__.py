"""The objectives that HUSE is compared with (paper 4.2), on the same towers and features."""
