"""HTTP: routing, the OpenAPI document, and the request log."""
