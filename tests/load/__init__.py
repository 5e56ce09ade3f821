"""Mixed traffic on the local stack, offered on a schedule whether or not it is served; then a
check of everything that clients were told against everything that is there. `make load`.

    traffic      what is asked for, and how often
    ledger       what clients have asked for and were told
    generator    offers requests when they are due, and measures from then
    stack        a local stack of its own, or one that runs, and a merchant
    promises     what must be true at the end
    report       the tables of docs/reports/load.md
"""
