"""Send every message of a mailbox to a web service: `python upload.py "All mail.mbox" https://mail.example/import`.

Each EML is one PUT under its own name. The record `upload.sqlite` makes it go on where it stopped: a message
counts as written once the service has said so. `pip install httpx` first.
"""

from __future__ import annotations

import sys
from tempfile import SpooledTemporaryFile
from types import TracebackType
from urllib.parse import quote

import httpx

import unmbox


class Upload:
    """One EML: gathered, on the disk where it is large, and sent when it is whole and has its name."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._file = SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115  # lives from open to commit

    def write(self, data: bytes, /) -> None:
        """Take the next octets."""
        self._file.write(data)

    def commit(self, name: str, /) -> None:
        """Send it. What the service refuses ends the run; the same command again begins with this message."""
        size = self._file.tell()
        self._file.seek(0)
        pieces = iter(lambda: self._file.read(1 << 16), b"")
        headers = {"Content-Type": "message/rfc822", "Content-Length": str(size)}
        self._client.put(quote(name), content=pieces, headers=headers).raise_for_status()
        self.discard()

    def discard(self) -> None:
        """Forget it."""
        self._file.close()


class Uploads:
    """Where EMLs go: one connection for all of them."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)

    def open(self, _: object, /) -> Upload:
        """A target for the next message."""
        return Upload(self._client)

    def __enter__(self) -> Uploads:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._client.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with Uploads(sys.argv[2]) as uploads:
        report = unmbox.convert(sys.argv[1], uploads, manifest="upload.sqlite")
    print(f"{report.written} sent, {report.already} had been sent before")
