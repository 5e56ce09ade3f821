"""PayFlow's payment domain and its storage. `app.py` connects it to Chalice."""

VERSION = "0.3.0"
