"""Ask a rouse server for sessions. One file, and the standard library alone.

Over TCP, with an access token (see "rouse token create"):

    rouse = Rouse("http://127.0.0.1:8282", token=os.environ["ROUSE_TOKEN"])

Over the socket next to the database, on the same machine:

    rouse = Rouse("/var/lib/rouse/rouse.db.sock")

Start a session and wait until it is ready:

    receipt = rouse.start("comp", "ws-001", token="2026-12-01-ws-001", reason="dailies")
    operation = rouse.wait(receipt["id"])
    print(operation["phase"])

Operations, events and receipts are dictionaries. Their members are those of the JSON,
which docs/api.md describes. A refused call raises Problem.
"""

import datetime
import http.client
import json
import socket
import ssl
import sys
import time
import urllib.parse

ENDS = ("SUCCEEDED", "FAILED", "CANCELED", "EXPIRED")
PREFIX = "urn:rouse:problem:"


class Problem(Exception):
    """A call that the server refused. kind is one word, such as "not_found"."""

    def __init__(self, body):
        super().__init__(body.get("detail") or body.get("title"))
        self.body = body
        self.kind = body.get("type", "").removeprefix(PREFIX)
        self.status = body.get("status")


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Rouse:
    """A client. Each call has its own connection, so threads may share a client."""

    def __init__(self, address, token=None, timeout=30, source="python"):
        """address is a URL (http or https), or the path of a socket.

        timeout is for one answer, in seconds. source names the program that asks.
        """
        self._address, self._token, self._timeout, self._source = address, token, timeout, source

    # Requests

    def start(self, studio, session, token=None, not_before=None, expires_at=None, labels=None, reason=None):
        """Ask for a session to be started. When it returns, the request is on disk.

        With a token the call can be repeated: it starts the session once. Times are
        datetime objects with a time zone.
        """
        body = self._request(studio, session, token, not_before, expires_at, labels, reason)
        return self._call("POST", "/v1/operations", body)

    def start_many(self, requests):
        """Ask for many sessions by one call, at most 4,096.

        Each request is a dictionary of the arguments of start. Each receipt says what
        became of its request: created, joined, old, or refused with an error.
        """
        body = {"requests": [self._request(**r) for r in requests]}
        return self._call("POST", "/v1/operations/batch", body)["receipts"]

    def _request(self, studio, session, token=None, not_before=None, expires_at=None, labels=None, reason=None):
        body = {
            "studioId": studio, "sessionId": session, "clientToken": token, "labels": labels, "reason": reason,
            "notBefore": _text(not_before), "expiresAt": _text(expires_at), "source": self._source,
        }
        return {name: value for name, value in body.items() if value is not None}

    def cancel(self, id):
        """Cancel an operation: never_sent, outcome_unknown, accepted or already_ended."""
        return self._call("POST", f"/v1/operations/{_quote(id)}/cancel")["cancellation"]

    def retry(self, id):
        """Request again what an ended operation requested."""
        return self._call("POST", f"/v1/operations/{_quote(id)}/retry")

    # Look-ups

    def get(self, id):
        """Return an operation."""
        return self._call("GET", f"/v1/operations/{_quote(id)}")

    def find(self, studio, session):
        """Return the active operation of a session, or else its latest."""
        return self._call("GET", f"/v1/sessions/{_quote(studio)}/{_quote(session)}/operation")

    def explain(self, id):
        """Return an operation, and why it waits."""
        return self._call("GET", f"/v1/operations/{_quote(id)}/explanation")

    def session(self, studio, session):
        """Read a session from its provider."""
        return self._call("GET", f"/v1/sessions/{_quote(studio)}/{_quote(session)}")

    def list(self, **filters):
        """Yield operations. The filters are those of GET /v1/operations."""
        while True:
            page = self._call("GET", "/v1/operations", query=filters)
            yield from page["operations"]
            if not page.get("next"):
                return
            filters["after"] = page["next"]

    def wait(self, id, timeout=None):
        """Wait until an operation has ended, and return it. Its phase says how.

        TimeoutError says that it has not ended after timeout seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = 20 if end is None else min(20, end - time.monotonic())
            query = {"wait": max(0, round(left))}
            operation = self._call("GET", f"/v1/operations/{_quote(id)}", query=query)
            if operation["phase"] in ENDS:
                return operation
            if left <= 0:
                raise TimeoutError(f"operation {id} is {operation['phase']} after {timeout} seconds")
            if query["wait"] == 0:
                time.sleep(max(0, left))

    # The feed

    def head(self):
        """Return the cursor of the newest event."""
        return self._call("GET", "/v1/events", query={"limit": 0})["head"]

    def follow(self, after=""):
        """Yield events after a cursor as they are committed, without an end.

        Store event["cursor"] with what you did about the event, and go on from there
        after a restart. It connects again when the connection ends.
        """
        while True:
            try:
                for event in self._stream(after):
                    after = event["cursor"]
                    yield event
            except (OSError, http.client.HTTPException):
                pass  # the server is gone for now
            time.sleep(1)

    def _stream(self, after):
        query = {"after": after} if after else {}
        connection, answer = self._open("GET", "/v1/events/stream", query=query, timeout=60)
        try:
            kind, data = "message", None
            while line := answer.readline():
                name, _, value = line.decode().rstrip("\r\n").partition(":")
                value = value.removeprefix(" ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif not name and not value and not line.startswith(b":"):
                    if data is not None and kind == "error":
                        raise Problem(json.loads(data))
                    if data is not None:
                        yield json.loads(data)
                    kind, data = "message", None
        finally:
            connection.close()

    # The connection

    def _call(self, method, path, body=None, query=None):
        connection, answer = self._open(method, path, body, query)
        try:
            text = answer.read()
            return json.loads(text) if text else None
        finally:
            connection.close()

    def _open(self, method, path, body=None, query=None, timeout=None):
        connection = self._connect(timeout or self._timeout)
        try:
            if query:
                path += "?" + urllib.parse.urlencode({k: _word(v) for k, v in query.items()}, doseq=True)
            headers = {"Authorization": "Bearer " + self._token} if self._token else {}
            if body is not None:
                headers["Content-Type"] = "application/json"
                body = json.dumps(body)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            if answer.status < 300:
                return connection, answer
            text = answer.read()
            if answer.headers.get_content_type() != "application/problem+json":
                raise http.client.HTTPException(f"{method} {path}: HTTP {answer.status}, which is no answer of rouse")
            raise Problem(json.loads(text))
        except BaseException:
            connection.close()
            raise

    def _connect(self, timeout):
        if "://" not in self._address:
            return _SocketConnection(self._address, timeout)
        url = urllib.parse.urlsplit(self._address)
        if url.scheme == "https":
            return http.client.HTTPSConnection(url.netloc, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(url.netloc, timeout=timeout)


def _quote(segment):
    quoted = urllib.parse.quote(segment, safe="")
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted


def _word(value):
    return str(value).lower() if isinstance(value, bool) else value


def _text(moment):
    if isinstance(moment, datetime.datetime):
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no time zone")
        return moment.isoformat()
    return moment


def main(address, studio, *sessions):
    """Start sessions, and say how each start ended."""
    import os

    rouse = Rouse(address, token=os.environ.get("ROUSE_TOKEN"))
    for receipt in rouse.start_many([{"studio": studio, "session": s} for s in sessions]):
        name = receipt["studioId"] + "/" + receipt["sessionId"]
        if receipt["request"] == "refused":
            print(name, "refused:", receipt["error"])
            continue
        operation = rouse.wait(receipt.get("requestId", receipt["id"]))
        print(name, operation["phase"])


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: rouse.py ADDRESS STUDIO SESSION... (over TCP, ROUSE_TOKEN has the access token)")
    try:
        main(*sys.argv[1:])
    except (Problem, OSError) as refused:
        sys.exit(f"rouse.py: {sys.argv[1]}: {refused}")
