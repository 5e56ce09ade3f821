"""Kills, cuts off and lies to PayFlow's handlers, and checks that nothing is lost or done twice."""
