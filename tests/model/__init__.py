"""The model of PayFlow's protocols: TLA+ modules, what is asked of them, and how TLC answers."""
