"""Breaks each safety rule of PayFlow on purpose, in a copy, and sees whether a test notices.

    python -m tests.mutations              every mutant; writes docs/mutations.md
    python -m tests.mutations --only NAME  one of them, or those whose name begins so
    python -m tests.mutations --all        every suite on every mutant, not the first red one alone

`catalogue` says what is broken, `suites` who has to notice, `trial` tries one mutant.
"""
