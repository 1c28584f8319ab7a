import pytest

from greeting import greet


@pytest.mark.parametrize(
    "name, want",
    [
        ("Ada", "Hello, Ada!"),
        ("  Grace ", "Hello, Grace!"),
        ("", "Hello, world!"),
    ],
)
def test_greet(name, want):
    assert greet(name) == want
