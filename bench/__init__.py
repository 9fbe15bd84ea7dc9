"""The benchmark: a floor, two peers and this product on one database, in one run.

    operations.py   what is asked, in each contestant's words
    world.py        the customers, loaded through `cdp demo`
    contestants.py  who takes part, and how each is started
    floor.py floor_sql.py       one statement, finished JSON
    stock.py stock_rows.py      Strawberry as its documentation teaches it
    peer/ peer.py   PostGraphile, its queries, and the Node.js it needs
    stripped.py     this product with parts taken out from outside
    processes.py    starting, ending, CPU time
    load.py rotate.lua fallback.py      the load generators
    check.py        whether the answers are right
    schedule.py     what is measured in which order
    intake.py ingest.py     the write door beside bare COPY
    results.py tables.py chart.py       what came out

`python -m bench --help` tells the options.
"""
