"""What PayFlow takes in time and money, measured or computed outside the code that ships."""
