"""AWS: the only modules that call it. What an item or a message means is for their callers."""
