"""DKIM and ARC signatures that verify before a conversion verify after it: signed and asked with dkimpy."""

from __future__ import annotations

import base64
import itertools
import random
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import dkim
import pytest
from dkim.canonicalization import CanonicalizationPolicy
from dkim.crypto import HASH_ALGORITHMS, parse_pem_private_key
from hypothesis import event, given
from hypothesis import strategies as st

from eml_check import FROM_LINE, Eml, convert, convert_mailbox, faults
from unmbox._fields import Field, relaxed, split_fields
from unmbox._signatures import Signatures

POLICIES = list(itertools.product((b"relaxed", b"simple"), repeat=2))
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: b"-".join(policy).decode())

FIELDS = b"""\
Received: from a.example.org (a.example.org [192.0.2.1])
	by b.example.org; Tue, 19 Mar 2019 10:13:52 +0100
From:  Ann  <ann@example.org>
To: bob@example.org,
  carol@example.org
Subject: A  signed
 message
Date: Tue, 19 Mar 2019 10:13:51 +0100
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
X-Signed:  a  b
"""
BODY = "From here on:  two  spaces \n\nFrom there\nGrüße \n\n\n".encode()
SIGNED = [b"from", b"to", b"subject", b"date", b"message-id", b"x-signed"]


# -- a key, and what dkimpy needs of it ----------------------------------------------------------------


class Key(NamedTuple):
    private: bytes
    public: bytes

    def dns(self, name: bytes, timeout: int = 0) -> bytes:
        """The TXT record of every selector."""
        return b"v=DKIM1; k=rsa; p=" + self.public


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    octets = len(content).to_bytes(4, "big").lstrip(b"\0")
    size = octets if len(content) < 128 else bytes([0x80 | len(octets)]) + octets
    return bytes([tag]) + size + content


def integer(number: int) -> bytes:
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def is_prime(number: int, source: random.Random) -> bool:
    if any(number % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(20):
        power = pow(source.randrange(2, number - 1), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


@cache
def key() -> Key:
    """An RSA key of 1,024 bits, the same in every run: it guards nothing."""
    source = random.Random(5322)
    exponent = 65537

    def prime() -> int:
        while True:
            number = source.getrandbits(512) | 1 | 3 << 510
            if number % exponent != 1 and is_prime(number, source):
                return number

    p, q = prime(), prime()
    d = pow(exponent, -1, (p - 1) * (q - 1))
    numbers = (0, p * q, exponent, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    private = base64.encodebytes(der(0x30, *map(integer, numbers)))
    rsa = der(0x30, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", b"\x05\x00")
    public = der(0x30, rsa, der(3, b"\0", der(0x30, integer(p * q), integer(exponent))))
    pem = b"-----BEGIN RSA PRIVATE KEY-----\n" + private + b"-----END RSA PRIVATE KEY-----\n"
    return Key(pem, base64.b64encode(public))


def signed(
    policy: tuple[bytes, bytes] = (b"relaxed", b"relaxed"),
    names: list[bytes] = SIGNED,
    fields: bytes = FIELDS,
    body: bytes = BODY,
) -> bytes:
    """A signed message, its signature on top, LF line ends."""
    message = (fields + b"\n" + body).replace(b"\n", b"\r\n")
    signer = dkim.DKIM(message)
    signer.should_not_sign = set()  # real signers do not ask
    signature: bytes = signer.sign(
        b"s1", b"example.org", key().private, canonicalize=policy, include_headers=names
    )
    return (signature + message).replace(b"\r\n", b"\n")


def verifies(eml: bytes) -> bool:
    """Whether an EML's first DKIM signature verifies. Strictly: its lines must end in CRLF."""
    assert eml.count(b"\n") == eml.count(b"\r\n")
    try:
        return bool(dkim.verify(eml, dnsfunc=key().dns))
    except dkim.DKIMException:
        return False


def halves(message: bytes) -> tuple[bytes, bytes]:
    """Header block with its empty line, and body."""
    header, _, body = message.partition(b"\n\n")
    return header + b"\n\n", body


def repaired(message: bytes, **options: Any) -> Eml:
    return convert(*halves(message), **options)


# -- through mailboxes of every kind ----------------------------------------------------------------------


def mailbox(message: bytes, variant: str, line_end: bytes) -> bytes:
    """A mailbox of three copies, quoted as the variant has it, with the fields that it adds."""
    header, body = halves(message)
    if variant in ("mboxrd", "mboxo", "mboxcl"):
        body = re.sub(rb"(?m)^From ", b">From ", body)
    body = body.replace(b"\n", line_end)
    if variant in ("mboxcl", "mboxcl2"):
        header = b"Content-Length: %d\nStatus: RO\n" % len(body) + header
    if variant == "takeout":
        header = b"X-GM-THRID: 1628424719502045299\nX-Gmail-Labels: Inbox,Opened\n" + header
    return ((FROM_LINE + b"\n" + header).replace(b"\n", line_end) + body + line_end) * 3


@every_policy
@pytest.mark.parametrize("variant", ["mboxrd", "mboxo", "mboxcl", "mboxcl2", "takeout"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("times", [1, 2], ids=["signed", "over-signed"])
def test_signatures_survive_every_variant_and_line_end(
    policy: tuple[bytes, bytes], variant: str, line_end: bytes, times: int
) -> None:
    data = mailbox(signed(policy, SIGNED * times), variant, line_end)
    emls = convert_mailbox(data, variant="auto" if variant == "takeout" else variant)
    assert len(emls) == 3
    for eml in emls:
        assert verifies(eml.octets)
        assert not faults(eml.octets)
        assert not eml.left_out


@every_policy
@pytest.mark.parametrize("name", [b"Subject", b"X-Signed", b"X-Other"])
def test_a_sender_may_have_signed_what_looks_damaged(policy: tuple[bytes, bytes], name: bytes) -> None:
    """An exporter writes U+FFFD for what it cannot read; senders have written it, too: nobody can tell."""
    fields = re.sub(rb"(?m)^" + name + rb":.*\n([ \t].*\n)*", b"", FIELDS) + name + b": a \xef\xbf\xbd b\n"
    message = signed(policy, SIGNED, fields)
    assert verifies(message.replace(b"\n", b"\r\n"))
    eml = repaired(message)
    assert verifies(eml.octets)
    assert "exporter-damage" in {repair.code for repair in eml.repairs}


def test_the_key_and_the_verifier_can_tell() -> None:
    message = signed()
    assert verifies(message.replace(b"\n", b"\r\n"))
    assert not verifies(message.replace(b"bob", b"bot").replace(b"\n", b"\r\n"))


# -- each change by itself: what is said of it is what a verifier says ------------------------------------


def refolded(raw: bytes) -> bytes:
    name, _, value = raw.partition(b":")
    return name + b":\n\t" + b" ".join(value.split())


REWRITINGS: dict[str, Callable[[bytes], bytes]] = {
    "refolded": refolded,
    "other case": lambda raw: raw[:1].lower() + raw[1:],
    "space before the colon": lambda raw: raw.replace(b":", b" :", 1),
    "space at the end": lambda raw: raw + b" ",
    "encoded": lambda raw: raw.partition(b":")[0] + b": =?UTF-8?Q?x?=",
    "renamed": lambda raw: b"X-Was-" + raw,
}


def put(fields: list[Field], body: bytes) -> bytes:
    return b"\n".join([*(field.raw for field in fields), b"", body]).replace(b"\n", b"\r\n")


@every_policy
@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("name", [b"subject", b"mime-version"])
@pytest.mark.parametrize("change", [*REWRITINGS, "removed", "added on top", "the same below"])
def test_what_is_said_of_a_change_is_what_a_verifier_says(
    policy: tuple[bytes, bytes], times: int, name: bytes, change: str
) -> None:
    header, body = halves(signed(policy, [b"from", b"to"] + [name] * times))
    fields = split_fields(header.rstrip(b"\n"))
    if change == "the same below":
        fields.append(Field(next(field.raw for field in fields if field.key == name)))
    signatures = Signatures(fields)
    field = next(field for field in fields if field.key == name)
    if change == "the same below":
        # Whatever is signed now is the lower one; the upper one is signed only where two are.
        said = signatures.removing(field)
        assert bool(said) == (times == 2)
        return
    if change == "removed":
        said = signatures.removing(field)
        fields.remove(field)
    elif change == "added on top":
        said = signatures.adding(name)
        fields.insert(0, Field(field.raw))
    else:
        raw = REWRITINGS[change](field.raw)
        said = signatures.rewriting(field, raw)
        field.put(raw)
    # dkimpy takes no space before a colon at all: the table of what breaks is then all there is.
    if change != "space before the colon":
        assert verifies(put(fields, body)) == (not said)
    broken_by_any = change in ("encoded", "renamed", "removed")
    expected = times > 0 and (
        broken_by_any or policy[0] == b"simple" or (change == "added on top" and times > 1)
    )
    assert bool(said) == (expected and not (change == "added on top" and times < 2))
    assert not said or said == "breaks DKIM-Signature d=example.org s=s1"


def test_a_signature_covers_itself() -> None:
    fields = split_fields(halves(signed((b"simple", b"simple")))[0].rstrip(b"\n"))
    signatures = Signatures(fields)
    assert signatures.rewriting(fields[0], fields[0].raw + b" ")
    assert signatures.rewriting(fields[0], b"X-" + fields[0].raw)
    assert signatures.removing(fields[0])
    assert not signatures.adding(b"dkim-signature")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v=1", b"v=2"),
        (b"v=1; ", b""),
        (b"c=relaxed/relaxed", b"c=odd"),
        (b" bh=", b" xx="),
        (b" b=", b" b=!"),
        (b"d=example.org;", b""),
        (b"s=s1; ", b"s=; "),
        (b"a=rsa-sha256", b"a=rsa-sha256; a=rsa-sha1"),
        (b"h=from", b"h=frog"),
        (b"\nFrom:", b"\nX-From:"),
    ],
)
def test_a_signature_that_no_verifier_takes_hinders_nothing(old: bytes, new: bytes) -> None:
    header, _ = halves(signed())
    assert old in header
    intact, broken = (split_fields(each.rstrip(b"\n")) for each in (header, header.replace(old, new, 1)))
    assert Signatures(intact).adding(b"subject") == ""
    assert Signatures(intact).removing(next(field for field in intact if field.key == b"date"))
    assert not Signatures(broken).removing(next(field for field in broken if field.key == b"date"))


@given(
    tags=st.lists(st.binary(max_size=8)),
    names=st.lists(st.sampled_from([b"from", b"From ", b"", b"to", b"\xff"])),
)
def test_junk_in_tags_is_no_error(tags: list[bytes], names: list[bytes]) -> None:
    complete = b"v=1; a=x; b=aa; bh=aa; d=\xff; s=s; cv=none; i=1; h=" + b":".join(names)
    for name in (b"DKIM-Signature", b"ARC-Message-Signature", b"ARC-Seal"):
        value = b";".join([complete, *tags]).replace(b"\n", b" ")
        fields = [
            Field(b"From: a"),
            Field(name + b": " + value),
            Field(name + b":" + value.replace(b"=", b" = ")),
        ]
        for field in fields:
            assert isinstance(Signatures(fields).removing(field), str)


def test_lines_that_are_no_field_are_covered_by_nothing() -> None:
    fields = b"DKIM-Signature: v=1; a=x; b=aa; bh=aa; d=d; s=s; h=from: :to:\nno field\n: no name\n"
    assert convert(fields + FIELDS + b"\n").codes == ["illegal-name", "no-field"]


def test_many_signatures_are_weighed_by_their_strictest() -> None:
    tags = b"v=1; a=x; b=aa; bh=aa; d=d%d; s=s; c=%b; h=from%b"
    texts = [tags % (n, b"relaxed", b"") for n in range(40)] + [tags % (40, b"simple", b":from:from:to")]
    fields = [Field(b"From: a"), *(Field(b"DKIM-Signature: " + text) for text in texts)]
    signatures = Signatures(fields)
    assert signatures.adding(b"from") == "breaks DKIM-Signature d=d40 s=s and up to 0 more"
    assert signatures.removing(fields[0]).endswith("DKIM-Signature d=d0 s=s and up to 39 more")
    assert signatures.rewriting(fields[0], b"from:  a").count("DKIM") == 1
    assert signatures.adding(b"to") == "breaks DKIM-Signature d=d40 s=s"


@given(st.lists(st.sampled_from([b" ", b"\t", b"a", b"B", b":", b"\n ", b"\n\t"])))
def test_relaxed_is_what_dkimpy_says(pieces: list[bytes]) -> None:
    raw = b"X-Name:" + b"".join(pieces)
    parsed, _ = dkim.rfc822_parse(raw.replace(b"\n", b"\r\n") + b"\r\n\r\n")
    [(name, value)] = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed").canonicalize_headers(parsed)
    assert relaxed(raw) + b"\r\n" == name + b":" + value


# -- repairs of signed messages -----------------------------------------------------------------------------


def with_field(old: bytes, new: bytes) -> bytes:
    assert old in FIELDS
    return FIELDS.replace(old, new)


SUBJECT, MESSAGE_ID = b"Subject: A  signed\n message\n", b"Message-ID: <1@example.org>\n"
DATE = b"Date: Tue, 19 Mar 2019 10:13:51 +0100\n"
# What is broken in a field that a signature covers, or would cover.
COVERED = {
    "8bit-text": (with_field(SUBJECT, "Subject: Grüße\n".encode()), [b"from", b"subject"]),
    "8bit-name": (with_field(b"Ann ", "Änn ".encode()), [b"from"]),
    "8bit-address": (with_field(b"ann@", "änn@".encode()), [b"from"]),
    "8bit-parameter": (with_field(b"utf-8", 'utf-8; name="ü"'.encode()), [b"from", b"content-type"]),
    "8bit-structured": (with_field(b"by b", b"by \xfc"), [b"from", b"received"]),
    "nul": (with_field(b"signed", b"sig\0ned"), [b"from", b"subject"]),
    "long-line": (with_field(SUBJECT, b"Subject: " + b"x" * 1000 + b"\n"), [b"from", b"subject"]),
    "bad-date": (with_field(DATE, b"Date: today\n"), [b"from", b"date"]),
    "bad-message-id": (with_field(b"<1@example.org>", b"1@example.org"), [b"from", b"message-id"]),
    "duplicate-field": (with_field(SUBJECT, b"Subject: one\n" + SUBJECT), [b"from", b"subject"]),
    "missing-date": (with_field(DATE, b""), [b"from", b"date"]),
    "missing-message-id": (with_field(MESSAGE_ID, b""), [b"from", b"message-id"]),
    "bookkeeping": (FIELDS + b"Status: RO\n", [b"from", b"status"]),
}


@every_policy
@pytest.mark.parametrize("code", COVERED)
def test_a_repair_that_would_break_a_signature_is_left_out_unless_forced(
    policy: tuple[bytes, bytes], code: str
) -> None:
    fields, names = COVERED[code]
    message = signed(policy, names, fields)
    eml = repaired(message)
    assert verifies(eml.octets)
    assert eml.octets == message.replace(b"\n", b"\r\n")
    assert eml.left_out == [code]
    assert [repair.signature_impact for repair in eml.repairs] == ["breaks DKIM-Signature d=example.org s=s1"]

    forced = repaired(message, repair_signed=True)
    if code == "bookkeeping":
        assert forced == eml
        return
    assert not faults(forced.octets)
    assert not verifies(forced.octets)
    assert forced.codes[0] == code
    assert forced.repairs[0].signature_impact == "breaks DKIM-Signature d=example.org s=s1"


@every_policy
@pytest.mark.parametrize("code", COVERED)
def test_the_same_repairs_are_made_where_no_signature_covers_the_field(
    policy: tuple[bytes, bytes], code: str
) -> None:
    fields, _ = COVERED[code]
    names = [b"to"] if code.startswith("8bit-") else [b"to", b"mime-version"]
    message = (
        signed(policy, [b"from", *names], fields) if code not in ("8bit-name", "8bit-address") else fields
    )
    eml = repaired(message if message is not fields else fields + b"\n" + BODY)
    assert eml.codes[0] == code
    assert not eml.left_out
    assert not faults(eml.octets)
    assert message is fields or verifies(eml.octets)


def test_what_is_over_signed_is_not_added() -> None:
    message = signed(names=[b"from", b"message-id"], fields=with_field(MESSAGE_ID, b""))
    assert repaired(message).left_out == ["missing-message-id"]


def test_a_duplicate_above_the_signed_one_is_the_one_that_stays() -> None:
    # The signature covers the lowest Subject, which is the one that would have to go.
    message = signed(names=[b"from", b"subject"])
    eml = repaired(b"Subject: added later\n" + message)
    assert eml.left_out == ["duplicate-field"]
    assert verifies(eml.octets)


@every_policy
def test_of_several_from_the_signed_one_stays(policy: tuple[bytes, bytes]) -> None:
    message = signed(policy, names=[b"from", b"subject"])
    for added in (b"From: evil@example.net\n", b"From: one@example.net\nFrom: two@example.net\n"):
        eml = repaired(added + message)
        assert set(eml.codes) == {"duplicate-field"}
        assert not eml.left_out
        assert not faults(eml.octets)
        assert verifies(eml.octets)
        assert b"\nFrom:  Ann  <ann@example.org>" in eml.header
        assert eml.octets == added.replace(b"From", b"X-Unmbox-Duplicate-From").replace(b"\n", b"\r\n") + (
            message.replace(b"\n", b"\r\n")
        )
    # One that covers both holds both.
    both = signed(policy, names=[b"from", b"from"], fields=b"From: evil@example.net\n" + FIELDS)
    assert repaired(both).left_out == ["duplicate-field"]


def test_a_mark_before_a_field_stays_where_a_signature_names_it_as_missing() -> None:
    message = signed(names=[b"from", b"list-id"])
    eml = repaired(b"\xef\xbb\xbfX-Other: a\n" + message)
    assert eml.header.startswith(b"X-Other: a\n")
    assert verifies(eml.octets)
    eml = repaired(b"\xef\xbb\xbfList-Id: a\n" + message)
    assert eml.left_out == ["illegal-name"]
    assert verifies(eml.octets)


def test_a_bare_cr_before_a_line_end_is_no_part_of_what_was_signed() -> None:
    header, body = halves(signed((b"simple", b"simple")))
    eml = convert(header.replace(b"\n", b"\r\r\n"), body)
    assert eml.codes == ["bare-cr"]
    assert verifies(eml.octets)


DAMAGE = st.sampled_from(
    [
        b"Status: RO",
        b"X-UID: 1",
        b"Content-Length: 5",
        b"To: d@example.org",
        b"Subject: two",
        b"From: e@example.org",
        b"Cc: f@example.org",
        b"Cc: g@example.org",
        b"Reply-To: g@example.org",
        b"Sender: a  <h@example.org>",
        b"Date: yesterday",
        b"Message-ID: 2",
        b"X-Long: " + b"word " * 250,
        b"X-Signed: c",
        b"X-Raw: \xc3\xa9",
        b"Comments: \xe9",
        b"X-Nul: \0",
        b"X-Unmbox-Line: a",
        b"DKIM-Signature: v=1; junk",
    ]
)


@given(
    lost=st.sets(st.sampled_from([b"Date", b"Message-ID", b"Subject", b"To"])),
    inside=st.lists(st.tuples(st.integers(0, 9), DAMAGE), max_size=4),
    names=st.lists(
        st.sampled_from(
            [*SIGNED, b"status", b"cc", b"x-raw", b"comments", b"reply-to", b"sender", b"x-unmbox-line"]
        )
    ),
    later=st.lists(DAMAGE, max_size=4),
    policy=st.sampled_from(POLICIES),
)
def test_no_signature_that_verified_is_ever_broken(
    lost: set[bytes],
    inside: list[tuple[int, bytes]],
    names: list[bytes],
    later: list[bytes],
    policy: tuple[bytes, bytes],
) -> None:
    fields = [field.raw for field in split_fields(FIELDS.rstrip(b"\n")) if field.name not in lost]
    for at, damage in inside:
        fields.insert(at, damage)
    message = signed(policy, [b"from", *names], b"\n".join([*fields, b""]))
    message = b"".join(damage + b"\n" for damage in later if not damage.startswith(b"DKIM")) + message
    verified = verifies(message.replace(b"\n", b"\r\n"))
    event(f"verified: {verified}")
    eml = repaired(message)
    assert verifies(eml.octets) or not verified
    assert eml.left_out or not faults(eml.octets)
    forced = repaired(message, repair_signed=True)
    # A mailbox's own fields that are signed stay in any case.
    assert [fault for fault in faults(forced.octets) if not fault.startswith("a mailbox's own")] == []
    impacts = any(repair.signature_impact for repair in forced.repairs if repair.applied)
    assert impacts or verifies(forced.octets) or not verified


# -- ARC ----------------------------------------------------------------------------------------------------


def sealed(message: bytes) -> bytes:
    """A message with an ARC set of one on top, as RFC 8617 §5.1 has it made."""
    arc = dkim.ARC(message.replace(b"\n", b"\r\n"))
    arc.hasher = HASH_ALGORITHMS[b"rsa-sha256"]
    policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    private = parse_pem_private_key(key().private)
    digest = base64.b64encode(arc.hasher(policy.canonicalize_body(arc.body)).digest())
    who = [(b"a", b"rsa-sha256"), (b"d", b"example.net"), (b"s", b"s2")]
    results = b" i=1; example.net; spf=pass\r\n"
    names = [b"from", b"to", b"subject", b"dkim-signature"]
    tags = [
        (b"i", b"1"),
        *who,
        (b"c", b"relaxed/relaxed"),
        (b"h", b":".join(names)),
        (b"bh", digest),
        (b"b", b"0" * 60),
    ]
    ams = arc.gen_header(tags, names, policy, b"ARC-Message-Signature", private)
    fields = [(b"ARC-Message-Signature", b" " + ams), (b"ARC-Authentication-Results", results)]
    arc.headers = policy.canonicalize_headers(fields) + arc.headers
    covered = [b"arc-authentication-results", b"arc-message-signature"]
    tags = [(b"i", b"1"), (b"cv", b"none"), *who, (b"b", b"0" * 60)]
    seal = arc.gen_header(tags, covered, policy, b"ARC-Seal", private)
    top = [(b"ARC-Seal", b" " + seal), *fields]
    return (b"".join(name + b":" + value for name, value in top)).replace(b"\r\n", b"\n") + message


def chain(eml: bytes) -> bytes:
    result: bytes = dkim.arc_verify(eml, dnsfunc=key().dns)[0]
    return result


def test_an_arc_chain_survives() -> None:
    message = sealed(signed())
    assert chain(message.replace(b"\n", b"\r\n")) == b"pass"
    eml = repaired(b"Status: RO\nX-Raw: \xe9\n" + message)
    assert eml.codes == ["bookkeeping", "8bit-text"]
    assert chain(eml.octets) == b"pass"
    assert verifies(eml.octets)


def test_what_arc_covers_is_left_alone() -> None:
    fields = split_fields(halves(sealed(signed(names=[b"from"])))[0].rstrip(b"\n"))
    signatures = Signatures(fields)
    seal = "ARC-Seal i=1 d=example.net s=s2"
    ams = "ARC-Message-Signature i=1 d=example.net s=s2"
    own = "DKIM-Signature d=example.org s=s1"
    by_key = {field.key: field for field in fields}
    assert signatures.removing(by_key[b"arc-authentication-results"]) == f"breaks {seal}"
    assert signatures.removing(by_key[b"subject"]) == f"breaks {ams}"
    assert signatures.removing(by_key[b"from"]) == f"breaks {ams}, {own}"
    assert signatures.removing(by_key[b"dkim-signature"]) == f"breaks {ams}, {own}"
    assert signatures.removing(by_key[b"mime-version"]) == ""
    assert signatures.adding(b"arc-seal") == f"breaks {seal}"
    assert signatures.rewriting(by_key[b"arc-seal"], by_key[b"arc-seal"].raw + b" ") == ""


def test_raw_octets_in_arc_fields_are_left_alone() -> None:
    fields = b"ARC-Authentication-Results: i=1; example.net (\xe9)\n"
    fields += b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.net; s=s; b=aaaa\n"
    fields += b"ARC-Message-Signature: i=1; a=x; d=example.net; s=s; bh=aa; b=aa; h=\n"
    eml = convert(fields + FIELDS + b"\n")
    assert eml.left_out == ["8bit-structured"]
    assert b"\xe9" in eml.octets


def test_a_signature_that_only_its_writer_verifies_protects_nothing() -> None:
    google = (
        b"X-Google-DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=1e100.net; s=20161025;\n"
        b"        h=x-gm-message-state:status:from:date:message-id:subject;\n"
        b"        bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=aaaa"
    )
    block = b"\n".join(
        [google, b"From: a@b", b"Date: Tue, 19 Mar 2019 09:13:51 +0000", b"Message-ID: <1@b>", b"Status: R"]
    )
    eml = convert(block + b"\nSubject: \xc3\xa9\n\n")
    assert eml.codes == ["bookkeeping", "8bit-text"]
    assert not eml.left_out
    assert eml.fields[0] == google
    assert convert((block + b"\nSubject: \xc3\xa9\n\n").replace(b"X-Google-", b"")).left_out
