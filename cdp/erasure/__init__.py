"""How a person goes: keys and indexes at once, rows by a sweep, a certificate at the end, a ledger that outlives every
backup, and the terms by which data goes that nobody asked about.
"""

__all__: list[str] = []
