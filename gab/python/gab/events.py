"""What a port tells its program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

__all__ = ["Closed", "Deliver", "Event", "Status", "View"]


@dataclass(frozen=True)
class Deliver:
    """A message."""

    #: The node that sent it.
    sender: int
    #: The message.
    data: bytes
    #: Sent to all members; else to this node only.
    broadcast: bool
    #: Delivered nowhere before every member held it.
    safe: bool
    #: The view in which it is delivered.
    generation: int
    #: Position in the order, the same at all members, strictly rising; 0 if not a broadcast.
    sequence: int


@dataclass(frozen=True)
class View:
    """A new membership of the port."""

    #: Higher than that of the view before.
    generation: int
    #: Nodes with the port open.
    members: frozenset[int]
    #: Members that were not in the view before.
    joined: frozenset[int]
    #: Those of the view before that are gone.
    left: frozenset[int]
    #: Members to which one link is left.
    jeopardy: frozenset[int]
    #: Nodes of the cluster without the port open.
    visible: frozenset[int]


@dataclass(frozen=True)
class Status(View):
    """Only jeopardy or visible changed; for ports opened with status=True."""


@dataclass(frozen=True)
class Closed:
    """The last event: GAB closed the port."""

    #: Why, as in the errno module: ECONNRESET, ESHUTDOWN, ESTALE, ENOBUFS, ETIME.
    errno: int
    #: The same in words.
    reason: str


Event = Union[Closed, Deliver, Status, View]
