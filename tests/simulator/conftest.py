import pytest

from .asking import ONE_PIPELINE, Account


@pytest.fixture
def one() -> Account:
    """An account with one pipeline that never starts by itself and takes ten minutes."""
    return Account(ONE_PIPELINE)
