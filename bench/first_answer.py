"""A new process's first answer, as Lambda's runtime has it made: run by `cold_start`, bare.

Imports the app of the unpacked zip, hands it the event that standard input brings, and writes the
answer as its output's last line.
"""

import json
import os
import sys

import app

answer = app.app(json.load(sys.stdin), None)
print(json.dumps(answer), flush=True)
os._exit(0)  # what is timed ends here: Lambda's process goes on
