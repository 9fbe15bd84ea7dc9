"""What was said between a customer and the operator in any channel, and the cases that came of it."""

__all__: list[str] = []
