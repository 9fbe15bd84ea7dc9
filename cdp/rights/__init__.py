"""What a person may ask of those who hold their data, by when they must have it, and how long data is kept."""

__all__: list[str] = []
