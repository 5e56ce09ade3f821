"""Breaks each safety rule of PayFlow on purpose, in a copy, and sees whether a test notices.

    python -m tests.mutations              every mutant; writes docs/mutations.md
    python -m tests.mutations --only NAME  those whose names begin so; renews their lines
    python -m tests.mutations --all        every suite on every mutant, not up to the first red one
    python -m tests.mutations --near       the nearest tests alone: quick, and no last word

`catalogue` says what is broken, `suites` who has to notice, `trial` tries one mutant.
"""
