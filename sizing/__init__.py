"""What PayFlow costs and where it saturates, computed from what it is seen to ask of AWS.

Nothing of this ships: `make costs` and `make scaling` write docs/reports.
"""
