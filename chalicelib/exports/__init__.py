"""Exports: files of payments, refunds or events, written by a worker of their own."""
