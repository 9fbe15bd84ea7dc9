"""What a customer agreed to, refused, withdrew or objected to; and the rows of the policy that decides by it.

Words are only ever added. Which one holds is decided in `privacy.policy`, nowhere else.
"""

__all__: list[str] = []
