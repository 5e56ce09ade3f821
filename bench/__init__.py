"""What it costs in time: measured, against a floor, outside the code that ships."""
