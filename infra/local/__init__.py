"""The whole of PayFlow on one machine: emulated AWS, the API, the queue's poller, the schedule.

Nothing in here ships. The handlers, the template and the settings are the ones that AWS gets;
what API Gateway, Lambda's event source and EventBridge do around them is done here.
"""
