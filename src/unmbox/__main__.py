"""Where the command starts: ``unmbox`` and ``python -m unmbox``."""

from __future__ import annotations

import sys

from unmbox._own_process import collect_less


def main() -> int:
    """Run the command and return its exit status."""
    try:
        from unmbox.cli import main as run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sentence = 'the command needs a few things more: pip install "unmbox[cli]"'
        if "--json" in sys.argv:  # what reads standard output wants to know, too
            import json

            sys.stdout.write(json.dumps({"error": sentence, "status": 2}) + "\n")
        sys.stderr.write(f"unmbox: {sentence}\n")
        return 2
    except KeyboardInterrupt:  # from here on it is heeded
        return 130
    collect_less()
    return run()


if __name__ == "__main__":
    sys.exit(main())
