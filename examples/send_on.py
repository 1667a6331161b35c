"""Sends the EMLs of a folder that unmbox wrote on to an address, octet for octet, oldest first.

    python send_on.py support/ --to support@desk.example.com --sender me@example.com --host smtp.example.com

For systems that take mail by mail only, such as Salesforce's Email-to-Case. What a machine answered stays
behind unless --auto is given. The same command again goes on behind the last message that the server took.
Needs aiosmtplib. The password, if any, is read from the environment: SMTP_PASSWORD.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import aiosmtplib

# Ordered by instant: the dates in the manifest are in the writers' own zones.
QUERY = """
SELECT id, path FROM message
WHERE outcome = 'written' AND (? OR coalesce(json_extract(state, '$.auto'), 0) = 0)
ORDER BY julianday(date), id
"""


async def send_all(arguments: argparse.Namespace) -> int:
    """Send what was not sent yet; return how many messages the server would not take."""
    folder: Path = arguments.folder
    manifest = f"{(folder / 'unmbox-manifest.sqlite').resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(manifest, uri=True)) as record,
        closing(sqlite3.connect(folder / "sent-on.sqlite", isolation_level=None)) as done,
    ):
        done.execute(
            "CREATE TABLE IF NOT EXISTS sent (address TEXT, message INTEGER, UNIQUE (address, message))"
        )
        refused = sent = 0
        server = aiosmtplib.SMTP(
            hostname=arguments.host,
            port=arguments.port,
            use_tls=arguments.tls == "always",
            start_tls=arguments.tls == "start",
            username=arguments.user,
            password=os.environ.get("SMTP_PASSWORD"),
        )
        async with server:
            await server.ehlo()
            options = ["BODY=8BITMIME"] if server.supports_extension("8bitmime") else []
            for number, path in record.execute(QUERY, (arguments.auto,)):
                where = (arguments.to, number)
                if done.execute("SELECT 1 FROM sent WHERE address = ? AND message = ?", where).fetchone():
                    continue
                octets = (folder / path).read_bytes()
                if not options and not octets.isascii():
                    print(f"{path}: left out, the server takes no 8-bit text", file=sys.stderr)
                    refused += 1
                    continue
                try:
                    await server.sendmail(arguments.sender, [arguments.to], octets, mail_options=options)
                except aiosmtplib.SMTPResponseException as error:
                    if error.code < 500:
                        raise  # it may take it later: the same command again
                    print(f"{path}: refused, {error.code} {error.message}", file=sys.stderr)
                    refused += 1
                    continue
                # Taken and not yet noted when the power goes: then it is sent twice, but never left out.
                done.execute("INSERT INTO sent VALUES (?, ?)", where)
                sent += 1
                await asyncio.sleep(arguments.pause)
        print(f"{sent} sent to {arguments.to}, {refused} refused")
        return refused


def main() -> int:
    """Read the arguments and send."""
    parser = argparse.ArgumentParser(description="Send EMLs that unmbox wrote on to an address.")
    parser.add_argument("folder", type=Path, help="where `unmbox convert` wrote them")
    parser.add_argument("--to", required=True, help="who gets them")
    parser.add_argument(
        "--sender", required=True, help="your address, which bounces go to; From stays as it is"
    )
    parser.add_argument("--host", required=True, help="the SMTP server")
    parser.add_argument("--port", type=int, default=587)
    parser.add_argument("--tls", choices=("start", "always", "never"), default="start")
    parser.add_argument("--user", help="to log in; the password is SMTP_PASSWORD")
    parser.add_argument("--auto", action="store_true", help="what machines answered, too")
    parser.add_argument("--pause", type=float, default=0, metavar="SECONDS", help="wait between messages")
    arguments = parser.parse_args()
    try:
        return 1 if asyncio.run(send_all(arguments)) else 0
    except (aiosmtplib.SMTPException, OSError, sqlite3.Error) as error:
        print(f"stopped: {error}; the same command again goes on", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
