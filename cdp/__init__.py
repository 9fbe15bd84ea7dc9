"""The house: what an operator knows about its customers, and how it flows.

Events come in by the write journey (`cdp.ingest`), questions by the read journey (`cdp.query`), what happens later is
done by `cdp.worker`. Each domain keeps its tables, events and reads in a folder of its own; the files beside this one
are the ground floor they stand on.
"""

__all__: list[str] = []
