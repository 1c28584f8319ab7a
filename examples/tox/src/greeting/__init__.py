"""Greetings, for something to test."""


def greet(name=""):
    """Return a greeting for name, or for everybody."""
    return f"Hello, {name.strip() or 'world'}!"
