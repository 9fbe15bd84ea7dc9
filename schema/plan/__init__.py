"""From an operation to its plan: parse once, check once, compile once, run many times.

`document` finds and checks a document, `selection` expands what it asks for, `compile` walks that together with the
declarations of `schema.fields` and builds the shape of the answer and its SQL, `statement` and `finders` write the
SQL down, `lists` knows about pages, `operation` is the finished plan and `orders` what a mutation does before it is
read back.
"""
