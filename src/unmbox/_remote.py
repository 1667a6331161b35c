"""Sources by URL, through fsspec: ``s3://``, ``gs://``, ``https://`` and what else it knows."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from unmbox._late import late
from unmbox.errors import SourceError, UsageError
from unmbox.sources import CHUNK, PIECE, Identity, Source, sample_digest

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_ASKED = 3 * PIECE  # octets that a server is asked for at a time; web clients hold them twice
_SILENCE = 300  # seconds without an octet after which a server is taken for gone
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?:://|::)").match
_PASSWORD = late(r"(//[^/@:\s]*):[^/\s]*@")
_USER = late(r"(\bhttps?://)[^/@:\s]+@")  # without a password it is a token
# What of a query only lets one in: keys, signatures of Amazon, Google, Azure. The next time they are others.
_PASSES = (
    r"x-(?:amz|goog)-[^=&#]*|awsaccesskeyid|googleaccessid|key-pair-id|policy|expires|signature|sig"
    r"|access_token|token|api_?key|key|rlkey|password|secret"
)
_PASS = late(rf"(?i)([?&](?:{_PASSES}))=[^&#\s'\"]*")
_TELLING = frozenset(("token", "key"))
# What Azure has beside "sig", and what may mean anything elsewhere.
_AZURE = frozenset({
    "se", "ske", "skoid", "sks", "skt", "sktid", "skv", "sip", "sp", "spr", "sr", "srt", "ss", "st", "sv",
})  # fmt: skip


def is_url(source: object) -> bool:
    """Whether it is text that names a file elsewhere; a drive's letter is no scheme."""
    return isinstance(source, str) and _URL(source) is not None


def shown(url: str) -> str:
    """The URL without what only lets one in: for eyes and manifests, and the same after it was signed anew.

    A token or a key may be all that tells two files apart, so a short digest of it stays.
    """
    place, mark, query = _without_password(url).partition("?")
    parts = query.split("&")
    is_azure = any(part.lower().startswith("sig=") for part in parts)
    kept = []
    for part in parts:
        name, is_given, value = part.partition("=")
        name = name.lower()
        if name in _TELLING and is_given:
            part = f"{name}={sha256(value.encode()).hexdigest()[:8]}"
        elif _PASS.match(f"?{part}") or (is_azure and name in _AZURE):
            continue
        kept.append(part)
    return place + (mark + "&".join(kept) if kept else "")


class Remote(Source):
    """A file elsewhere. It is read from anywhere where its server can do that, else once from its start."""

    scheme = "url"

    def __init__(self, url: str) -> None:
        scheme, mark, place = url.partition("://")
        url = scheme.lower() + mark + place  # RFC 3986, 3.1; fsspec knows them in small letters only
        self.name = self.uri = shown(url)
        self.damage = None
        self._path = None
        self._url = url
        files, self._file = _files(url)
        self._files: Any = files
        with _Ours(self.name, None):
            facts = self._files.info(self._file)
            if facts.get("type") == "directory":
                raise SourceError(errno.EISDIR, f"{self.name} is a folder: name the file in it")
            web = "http" in str(self._files.protocol)
            # Servers have said so of pages that they make as they are asked for.
            self.size = None if web and not facts.get("size") else facts.get("size")
            partial = facts["partial"] if web and "partial" in facts else not web or self._gives_parts()
        self._ranges = self.size is not None and bool(partial)
        if not self._ranges:
            self.scheme = "stream"

    def _gives_parts(self) -> bool:
        """Whether a web server gives a part of the file, which it has not said of itself."""
        if (self.size or 0) < 2:
            return True
        try:
            with self._files.open(self._file, "rb", cache_type="none") as file:
                file.seek(1)
                return len(file.read(1)) == 1
        except Exception:  # a ValueError where all of it comes; others are told once it is read
            return False

    @property
    def called(self) -> str:
        """Its file's name, without a query."""
        return self.name.partition("?")[0].partition("#")[0]

    @property
    def lasting(self) -> bool:
        """Whether its server gives any part of it."""
        return self._ranges

    @property
    def seekable(self) -> bool:
        """Whether `chunks` begins anywhere without reading what stands before."""
        return self._ranges

    def identity(self) -> Identity:
        """Its size, and samples of it: servers' dates and tags mean different things."""
        if not self.lasting:
            return Identity()
        if self._identity is None:
            self._identity = Identity(self.size, None, sample_digest(self))
        return self._identity

    def chunks(self, start: int = 0, stop: int | None = None, *, piece: int = CHUNK) -> Iterator[bytes]:
        """The octets from `start` on; what a server refuses is a `SourceError` that says how far it came."""
        stop = self.size if stop is None else stop
        at = start
        with _Ours(self.name, start):
            # A block of 0 is for what comes as a stream. fsspec's own reading ahead would hold all twice.
            how = {"cache_type": "none"} if self._ranges else {"block_size": 0}
            file = self._files.open(self._file, "rb", **how)
        size = _ASKED if self._ranges else piece
        with file:
            while stop is None or at < stop:
                with _Ours(self.name, at):
                    if at == start and start:
                        file.seek(start)
                    asked = size if stop is None else min(size, stop - at)
                    chunk = file.read(asked)
                    if self._ranges and 1 < len(chunk) < asked:
                        self._check(file, at, chunk)
                if not chunk:
                    if stop is None:
                        return
                    raise SourceError(errno.EIO, f"{self.name} ends at octet {at} and had {stop}", offset=at)
                at += len(chunk)
                for index in range(0, len(chunk), piece):
                    yield chunk[index : index + piece]
                chunk = b""  # it need not wait for the next one

    def _check(self, file: Any, at: int, chunk: bytes) -> None:
        """See that fewer octets than were asked for are the file's, and no page given in their place."""
        file.seek(at + 1)
        if file.read(len(chunk) - 1) != chunk[1:]:
            what = f"{self.name} cannot be read on at octet {at}: its server gives something else there"
            raise SourceError(errno.EIO, what, offset=at)


class _Ours:
    """Makes `SourceError` of whatever a file system raises: each has errors of its own."""

    def __init__(self, name: str, offset: int | None) -> None:
        self._name = name
        self._offset = offset or None

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, SourceError):
            where = f" on at octet {self._offset}" if self._offset else ""
            # fsspec calls a server that does not answer a file that is not found; the cause knows better.
            known = error.__cause__ or error
            said = _masked(str(known))
            what = f"{type(known).__name__}: {said}" if said else type(known).__name__
            code = getattr(error, "errno", None) or errno.EIO
            sentence = f"{self._name} cannot be read{where}: {what}"
            raise SourceError(code, sentence, offset=self._offset) from error


def _files(url: str) -> tuple[AbstractFileSystem, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError("a URL needs one more package: pip install 'unmbox[remote]'") from None
    try:
        with _Ours(shown(url), None):
            # Of a chain it opens all but the last.
            found: tuple[AbstractFileSystem, str] = url_to_fs(url, **_patience(url))
    except SourceError as error:
        cause = error.__cause__
        if not isinstance(cause, (ImportError, ValueError)):
            raise
        # fsspec says which package a protocol needs.
        raise UsageError(f"{shown(url)} cannot be opened: {_masked(str(cause))}") from cause
    return found


def _patience(url: str) -> dict[str, Any]:
    """What has a web client wait for a server that is slow; by itself it gives up after 5 minutes in all."""
    schemes = [scheme for scheme in ("http", "https") if f"{scheme}://" in url]
    if not schemes:
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=60, sock_read=_SILENCE)
    return {scheme: {"client_kwargs": {"timeout": timeout}} for scheme in schemes}


def _masked(sentence: str) -> str:
    """A sentence of somebody else's without what lets one in."""
    return _PASS.sub(r"\1=…", _without_password(sentence))


def _without_password(text: str) -> str:
    return _PASSWORD.sub(r"\1@", _USER.sub(r"\1", text))
