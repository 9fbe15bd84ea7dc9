"""Who a customer is, which numbers they hold when, and where else they are known.

A number is not an attribute of a person: it is held, in a role, for a time. `resolve` finds whom an event is about, as
of the event's own time; `batch` takes many events at once through it.
"""

__all__: list[str] = []
