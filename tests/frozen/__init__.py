"""Facts that a release has stored or sent, and that every later version must keep.

Each folder is a release; its files hold what that release made:

    rows.json          both tables' rows, in DynamoDB's form, after the scenario
    messages.json      queue messages, and which ones a worker retries
    webhooks.json      POSTs to merchants: URL, headers with signatures, body
    answers.json       answers to requests that created something, and to reads of the rows
    cursors.json       cursors of lists
    fingerprints.json  digests of requests

The tests read the files of every release, and compare what the code writes with the newest.
Only `product.py` knows where the code is: a refactoring edits that module, and no file of facts.

A file is never edited. A change that is meant, such as a new field, is a new folder, which
`python -m tests.frozen VERSION` writes; the old folders go on being read.
"""
