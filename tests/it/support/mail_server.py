"""A mail server (aiosmtpd) that writes every message it took as a line of JSON.

Arguments: the port, then for STARTTLS the key and the certificate. `refused@` is no
recipient here, `busy@` is not one now, `slow@` is never answered, `moody@` is sometimes
busy, sometimes slow and mostly fine. With TLS the user `me`
has the password `right-password` and must log in.
"""

import asyncio
import json
import random
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

port = int(sys.argv[1])
context = None
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[2])


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such user here"
        mood = random.random() if address.startswith("moody@") else 1
        if address.startswith("busy@") or mood < 0.3:
            return "451 4.3.0 try again later"
        if address.startswith("slow@") or mood < 0.4:
            await asyncio.Event().wait()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        taken = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode("utf-8", "replace"),
            "encrypted": session.ssl is not None,
            "user": session.auth_data,
        }
        print(json.dumps(taken), flush=True)
        return "250 2.0.0 taken as 1"


class Authenticator:
    def __call__(self, server, session, envelope, mechanism, data):
        if (data.login, data.password) == (b"me", b"right-password"):
            return AuthResult(success=True, auth_data="me")
        return AuthResult(success=False, handled=False)


def make():
    return SMTP(
        Handler(),
        hostname="mail.test",
        tls_context=context,
        require_starttls=context is not None,
        authenticator=Authenticator() if context else None,
        auth_required=context is not None,
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(serve())
