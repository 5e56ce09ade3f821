"""The audit log: who changed API keys and webhook endpoints, and who exported."""
