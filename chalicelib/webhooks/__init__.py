"""Webhooks: where the company is told of events, and how each notice gets there."""
