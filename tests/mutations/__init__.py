"""Breaks each promise of PayFlow on purpose, one at a time, and sees that a test fails.

    python -m tests.mutations              every mutant; writes the page
    python -m tests.mutations --only TEXT  mutants with it in promise or file; renews their lines

`catalogue` says what is broken, `mutant` applies one edit, `plugin` runs the tests on it.
"""
