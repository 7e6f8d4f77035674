"""`huse encoders`."""

from __future__ import annotations

from command_line import ok, ok_json


def test_encoders_are_listed() -> None:
    shown = ok("encoders")
    for name in ("vgg16:fc2", "efficientnetv2b0", "hub:HANDLE-OR-FOLDER", "bert:", "use", "tfidf:DIM", "NAME+NAME"):
        assert name in shown
    assert {"usage", "modality", "dimension", "source"} == set(ok_json("encoders")["encoders"][0])
