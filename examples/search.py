"""Full-text search over a mailbox, in one SQLite file.

python search.py build "All mail.mbox" mail.db
python search.py find mail.db お茶会

The index takes pieces of three characters (FTS5's trigram tokenizer), so it finds words of languages that put
no spaces between them. A search is for three characters or more.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator

import unmbox

TABLE = """CREATE VIRTUAL TABLE mail USING fts5(
    subject, sender, body, offset UNINDEXED, date UNINDEXED, tokenize = 'trigram'
)"""


def text_of(message: unmbox.Message) -> str:
    """The plain text of a message, as far as there is any."""
    part = message.as_email().get_body(("plain", "html"))
    try:
        return str(part.get_content()) if part else ""
    except (LookupError, KeyError, ValueError):  # the email package does not know such a charset or type
        return ""


def rows(mailbox: str) -> Iterator[tuple[str, str | None, str, int, str]]:
    """What is indexed of each message."""
    for message in unmbox.messages(mailbox):
        date = message.date.isoformat() if message.date else ""
        yield message.subject, message["From"], text_of(message), message.offset, date


def build(mailbox: str, database: str) -> int:
    """Index a mailbox in one transaction; return the number of messages."""
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(TABLE)
        done = connection.executemany("INSERT INTO mail VALUES (?, ?, ?, ?, ?)", rows(mailbox))
    connection.close()
    return done.rowcount


def find(database: str, words: str) -> list[tuple[str, str, str]]:
    """Date, sender and subject of the messages that hold the words, the best first."""
    connection = sqlite3.connect(database)
    query = "SELECT date, sender, subject FROM mail WHERE mail MATCH ? ORDER BY rank LIMIT 20"
    # In quotes it is a text to find, and none of the query language's operators.
    found = connection.execute(query, ['"{}"'.format(words.replace('"', '""'))]).fetchall()
    connection.close()
    return found


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    if sys.argv[1] == "build":
        print(f"{build(sys.argv[2], sys.argv[3])} messages")
    else:
        for each in find(sys.argv[2], sys.argv[3]):
            print(*each, sep="  ")
