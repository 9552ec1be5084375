"""Replaces itself by a command that dies with the supervisor: ``launch.py SIGNAL PARENT UID GID COMMAND...``; UID and GID may be -.

A separate program, started without site-packages: between fork and exec, code must not run in the supervisor, whose threads
hold locks.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    number, parent, uid, gid, *command = sys.argv[1:]
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":  # the kernel clears the signal when the user changes
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != int(parent):
        sys.exit("the supervisor is gone")
    os.execvp(command[0], command)  # noqa: S606 - the supervisor says what


if __name__ == "__main__":
    main()
