"""The cellar: what may be seen, and how it is kept.

`policy` decides which categories of a customer's data a request may see (made from `facts`), and answers with a Permit;
`vocabulary`, `rows`, `rules` and `rulebook` are the words and the law as data. `seal` keeps a value as a cell that
opens only in its own place, with a Permit in hand. `keys` holds the keys of one store, `kms` the root keys behind them,
`signing` the key pairs of access tokens, `blind` the keyed tags for equality search, `log` the hash chain of what was
read, `tree` and `notes` the tree over it and what is signed of it, `encoding` the exact bytes, `hidden` what never
shows itself. Nothing here knows SQL, a clock or the environment; only `kms` touches files or the network, and
`verify_log`, which auditors take away. THREATS.md says against whom all this stands.
"""

__all__ = [
    "blind",
    "encoding",
    "errors",
    "facts",
    "hidden",
    "keys",
    "kms",
    "log",
    "notes",
    "policy",
    "rows",
    "rulebook",
    "rules",
    "seal",
    "signing",
    "tree",
    "verify_log",
    "vocabulary",
]
