"""Calls everything in examples/python/rouse.py: client.py ADDRESS [TOKEN]."""

import datetime
import itertools
import sys
import threading

import rouse

address, token = (sys.argv[1:] + [None])[:2]
client = rouse.Rouse(address, token=token)
now = datetime.datetime.now(datetime.timezone.utc)
here = "tcp" if "://" in address else "socket"

# One start, its repetition, its end and the events of it.
head = client.head()
r = client.start(here, "ws-1", token=here + "-1", labels={"show": "a=b"}, reason="dailies ä", expires_at=now + datetime.timedelta(hours=1))
assert r["request"] == "created" and r["source"] == "python" and r["requestedBy"] == "kim", r
assert client.wait(r["id"], timeout=30)["phase"] == "SUCCEEDED"
assert client.start(here, "ws-1", token=here + "-1")["request"] == "old"
events = [e for e in itertools.takewhile(lambda e: e["to"] != "SUCCEEDED", client.follow(head)) if e["studioId"] == here]
assert [e["to"] for e in events] == ["QUEUED", "STARTING"], events
after = next(e for e in client.follow(events[0]["cursor"]) if e["studioId"] == here)
assert after["cursor"] == events[1]["cursor"], after
assert client.explain(r["id"])["phase"] == "SUCCEEDED"
assert client.session(here, "ws-1")["state"] == "READY"
again = client.retry(r["id"])
assert again["retryOf"] == r["id"], again

# A session whose name a URL escapes.
odd = client.start(here, "50%/"[:3] + "?&#", not_before=now + datetime.timedelta(hours=1))
assert client.find(here, "50%?&#")["id"] == odd["id"]
assert client.cancel(odd["id"]) == "never_sent"
assert client.wait(odd["id"])["phase"] == "CANCELED"

# Many.
many = client.start_many([{"studio": here, "session": f"n-{n}", "not_before": now + datetime.timedelta(hours=1)} for n in range(150)] + [{"studio": here, "session": "a/b"}])
assert [m["request"] for m in many] == ["created"] * 150 + ["refused"], many
assert many[150]["problem"]["type"] == rouse.PREFIX + "invalid", many[150]
assert len(list(client.list(studioId=here, active=True, newest=True, limit=70))) >= 150
try:
    client.wait(many[0]["id"], timeout=0.3)
    raise AssertionError("a start in an hour has ended")
except TimeoutError:
    pass

# A follower sees what another thread does.
head, seen = client.head(), []
follower = threading.Thread(target=lambda: seen.append(next(e for e in client.follow(head) if e["studioId"] == here)))
follower.start()
client.cancel(many[0]["id"])
follower.join(20)
assert seen and seen[0]["to"] == "CANCELED" and seen[0]["by"] == "kim", seen

# Errors.
for call, kind, status in (
    (lambda: client.get("none"), "not_found", 404),
    (lambda: client.get(".."), "not_found", 404),
    (lambda: client.start(here, "a/b"), "invalid", 400),
    (lambda: next(client.follow("x")), "cursor", 410),
    (lambda: list(client.list(colour="red")), "request", 422),
):
    try:
        call()
        raise AssertionError(f"{kind} is not raised")
    except rouse.Problem as p:
        assert (p.kind, p.status) == (kind, status) and str(p), (p.kind, p.status)
if token:
    try:
        rouse.Rouse(address, token="wrong").head()
        raise AssertionError("a wrong token is taken")
    except rouse.Problem as p:
        assert p.kind == "unauthenticated", p.kind
print("done")
