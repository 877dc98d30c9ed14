import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.onnx_file import graph_of, read, write


@given(
    st.lists(
        st.tuples(st.integers(1, 2**20), st.one_of(st.binary(max_size=300), st.integers(0, 2**64 - 1))),
        max_size=20,
    )
)
def test_what_is_written_is_read(fields: list[tuple[int, bytes | int]]) -> None:
    found = read(write([*fields]))
    assert [(n, content if isinstance(content, int) else bytes(content)) for n, content in found] == fields


@given(st.binary(max_size=200))
def test_noise_is_read_or_refused(noise: bytes) -> None:
    try:
        graph_of(noise)
    except ValueError as error:
        assert "no ONNX model" in str(error)  # noqa: PT017 - noise may also be a message, by chance


@pytest.mark.parametrize("model", [b"", b"\x08\x07"])
def test_a_model_without_a_graph_is_refused(model: bytes) -> None:
    with pytest.raises(ValueError, match="it has no graph"):
        graph_of(model)
