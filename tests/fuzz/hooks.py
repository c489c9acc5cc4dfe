"""What schemathesis is told beyond the document, see tests/fuzz_api.sh.

Checks that no answer holds a planted secret and that no refusal is one of a failing agent; things
that are there in place of made-up names, so that more than `404` is seen; a count of
the cases; and patience while the agent starts itself again: putting a backup back is one
of the operations, and a connection that is refused during that second is no finding. One
that stays refused is.
"""

import json
import os
import random
import time
import urllib.request

import requests
import schemathesis

FOLDER = os.environ["FUZZ_FOLDER"]
URL = os.environ["FUZZ_URL"]
PATIENCE_SECONDS = 30
# Of 503 and its like: while the agent starts, and where it says how long to wait.
PASSING = {"starting", "busy"}

with open(f"{FOLDER}/secrets") as file:
    SECRETS = [line.encode() for line in file.read().split()]
KEY = SECRETS[0].decode()


@schemathesis.check
def no_secret(ctx, response, case):
    told = b"\n".join(f"{name}: {value}".encode() for name, value in response.headers.items())
    for secret in SECRETS:
        assert secret not in told and secret not in response.content, f"the answer holds {secret[:8]!r}..."


@schemathesis.check
def no_failure(ctx, response, case):
    """A 503 with a body of its own is what health says; a problem must be one that passes."""
    if response.status_code < 500 or case.operation.path.startswith(("/prometheus/", "/alertmanager/")):
        assert response.status_code not in (500, 502, 504), response.text
        return
    kind = response.headers.get("content-type", [""])[0]
    if response.status_code != 503 or kind.startswith("application/problem+json"):
        assert response.json().get("code") in PASSING, response.text


@schemathesis.serializer("application/openmetrics-text", "application/toml", "application/yaml")
def text(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()


# Where the things are listed that a path names, the member that names them.
LISTS = {
    "/api/v1/backups/": "id",
    "/admin/backup/": "id",
    "/api/v1/checks/": "name",
    "/api/v1/failover/groups/": "name",
    "/api/v1/monitoring/alerts/": "id",
    "/api/monitoring/alerts/": "id",
    "/alerts/": "id",
    "/api/health/alerts/": "id",
    "/api/v1/monitoring/channels/": "name",
    "/api/v1/monitoring/deliveries/": "id",
    "/api/v1/monitoring/rules/": "name",
    "/admin/alerts/rules/": "name",
    "/api/v1/monitoring/silences/": "id",
    "/api/v1/targets/": "name",
    "/api/v1/tasks/": "id",
    "/api/v1/tokens/": "id",
    "/api/v1/users/": "name",
}
PROFILE = "/admin/performance/profile"
ALIASES = {
    "/admin/backup/": "/api/v1/backups/",
    "/api/monitoring/alerts/": "/api/v1/monitoring/alerts/",
    "/alerts/": "/api/v1/monitoring/alerts/",
    "/api/health/alerts/": "/api/v1/monitoring/alerts/",
    "/admin/alerts/rules/": "/api/v1/monitoring/rules/",
}


def there(prefix):
    """The names of what is there."""
    address = URL + ALIASES.get(prefix, prefix).rstrip("/")
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {KEY}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            said = json.load(answer)
    except OSError:
        return []
    items = next((value for value in said.values() if isinstance(value, list)), [])
    return [str(item[LISTS[prefix]]) for item in items if LISTS[prefix] in item]


@schemathesis.hook
def before_call(ctx, case, kwargs):
    path = case.operation.path
    # Events come for ever, a profile takes as long as it is asked to.
    if path.endswith("/events"):
        kwargs["timeout"] = 1
    for given in (case.query, case.body) if path == PROFILE else ():
        if isinstance(given, dict) and str(given.get("seconds", 5)).isdigit():
            given["seconds"] = 1
    prefix = path.split("{")[0]
    if prefix not in LISTS or not case.path_parameters or random.random() < 0.4:
        return
    names = there(prefix)
    if names:
        first = path.split("{")[1].split("}")[0]
        case.path_parameters[first] = random.choice(names)


@schemathesis.hook
def after_call(ctx, case, response):
    with open(f"{FOLDER}/cases", "a") as cases:
        cases.write(f"{response.status_code} {case.method} {case.operation.path} {response.elapsed:.2f}\n")


send = requests.Session.send


def patient(session, request, **options):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return send(session, request, **options)
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
        with open(f"{FOLDER}/waits", "a") as waits:
            waits.write(f"{request.method} {request.url}\n")
        # Up again, before the same is asked again.
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{URL}/livez", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)


requests.Session.send = patient
