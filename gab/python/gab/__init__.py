"""Ports of GAB: agreed memberships, guaranteed messages and atomic broadcast.

    with gab.Port("A") as port:
        for event in port:
            ...

Everything that fails raises an OSError with the errno of libgab, in the subclass
that Python has for it: BlockingIOError, BrokenPipeError, ConnectionRefusedError.
"""

from .events import Closed, Deliver, Event, Status, View
from .port import MAX_MESSAGE, Port

__all__ = ["MAX_MESSAGE", "Closed", "Deliver", "Event", "Port", "Status", "View"]
