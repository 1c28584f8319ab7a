from greeting import greet


def test_that_fails_on_purpose():
    assert greet("Ada") == "Goodbye, Ada!"
