"""unmbox: convert MBOX to EML as a stream, right to the octet, in flat memory.

>>> import unmbox
>>> report = unmbox.convert("All mail.mbox", "eml")
>>> report.messages, report.written, report.duplicates
(12, 11, 1)
>>> unmbox.convert("All mail.mbox", "eml").already  # there is nothing left to do
12
>>> next(unmbox.messages("All mail.mbox"))["From"]
'Ichiro Suzuki <ichiro@example.jp>'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unmbox._block import Repair
    from unmbox._convert import convert
    from unmbox._head import Envelope
    from unmbox._messages import Message, messages
    from unmbox._parser import Parser
    from unmbox._report import Damage, Progress, Report
    from unmbox._writer import EmlWriter
    from unmbox.dedup import BodyDigest, DedupIndex, Verdict
    from unmbox.errors import BodyGoneError, DestinationError, SourceError, UnmboxError, UsageError
    from unmbox.events import Body, End, Event, Head, HeadRest, Junk, Rejected
    from unmbox.sinks import DirectorySink, Sink, Target
    from unmbox.zips import ZipSink

__version__ = "0.1.0"

__all__ = [
    "Body",
    "BodyDigest",
    "BodyGoneError",
    "Damage",
    "DedupIndex",
    "DestinationError",
    "DirectorySink",
    "EmlWriter",
    "End",
    "Envelope",
    "Event",
    "Head",
    "HeadRest",
    "Junk",
    "Message",
    "Parser",
    "Progress",
    "Rejected",
    "Repair",
    "Report",
    "Sink",
    "SourceError",
    "Target",
    "UnmboxError",
    "UsageError",
    "Verdict",
    "ZipSink",
    "__version__",
    "convert",
    "messages",
]

# What stands where: loaded when it is asked for, so that an import costs next to nothing (PEP 562).
_HOMES = {
    name: module
    for module, names in {
        "_block": "Repair",
        "_convert": "convert",
        "_head": "Envelope",
        "_messages": "Message messages",
        "_parser": "Parser",
        "_report": "Damage Progress Report",
        "_writer": "EmlWriter",
        "dedup": "BodyDigest DedupIndex Verdict",
        "errors": "BodyGoneError DestinationError SourceError UnmboxError UsageError",
        "events": "Body End Event Head HeadRest Junk Rejected",
        "sinks": "DirectorySink Sink Target",
        "zips": "ZipSink",
    }.items()
    for name in names.split()
}
_MODULES = frozenset(
    ("aio", "dedup", "errors", "events", "labels", "manifest", "naming", "profiles", "report", "sinks")
)


if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            value = getattr(import_module(f"unmbox.{_HOMES[name]}"), name)
            globals()[name] = value
            return value
        if name in _MODULES:
            try:
                return import_module(f"unmbox.{name}")
            except ImportError as error:  # of what an extra brings
                raise AttributeError(str(error)) from error
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
