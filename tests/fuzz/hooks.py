"""What schemathesis is told beyond the document, see tests/fuzz_api.sh.

A check that no answer holds a planted secret, a count of the cases, and patience while
the agent starts itself again: putting a backup back is one of the operations, and a
connection that is refused during that second is no finding. One that stays refused is.
"""

import os
import time
import urllib.request

import requests
import schemathesis

FOLDER = os.environ["FUZZ_FOLDER"]
SECRETS = [line.encode() for line in open(f"{FOLDER}/secrets").read().split()]
LIVE = os.environ["FUZZ_URL"] + "/livez"
PATIENCE_SECONDS = 30


@schemathesis.check
def no_secret(ctx, response, case):
    told = b"\n".join(f"{name}: {value}".encode() for name, value in response.headers.items())
    for secret in SECRETS:
        assert secret not in told and secret not in response.content, f"the answer holds {secret[:8]!r}..."


@schemathesis.hook
def after_call(ctx, case, response):
    with open(f"{FOLDER}/cases", "a") as cases:
        cases.write(f"{response.status_code} {case.method} {case.operation.path}\n")


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
                urllib.request.urlopen(LIVE, timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)


requests.Session.send = patient
