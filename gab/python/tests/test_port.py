"""The package on a real node: MUSTER_ROOT has a gabd that nobody else uses."""

import asyncio
import ctypes
import errno
import os
import select
import signal
import threading
import unittest

import gab
from gab import _library

LIMIT = 60


def opened(port="A", **options):
    """An open port that has received its first view."""
    port = gab.Port(port, **options)
    view = port.recv(LIMIT)
    assert isinstance(view, gab.View), view
    return port


class Calls(unittest.TestCase):
    def test_a_broadcast_comes_back(self):
        with gab.Port("A", name="python") as port:
            view = port.recv(LIMIT)
            self.assertEqual(view.members, {0})
            self.assertEqual(view.joined, {0})
            self.assertEqual(port.node, 0)
            port.broadcast(b"hello", safe=True)
            event = port.recv(LIMIT)
            self.assertIsInstance(event, gab.Deliver)
            self.assertEqual((event.sender, event.data, event.safe), (0, b"hello", True))
            self.assertEqual(event.generation, view.generation)
            self.assertGreater(event.sequence, 0)
            self.assertTrue(event.broadcast)

    def test_a_message_to_one_node_and_any_bytes(self):
        with opened() as port:
            for data in (b"", b"\0\xff\0", bytearray(b"x" * gab.MAX_MESSAGE), memoryview(b"v")):
                port.send(0, data)
                event = port.recv(LIMIT)
                self.assertEqual(event.data, bytes(data))
                self.assertFalse(event.broadcast)
                self.assertEqual(event.sequence, 0)

    def test_held_messages_go_with_a_flush(self):
        with opened() as port:
            for n in range(3):
                port.broadcast(b"%d" % n, more=True)
            port.flush()
            self.assertEqual([port.recv(LIMIT).data for _ in range(3)], [b"0", b"1", b"2"])

    def test_waiting_is_a_sign_of_life(self):
        with opened(heartbeat=1) as port:
            self.assertIsNone(port.recv(1.5))
            port.broadcast(b"alive")
            self.assertEqual(port.recv(LIMIT).data, b"alive")

    def test_nothing_in_time_is_none(self):
        with opened() as port:
            self.assertIsNone(port.recv(0))
            self.assertIsNone(port.recv(0.01))

    def test_views_are_acknowledged(self):
        with gab.Port("A", ack=True) as port:
            view = port.recv(LIMIT)
            with self.assertRaises(OSError) as error:
                port.ack(view.generation + 1)
            self.assertEqual(error.exception.errno, errno.ESTALE)
            port.ack(view.generation)

    def test_the_descriptor_tells_of_every_event(self):
        with opened() as port:
            for n in range(50):
                port.broadcast(b"x", more=n < 49)
            for _ in range(50):
                self.assertTrue(select.select([port], [], [], LIMIT)[0])
                while port.recv(0) is None:
                    self.assertTrue(select.select([port], [], [], LIMIT)[0])
            self.assertFalse(select.select([port], [], [], 0)[0])

    def test_a_full_port_would_block(self):
        with opened() as port:
            sent = 0
            with self.assertRaises(BlockingIOError):
                while True:
                    port.broadcast(b"x" * 1000, wait=False)
                    sent += 1
            for _ in range(sent):
                self.assertIsInstance(port.recv(LIMIT), gab.Deliver)

    def test_a_thread_sends_while_another_receives(self):
        with opened() as port:
            count = 10_000
            send = lambda: [port.broadcast(b"x" * 500) for _ in range(count)]
            thread = threading.Thread(target=send)
            thread.start()
            for _ in range(count):
                self.assertIsInstance(port.recv(LIMIT), gab.Deliver)
            thread.join()

    def test_two_shared_ports_are_one_member(self):
        with opened(shared=True) as one, opened(shared=True) as two:
            one.broadcast(b"both")
            self.assertEqual(one.recv(LIMIT), two.recv(LIMIT))

    def test_a_handler_that_raises_ends_a_wait(self):
        class Rang(Exception):
            pass

        def ring(*_):
            raise Rang

        with opened() as port:
            before = signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with self.assertRaises(Rang):
                port.recv()
            signal.signal(signal.SIGALRM, before)


class Refusals(unittest.TestCase):
    def refused(self, error, call, *arguments, **options):
        with self.assertRaises(OSError) as raised:
            call(*arguments, **options)
        self.assertEqual(raised.exception.errno, error)
        return str(raised.exception)

    def test_what_is_no_port(self):
        for port in ("", "AB", "1", "é"):
            self.refused(errno.EINVAL, gab.Port, port)
        self.refused(errno.EACCES, gab.Port, "a")
        for heartbeat in (0.099, 3601):
            self.refused(errno.EINVAL, gab.Port, "A", heartbeat=heartbeat)

    def test_a_port_that_is_taken(self):
        with opened():
            self.assertIn("the port is taken", self.refused(errno.EBUSY, gab.Port, "A"))

    def test_a_missing_daemon(self):
        with self.assertRaises(ConnectionRefusedError):
            gab.Port("A", root="/nonexistent")

    def test_messages_that_cannot_be_sent(self):
        with opened() as port:
            self.refused(errno.EMSGSIZE, port.broadcast, bytes(gab.MAX_MESSAGE + 1))
            self.refused(errno.ENOTCONN, port.send, 1, b"")
            self.refused(errno.EINVAL, port.send, 128, b"")
            self.refused(errno.EINVAL, port.send, -1, b"")
            for no_bytes in ("text", 5, None):
                self.assertRaises(TypeError, port.broadcast, no_bytes)

    def test_a_closed_port(self):
        port = opened()
        port.close()
        port.close()
        for call in (port.recv, port.flush, port.fileno, lambda: port.broadcast(b"")):
            self.refused(errno.EBADF, call)


class Loop(unittest.TestCase):
    def test_events_come_in_an_event_loop(self):
        async def talk():
            got = []
            with gab.Port("A") as port:
                async for event in port:
                    if isinstance(event, gab.View):
                        for n in range(300):
                            port.broadcast(b"%d" % n, more=n < 299)
                    else:
                        got.append(int(event.data))
                    if len(got) == 300:
                        return got

        self.assertEqual(asyncio.run(asyncio.wait_for(talk(), LIMIT)), list(range(300)))

    def test_a_waiting_loop_does_other_things_and_can_be_cancelled(self):
        async def wait(port):
            async for event in port:
                raise AssertionError(event)

        async def main():
            with opened() as port:
                task = asyncio.create_task(wait(port))
                # It has to have begun to wait, and others run meanwhile.
                for _ in range(10):
                    await asyncio.sleep(0)
                self.assertFalse(task.done())
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task

        asyncio.run(asyncio.wait_for(main(), LIMIT))


class Layout(unittest.TestCase):
    def test_structures_have_the_sizes_of_gab_h(self):
        if ctypes.sizeof(ctypes.c_void_p) == 8:
            self.assertEqual(ctypes.sizeof(_library.Options), 32)
            self.assertEqual(ctypes.sizeof(_library.Event), 136)


class Zend(unittest.TestCase):
    """Ends gabd, so it comes last."""

    def test_the_end_of_gabd_is_the_last_event(self):
        with opened() as port:
            with open(os.path.join(os.environ["MUSTER_ROOT"], "run/gabd.pid")) as file:
                os.kill(int(file.read()), signal.SIGTERM)
            events = list(port)
            self.assertEqual(events[-1], gab.Closed(errno.ESHUTDOWN, "gabd was stopped"))
            self.assertEqual(port.recv(), events[-1])
            with self.assertRaises(BrokenPipeError):
                port.broadcast(b"x")


if __name__ == "__main__":
    unittest.main()
