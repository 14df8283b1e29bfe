"""An open port."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import math
import os
import time
import warnings
from typing import AsyncIterator, Iterator, Optional, Union

from . import _library as c
from .events import Closed, Deliver, Event, Status, View

__all__ = ["MAX_MESSAGE", "Port"]

#: The longest message, in bytes.
MAX_MESSAGE = 65536

Buffer = Union[bytes, bytearray, memoryview]


class Port:
    """A port that this program has open: it sends, and its events come back in the agreed order.

    A port is a context manager and iterates over its events, for good or, with `async for`, in
    the running event loop; `Closed` is the last one. One thread at a time may receive on it;
    others may send meanwhile. A program that sends must also receive.
    """

    def __init__(
        self,
        port: str,
        *,
        root: Union[str, bytes, os.PathLike, None] = None,
        name: Optional[str] = None,
        ack: bool = False,
        kernel: bool = False,
        shared: bool = False,
        status: bool = False,
        heartbeat: float = 0,
    ) -> None:
        """Opens the port, a letter, at the gabd of the node with this root.

        ack: each view is acknowledged with ack(), and the next one waits for it.
        kernel: closed by close() or the end of the process only; ejection halts the node.
        shared: all shared openers of a node are one member.
        status: `Status` events come, too.
        heartbeat: seconds, 0.1 to 3600: if the program is in no call on the port for so long, gabd
            takes it for hung and kills it. 0: it is supervised only by whether it reads.
        """
        self._handle: Optional[ctypes.c_void_p] = None
        if len(port) != 1 or not port.isascii():
            raise OSError(errno.EINVAL, "a port is one letter, A to Z or a to z", port)
        flags = (
            c.OPT_ACK * ack
            | c.OPT_KERNEL * kernel
            | c.OPT_SHARED * shared
            | c.OPT_STATUS * status
        )
        options = c.Options(
            size=ctypes.sizeof(c.Options),
            heartbeat_ms=round(heartbeat * 1000),
            root=None if root is None else os.fsencode(root),
            name=None if name is None else name.encode(),
            flags=flags,
        )
        handle = ctypes.c_void_p()
        c.check(c.library.gab_open(port.encode(), ctypes.byref(options), ctypes.byref(handle)))
        self._handle = handle
        #: The id of this node.
        self.node: int = c.library.gab_node(handle)
        self._ended = False

    def broadcast(
        self, data: Buffer, *, safe: bool = False, more: bool = False, wait: bool = True
    ) -> None:
        """Sends to every member of the port, this one included.

        Waits for room, never for the delivery; without `wait` BlockingIOError is raised instead.
        safe: delivered nowhere before every member holds it.
        more: more follows at once; may be held until the next call without it.
        """
        flags = c.SAFE * safe | c.MORE * more | c.NONBLOCK * (not wait)
        message = _bytes(data)
        self._call(c.library.gab_broadcast, message, len(message), flags)

    def send(self, node: int, data: Buffer, *, more: bool = False, wait: bool = True) -> None:
        """Sends to the port's program on one node, reliably and in order; else as broadcast()."""
        if not 0 <= node < 128:
            raise OSError(errno.EINVAL, "a node id is 0 to 127")
        flags = c.MORE * more | c.NONBLOCK * (not wait)
        message = _bytes(data)
        self._call(c.library.gab_send, node, message, len(message), flags)

    def flush(self) -> None:
        """Hands to gabd what `more` held back."""
        self._call(c.library.gab_flush)

    def recv(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; waits for it, or for so many seconds and then gives None.

        After `Closed` each call gives the same `Closed` again.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        event = c.Event()
        while True:
            left = -1 if deadline is None else max(0, deadline - time.monotonic())
            wait = -1 if left < 0 else min(math.ceil(left * 1000), _LONGEST)
            try:
                if c.check(c.library.gab_recv(self._open(), ctypes.byref(event), wait)):
                    return _event(event)
            except InterruptedError:
                # A signal whose handler raised nothing (PEP 475).
                continue
            if wait != _LONGEST:
                return None

    def ack(self, generation: int) -> None:
        """The program has recovered from the view of this generation, the newest it received."""
        self._call(c.library.gab_ack, generation)

    def fileno(self) -> int:
        """A descriptor that is readable when recv() would return at once; only to be polled.

        It may be readable for nothing: call recv(0) until it gives None.
        """
        return c.check(c.library.gab_fd(self._open()))

    def close(self) -> None:
        """Leaves the port. Waits until all that was accepted is ordered. Again: nothing."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            c.check(c.library.gab_close(handle))

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *_: object) -> None:
        # Whoever received Closed knows that it did not end in order.
        try:
            self.close()
        except OSError:
            if not self._ended:
                raise

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self.close()

    def __iter__(self) -> Iterator[Event]:
        while not self._ended:
            event = self.recv()
            self._ended = isinstance(event, Closed)
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        while not self._ended:
            event = self.recv(0)
            if event is None:
                await self._readable()
                continue
            self._ended = isinstance(event, Closed)
            yield event

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        fd = self.fileno()
        loop.add_reader(fd, lambda: readable.done() or readable.set_result(None))
        try:
            await readable
        finally:
            loop.remove_reader(fd)

    def _open(self) -> ctypes.c_void_p:
        if self._handle is None:
            raise OSError(errno.EBADF, "the port was closed by this program")
        return self._handle

    def _call(self, function, *arguments) -> int:
        """Calls it, and again if a signal came whose handler raised nothing (PEP 475)."""
        while True:
            try:
                return c.check(function(self._open(), *arguments))
            except InterruptedError:
                pass


def _bytes(data: Buffer) -> bytes:
    """Not bytes(data), which makes zeros of a number."""
    return data if isinstance(data, bytes) else bytes(memoryview(data))


def _event(event: c.Event) -> Event:
    if event.type == c.DELIVER:
        return Deliver(
            sender=event.sender,
            data=ctypes.string_at(event.data, event.len),
            broadcast=bool(event.broadcast),
            safe=bool(event.safe),
            generation=event.generation,
            sequence=event.sequence,
        )
    if event.type == c.CLOSED:
        return Closed(errno=-event.reason, reason=c.words(event.reason))
    kind = View if event.type == c.VIEW else Status
    names = ("members", "joined", "left", "jeopardy", "visible")
    sets = {name: getattr(event, name).nodes() for name in names}
    return kind(generation=event.generation, **sets)


#: Milliseconds of the longest single wait.
_LONGEST = 2**31 - 1
