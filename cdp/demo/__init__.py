"""The demo world: made-up customers, the same on every machine, and the two stories it is asked about.

    people.py     names, documents and addresses of nobody
    catalogue.py  what the operator sells
    world.py      the life of one customer as events
    cast.py       the customers of the two stories
    run.py        the world into the stores, through the write door
    stories.py    the questions and the answers

Nothing here touches a table but the catalogue's: the world comes in as events, like everything else.
"""
