"""What should be held against what is reported, over all customers of a store at once: what is wrong, is found here."""

__all__: list[str] = []
