"""Run a command and write what it took, as one JSON object, to a file descriptor.

    python -I -S launcher.py DESCRIPTOR PROGRAM ARGUMENT...

The peak memory that a system reports for a child includes the pages of its parent at the moment when
the child began, whether by fork or by spawn. So the parent has to be small, and this is it: nothing is
imported but what it needs. No peak that it reports is below its own size, which is that of a bare
interpreter; read such a figure as "at most".
"""

import os
import sys
import time

descriptor, command = int(sys.argv[1]), sys.argv[2:]
start = time.perf_counter()
try:
    child = os.posix_spawnp(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, descriptor)]
    )
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
# Linux counts KiB, macOS octets.
peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
code = os.waitstatus_to_exitcode(status)
times = f'"wall": {wall}, "user": {usage.ru_utime}, "system": {usage.ru_stime}'
os.write(descriptor, f'{{{times}, "peak": {peak}, "code": {code}}}'.encode())
