"""What never shows itself: the parent of everything that holds a secret or a sealed value."""

from typing import NoReturn, SupportsIndex


class Hidden:
    """An object that prints as its kind alone, equals only itself, and can be neither copied nor pickled.

    JSON encoders refuse it because it is neither a dict, a list nor a dataclass, and it has no `__dict__` to walk.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is neither copied nor pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} has no state to show")
