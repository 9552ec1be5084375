"""Which threads give way to others."""

import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from services.embedding.inference.tokens import start_threads

log = logging.getLogger(__name__)
# How long a thread may run Python while another waits for it (``sys.setswitchinterval``): of Python's default, 5 ms, a query
# would wait all whenever bulk texts are being put together.
SWITCH_SECONDS = 0.0005
_LOWEST_NICENESS = 19


def lower_priority() -> None:
    """Let this thread run only when no other wants the processor.

    On Linux, policies and nice values belong to threads. SCHED_IDLE gives way to a query the moment it wakes, which a thread at
    nice 19 does not always: its turn may have just begun.
    """
    try:
        if sys.platform == "linux":
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_NICENESS)
    except OSError as error:
        log.warning("bulk threads keep their priority, so that queries wait for them: %s", error)


def tokenizer_executor() -> ThreadPoolExecutor:
    """Return the two threads that tokenise bulk texts: one long text, which cannot be cut, leaves the other.

    The tokenizers' own threads are started by the first thread that tokenises several texts, once in a process, and inherit
    its priority: so they are started here, with the lower one.
    """
    executor = ThreadPoolExecutor(2, thread_name_prefix="tokenize", initializer=lower_priority)
    executor.submit(start_threads).result()
    return executor
