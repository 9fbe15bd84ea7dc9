"""What the operator owes a customer an answer for: cases, opened by a desk or by what the platform found wrong."""

__all__: list[str] = []
