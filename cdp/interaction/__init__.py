"""What was said between a customer and the operator in any channel."""

__all__: list[str] = []
