"""Locks an extraction child in before it sees a file: a parser that is taken over finds nothing to read and nobody to talk to.

Each layer holds without the others; what a system lacks is left out and reported:

- limits: no file can be written, and a child that is not root cannot fork (every system);
- user: nobody, without groups (where the worker is root);
- landlock: of the file system only the interpreter's and the system's libraries can be read, nothing is written or executed, no
  TCP, and no signal or abstract socket reaches beyond this process (Linux 5.13 and later, as far as its version goes);
- seccomp: only the system calls that extraction needs, so no sockets, no programs, no view of other processes (Linux).

Where Landlock is missing, or nobody may not read the interpreter, every library is imported first and no file is opened again.
"""

import errno
import os
import resource
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

if sys.platform == "linux":
    import landlockpy
    import seccompy

_NOBODY = 65534
_DESCRIPTORS = 256
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
# TCGETS, FIONBIO, FIONCLEX, FIOCLEX; F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC.
_IOCTLS = (0x5401, 0x5421, 0x5450, 0x5451)
_FCNTLS = (0, 1, 2, 3, 4, 1030)
_SYSTEM_CALLS = (
    # Memory and time.
    *("brk", "mmap", "mprotect", "mremap", "munmap", "madvise", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep", "time"),
    # Itself.
    *("arch_prctl", "exit", "exit_group", "futex", "getegid", "geteuid", "getgid", "getpid", "getrandom", "getrusage", "gettid", "getuid"),
    *("restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_yield", "set_robust_list"),
    *("sigaltstack", "sysinfo", "uname"),
    # What is open already: the socket to the pool, the files it sends. (The C library looks at them by the call for names.)
    *(
        "close",
        "dup",
        "fstat",
        "lseek",
        "newfstatat",
        "poll",
        "ppoll",
        "pread64",
        "read",
        "readv",
        "recvfrom",
        "recvmsg",
        "sendto",
        "statx",
        "write",
        "writev",
    ),
)
_OPENING = (
    "access",
    "faccessat",
    "faccessat2",
    "getcwd",
    "getdents64",
    "lstat",
    "newfstatat",
    "open",
    "openat",
    "readlink",
    "readlinkat",
    "stat",
    "statx",
)


class SandboxError(Exception):
    """The sandbox that this installation demands is not to be had on this system."""


def enter(preload: Callable[[], None], *, is_required: bool) -> dict[str, str]:
    """Enter every layer this system has and return them by name, with what they are or why they are missing.

    ``preload`` imports what would be imported later. Raises SandboxError if ``is_required`` and files, network, programs or
    processes stay within reach.
    """
    layers = {"limits": "on"}
    # Asked first: both look for the system's library, which nobody may do later.
    version, has_seccomp = _support()
    is_root = os.geteuid() == 0
    imports_later = version > 0 and (not is_root or _is_readable_by_nobody())
    if not imports_later:
        preload()
    layers["landlock"] = _enter_landlock(version, _libraries() if imports_later else []) if version else "off: this system has none"
    layers["user"] = _become_nobody() if is_root else "off: the worker is not root"
    _limit_resources()
    layers["seccomp"] = _enter_seccomp(may_open=imports_later) if has_seccomp else "off: this system has none"
    if is_required and not layers["seccomp"].startswith("on"):
        raise SandboxError(f"the sandbox of extraction is required, but seccomp is {layers['seccomp']}")
    return layers


def _support() -> tuple[int, bool]:
    """Return the version of Landlock, 0 for none, and whether there is seccomp."""
    if sys.platform != "linux":
        return 0, False
    return landlockpy.abi_version(), seccompy.supported()


def _enter_landlock(version: int, readable: list[str]) -> str:
    access, scope = landlockpy.AccessFS, landlockpy.Scope
    with landlockpy.Ruleset(scoped=scope.ABSTRACT_UNIX_SOCKET | scope.SIGNAL) as ruleset:
        for path in readable:
            ruleset.allow_path(path, access.READ_FILE | (access.READ_DIR if Path(path).is_dir() else access.NONE))
        ruleset.restrict()
    return f"on: version {version}, {len(readable)} readable paths"


def _libraries() -> list[str]:
    """Return where an import may still read: the standard library, installed packages, shared libraries of the system."""
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    paths = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *packages, *_SYSTEM_LIBRARIES)
    return [path for path in dict.fromkeys(paths) if Path(path).exists()]


def _is_readable_by_nobody() -> bool:
    try:
        os.setegid(_NOBODY)
        os.seteuid(_NOBODY)
    except PermissionError:
        return True  # then it stays who it is
    try:
        return all(os.access(str(module.__file__), os.R_OK, effective_ids=True) for module in (os, landlockpy))
    finally:
        os.seteuid(0)
        os.setegid(0)


def _become_nobody() -> str:
    try:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    except PermissionError as error:
        return f"off: {error.strerror}"
    return f"on: {_NOBODY}"


def _limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _enter_seccomp(*, may_open: bool) -> str:
    calls = seccompy.Filter(int(seccompy.Action.ERRNO) | errno.EPERM)
    try:
        for name in (*_SYSTEM_CALLS, *(_OPENING if may_open else ())):
            try:
                number = seccompy.syscall_nr(name)
            except ValueError:
                continue  # this architecture has no such call
            calls.allow(number)
        for request in _IOCTLS:
            calls.allow("ioctl", args={1: request})
        for command in _FCNTLS:
            calls.allow("fcntl", args={1: command})
        # Its own limits only: of processor time, before each file.
        calls.allow("prlimit64", args={0: 0})
        calls.load()
    except (seccompy.SeccompError, seccompy.UnsupportedError) as error:
        return f"off: {error}"
    return "on: files open" if may_open else "on: no files"
