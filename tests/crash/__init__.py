"""Injects faults into PayFlow's handlers, and checks that nothing is lost or done twice."""
