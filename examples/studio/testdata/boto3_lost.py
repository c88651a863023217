"""Starts sessions where answers are lost: python3 boto3_lost.py URL"""
import sys

import boto3
from botocore.config import Config

nimble = boto3.client(
    "nimble", endpoint_url=sys.argv[1], config=Config(retries={"mode": "standard", "total_max_attempts": 10})
)
retries = 0
for n in range(12):
    answer = nimble.start_streaming_session(studioId="lab", sessionId=f"ws-{n}")
    retries += answer["ResponseMetadata"]["RetryAttempts"]
    assert answer["session"]["state"] in ("START_IN_PROGRESS", "READY"), answer
assert retries > 0, "no answer was lost"
print("all as expected")
