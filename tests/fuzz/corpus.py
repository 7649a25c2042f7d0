"""Inputs that are kept: as they come, and with a stretch of them replaced."""

from pathlib import Path

from hypothesis import strategies as st

DATA = Path(__file__).parents[1] / "data"
_STRETCH = 40


def corpus(kind):
    """All files of a kind."""
    found = sorted((DATA / "fuzz" / kind).iterdir())
    assert found, f"{DATA}/fuzz/{kind} is empty"
    return found


@st.composite
def patched(draw, files, patches):
    """One of them with a stretch replaced by some bytes or one of `patches`."""
    content = draw(st.sampled_from(files)).read_bytes()
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + _STRETCH)))
    return content[:start] + draw(st.binary(max_size=10) | patches) + content[end:]
