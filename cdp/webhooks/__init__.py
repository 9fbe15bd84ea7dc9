"""Webhooks: those who asked to be told what happens, told in order, signed, and only what they may see by then."""

__all__: list[str] = []
