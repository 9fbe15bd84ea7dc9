"""What a customer used: records as they came, and their months.

Quantities are kept in seconds, messages and bytes; a month is the sum of its records and summaries, each counted once.
"""

__all__: list[str] = []
