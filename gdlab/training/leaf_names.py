"""Names of places in a pytree: for people to read, and no two the same."""

from typing import Any


def words(path):
    """The keys of a path of `jax.tree_util` as words: of a mapping, a named tuple or a sequence."""
    return tuple(str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path)


def names_of(places):
    """{place: "block/conv1"} of places, tuples of words or of keys.

    Where a word with a slash reads like a place within another ("block/conv1" beside "conv1" in "block"), the
    later one is called "block/conv1 (2)". The place () is called "params".
    """
    names: dict[str, Any] = {}
    numbers: dict[str, int] = {}  # by name, the last that was given: counted once, however many read alike
    for place in dict.fromkeys(places):
        plain = name = "/".join(words(place)) or "params"
        while name in names:
            numbers[plain] = numbers.get(plain, 1) + 1
            name = f"{plain} ({numbers[plain]})"
        names[name] = place
    return {place: name for name, place in names.items()}
