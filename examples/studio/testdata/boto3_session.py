"""Drives sessions of a studio by boto3: python3 boto3_session.py URL

Each check ends the program with an AssertionError. Credentials and region come
from the environment.
"""
import datetime
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

url = sys.argv[1]
once = Config(retries={"total_max_attempts": 1})
nimble = boto3.client("nimble", endpoint_url=url, config=once)
ws = {"studioId": "lab", "sessionId": "ws-1"}


def refused(status, code, call, **kwargs):
    try:
        call(**kwargs)
    except ClientError as e:
        got = (e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Code"])
        assert got == (status, code), (got, str(e))
        assert e.response["ResponseMetadata"].get("RequestId"), e.response
        return e
    raise AssertionError(f"{call} was not refused")


# The whole life, by the client's own waiters. Its tokens are its own.
made = nimble.create_streaming_session(studioId="lab", launchProfileId="profile", tags={"shot": "010"})["session"]
own = {"studioId": "lab", "sessionId": made["sessionId"]}
nimble.get_waiter("streaming_session_ready").wait(**own)
assert nimble.stop_streaming_session(**own)["session"]["state"] == "STOP_IN_PROGRESS"
nimble.get_waiter("streaming_session_stopped").wait(**own)
assert nimble.start_streaming_session(**own)["session"]["state"] == "START_IN_PROGRESS"
nimble.get_waiter("streaming_session_ready").wait(**own)
got = nimble.get_streaming_session(**own)["session"]
assert got["tags"] == {"shot": "010"} and got["launchProfileId"] == "profile", got
assert isinstance(got["startedAt"], datetime.datetime) and got["startedAt"].tzinfo is not None, got
assert abs(datetime.datetime.now(datetime.timezone.utc) - got["startedAt"]) < datetime.timedelta(minutes=1), got
nimble.delete_streaming_session(**own)
nimble.get_waiter("streaming_session_deleted").wait(**own)

# A token has one effect.
token = "monday-ws-1"
nimble.start_streaming_session(clientToken=token, **ws)
nimble.get_waiter("streaming_session_ready").wait(**ws)
nimble.stop_streaming_session(clientToken=token, **ws)
nimble.get_waiter("streaming_session_stopped").wait(**ws)
assert nimble.start_streaming_session(clientToken=token, **ws)["session"]["state"] == "STOPPED"

# More than a page.
ids = [f"page-{n:03}" for n in range(60)]
for some in (ids[:30], ids[30:]):
    nimble.list_streaming_sessions(studioId="long", sessionIds=",".join(some))
pages = list(nimble.get_paginator("list_streaming_sessions").paginate(studioId="long"))
assert len(pages) == 2, len(pages)
assert [s["sessionId"] for p in pages for s in p["sessions"]] == ids

# Refusals have the status and the code of the service.
e = refused(404, "ResourceNotFoundException", nimble.get_streaming_session, studioId="lab", sessionId="missing")
assert isinstance(e, nimble.exceptions.ResourceNotFoundException), type(e)
assert e.response["context"] == {"resourceId": "missing"}, e.response
refused(409, "ConflictException", nimble.stop_streaming_session, **ws)
refused(400, "ValidationException", nimble.get_streaming_session, studioId="lab", sessionId="a/b")
refused(400, "ValidationException", nimble.get_streaming_session, studioId="lab", sessionId="größe")

# So do wrong credentials: another secret, a key of nobody, a session token that
# was never issued.
key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
for wrong in ((key, "wrong", None), ("AKIDNOBODY", secret, None), (key, secret, "not-issued")):
    client = boto3.Session(*wrong, region_name="us-west-2").client("nimble", endpoint_url=url, config=once)
    refused(403, "InvalidSignatureException", client.start_streaming_session, **ws)

print("all as expected")
