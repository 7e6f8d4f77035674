from huse.extract.engines.crew import _environment


def test_tensorflow_takes_what_a_worker_has_and_no_more() -> None:
    assert _environment(3, 0)["CUDA_VISIBLE_DEVICES"] == ""
    assert _environment(3, 0)["TF_NUM_INTRAOP_THREADS"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in _environment(1, 1)
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in _environment(1, 2)
    assert _environment(1, 0.25)["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
