"""PayFlow on one machine: emulated AWS, the API, the worker, the dashboard."""
