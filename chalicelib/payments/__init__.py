"""Payments, their refunds and their events."""
