"""Where the command starts: ``unmbox`` and ``python -m unmbox``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command and return its exit status."""
    try:
        from unmbox.cli import main as run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write('unmbox: the command needs a few things more: pip install "unmbox[cli]"\n')
        return 2
    except KeyboardInterrupt:  # from here on it is heeded
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
