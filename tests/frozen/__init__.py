"""Facts that a release has stored, sent or deployed, and that every later version must keep.

Each folder is a release; its files hold what that release made:

    rows.json          both tables' rows, in DynamoDB's form, after the scenario
    messages.json      queue messages, and which ones a worker retries
    webhooks.json      POSTs to merchants: URL, headers with signatures, body
    answers.json       answers to requests that created something, and to reads of the rows
    cursors.json       cursors of lists
    fingerprints.json  digests of requests
    log_lines.json     lines of the log, and what `/v1/logs` reads in them
    settings.json      names in the environment
    openapi.json       the API's document without its prose
    stacks.json        what CloudFormation knows the templates' resources by

The tests read the files of every release, and compare what the code makes with the newest.
Only `product.py` knows where the code is: a refactoring edits that module, and no file of facts.

A file is never edited. After a change that is meant, such as a new field,
`python -m tests.frozen VERSION` writes the files that differ into a new folder, and the old ones
go on being read.
"""
