"""The front door: what a client can ask and say.

`schema` is what is declared; `schema.plan` is how it runs. No field has a resolver.
"""
