"""Subscribes to a served Benchside, receives, and verifies with the package `standardwebhooks` of PyPI.

    receive.py BASE SILENT RECEIVED

What came, and by which secrets it is signed, is left in the file RECEIVED for verifiers in other languages.
"""

import json
import os
import sys
import threading
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

BASE, SILENT, RECEIVED = sys.argv[1:]
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")
# The receiver refuses the first so many requests.
REFUSED = 2
Delivery = dict[str, Any]

came: list[Delivery] = []
arrived = threading.Condition()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        with arrived:
            taken = len(came) >= REFUSED
            headers = {name: self.headers[name] for name in SIGNED}
            came.append({"headers": headers, "body": body, "taken": taken})
            arrived.notify_all()
        self.send_response(204 if taken else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def taken() -> list[Delivery]:
    return [delivery for delivery in came if delivery["taken"]]


def wait_for(count: int) -> None:
    """Until so many deliveries were taken."""
    with arrived:
        if not arrived.wait_for(lambda: len(taken()) >= count, timeout=60):
            sys.exit(f"{len(taken())} of {count} deliveries came in a minute")


class Administrator:
    def __init__(self) -> None:
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.token = ""
        credentials = {"email": "administrator@example.org", "password": os.environ["BENCHSIDE_WEBHOOK_PASSWORD"]}
        self.token = self.ask("POST", "/v1/auth/login", credentials)["access_token"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(BASE + path, data, {"content-type": "application/json"}, method=method)
        if self.token:
            request.add_header("authorization", f"Bearer {self.token}")
        with self.opener.open(request, timeout=30) as answer:
            return json.load(answer)


def accepts(secret: str, delivery: Delivery, **changed: str) -> bool:
    """Whether the package takes the delivery, or what somebody made of it."""
    headers = {name: changed.get(name.removeprefix("webhook-"), value) for name, value in delivery["headers"].items()}
    try:
        Webhook(secret).verify(changed.get("body", delivery["body"]), headers)
    except WebhookVerificationError:
        return False
    return True


def check(delivery: Delivery, good: list[str], bad: list[str]) -> None:
    for secret in good:
        assert accepts(secret, delivery), "a delivery is not verified"
        forged = delivery["body"].replace("Clinic", "Clink", 1)
        assert forged != delivery["body"] and not accepts(secret, delivery, body=forged), "a forged body is taken"
        assert not accepts(secret, delivery, id="another"), "another id is taken"
        before = datetime.now(timezone.utc) - timedelta(minutes=10)
        old = str(int(before.timestamp()))
        assert not accepts(secret, delivery, timestamp=old), "another time is taken"
        signed = Webhook(secret).sign(delivery["headers"]["webhook-id"], before, delivery["body"])
        assert not accepts(secret, delivery, timestamp=old, signature=signed), "an old delivery is taken"
    for secret in bad:
        assert not accepts(secret, delivery), "a wrong secret verifies"


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    admin = Administrator()

    def subscribe(name: str, url: str) -> Any:
        return admin.ask("POST", "/v1/webhooks", {"name": name, "url": url, "kinds": ["organization"]})

    def enter(number: int) -> str:
        organization = {"name": f"Clinic {number} für Neurologie", "kind": "clinic"}
        return admin.ask("POST", "/v1/organizations", organization)["id"]

    stranger = subscribe("Does not answer", SILENT)
    webhook = subscribe("Dashboard", f"http://127.0.0.1:{server.server_port}/hook")
    first = webhook["secret"]

    entered = [enter(number) for number in range(4)]
    wait_for(4)
    second = admin.ask("POST", f"/v1/webhooks/{webhook['id']}/secrets", {})["secret"]
    entered += [enter(number) for number in range(4, 8)]
    wait_for(8)

    deliveries = taken()
    about = [json.loads(delivery["body"])["subject"] for delivery in deliveries]
    assert sorted(about) == sorted(f"organizations/{id}" for id in entered), f"not each of them once: {about}"
    for delivery in came:
        before_the_second = json.loads(delivery["body"])["subject"] in (f"organizations/{id}" for id in entered[:4])
        delivery["good"] = [first] if before_the_second else [first, second]
        delivery["bad"] = [stranger["secret"]] + ([second] if before_the_second else [])
        check(delivery, delivery["good"], delivery["bad"])
    refused = [delivery["headers"]["webhook-id"] for delivery in came if not delivery["taken"]]
    again = [delivery["headers"]["webhook-id"] for delivery in deliveries]
    assert len(refused) == REFUSED and set(refused) <= set(again), "what was refused comes again under the same id"

    states: list[str] = []
    for _ in range(50):
        noted = admin.ask("GET", f"/v1/webhooks/{webhook['id']}/deliveries?limit=200")["data"]
        states = [delivery["state"] for delivery in noted]
        if states == ["delivered"] * 8:
            break
        time.sleep(0.1)
    assert states == ["delivered"] * 8, states
    silent = admin.ask("GET", f"/v1/webhooks/{stranger['id']}/deliveries?limit=200")["data"]
    assert silent and all(delivery["state"] == "pending" for delivery in silent), "nobody answers there"

    with open(RECEIVED, "w", encoding="utf-8") as file:
        json.dump(came, file)
    enter(9)
    wait_for(9)
    print(f"Python: {len(came) - 1} requests verified, {len(refused)} of which were refused at first.")


main()
