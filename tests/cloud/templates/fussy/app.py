"""A function that behaves as its message says, to try out what the local cloud makes of it."""

import os
import time


def handler(event, context):
    if "Records" not in event:
        return behave(event["do"], context)
    failures = []
    for record in event["Records"]:
        try:
            behave(record["body"], context)
        except ValueError:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def behave(wish, context):
    if wish == "fail":
        raise ValueError("as you wish")
    if wish == "sleep":
        time.sleep(60)
    if wish == "die":
        os._exit(3)
    if wish == "import polars":
        import polars  # noqa: F401 (must fail: the function has no layer)
    return {"wish": wish, "process": os.getpid(), "request": context.aws_request_id}
