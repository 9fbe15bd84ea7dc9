"""What a privacy officer asks: why something was decided, what was said, who read it, what a withdrawal would stop.

Everything here runs the decisions of `privacy.policy` again, over the same rows; nothing decides by itself.
"""

__all__: list[str] = []
