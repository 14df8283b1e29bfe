"""libgab.so, as gab.h declares it."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

SAFE, MORE, NONBLOCK = 1, 2, 4
DELIVER, VIEW, CLOSED, STATUS = 1, 2, 3, 4
OPT_ACK, OPT_KERNEL, OPT_SHARED, OPT_STATUS = 1, 2, 4, 8


class Options(ctypes.Structure):
    """gab_options"""

    _fields_ = [
        ("size", c_uint32),
        ("heartbeat_ms", c_uint32),
        ("root", c_char_p),
        ("name", c_char_p),
        ("flags", c_uint32),
    ]


class NodeSet(ctypes.Structure):
    """gab_nodeset"""

    _fields_ = [("bits", c_uint64 * 2)]

    def nodes(self) -> frozenset[int]:
        bits = self.bits[0] | self.bits[1] << 64
        return frozenset(node for node in range(128) if bits >> node & 1)


class Event(ctypes.Structure):
    """gab_event"""

    _fields_ = [
        ("type", c_uint32),
        ("sender", c_uint32),
        ("broadcast", c_uint32),
        ("safe", c_uint32),
        ("generation", c_uint64),
        ("sequence", c_uint64),
        ("data", c_void_p),
        ("len", c_size_t),
        ("members", NodeSet),
        ("joined", NodeSet),
        ("left", NodeSet),
        ("jeopardy", NodeSet),
        ("visible", NodeSet),
        ("reason", c_int32),
    ]


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ.get("GAB_LIBRARY") or "libgab.so")
    for name, result, *arguments in [
        ("gab_open", c_int, c_char, POINTER(Options), POINTER(c_void_p)),
        ("gab_broadcast", c_int, c_void_p, c_char_p, c_size_t, c_uint32),
        ("gab_send", c_int, c_void_p, c_uint32, c_char_p, c_size_t, c_uint32),
        ("gab_flush", c_int, c_void_p),
        ("gab_recv", c_int, c_void_p, POINTER(Event), c_int),
        ("gab_ack", c_int, c_void_p, c_uint64),
        ("gab_fd", c_int, c_void_p),
        ("gab_node", c_int, c_void_p),
        ("gab_close", c_int, c_void_p),
        ("gab_strerror", c_char_p, c_int),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


library = _load()


def words(error: int) -> str:
    """What a result means."""
    return library.gab_strerror(error).decode()


def check(result: int) -> int:
    """The result of a call, or the OSError that it stands for."""
    if result < 0:
        raise OSError(-result, words(result))
    return result
