"""The only modules that call AWS. They do not know what an item or a message means."""
