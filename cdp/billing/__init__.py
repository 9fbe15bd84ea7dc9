"""What a customer holds, owes, pays and tops up.

Money is kept in minor units with its currency. Products say what they rely on, top-ups which of their steps are known.
"""

__all__: list[str] = []
