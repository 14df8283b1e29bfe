//! A stream socket with messages: their length, then they themselves.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::client::MESSAGE_MAX;

/// A connection that never waits.
#[derive(Debug)]
pub(crate) struct Framed {
    socket: UnixStream,
    input: BytesMut,
    output: BytesMut,
    /// What is read goes here first.
    chunk: Box<[u8]>,
}

/// Read at once.
const READ: usize = 64 << 10;

impl Framed {
    /// # Errors
    /// If the socket cannot be told not to wait.
    pub(crate) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let chunk = vec![0; READ].into_boxed_slice();
        Ok(Self { socket, input: BytesMut::new(), output: BytesMut::new(), chunk })
    }

    /// What has come; an error if the other side is gone or sends something else.
    pub(crate) fn receive(&mut self) -> io::Result<Vec<Bytes>> {
        loop {
            match self.socket.read(&mut self.chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.input.extend_from_slice(&self.chunk[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.input.len() > MESSAGE_MAX {
                break;
            }
        }
        let mut messages = Vec::new();
        while let Some(head) = self.input.first_chunk::<4>() {
            let len = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
            if len > MESSAGE_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.input.len() < 4 + len {
                break;
            }
            self.input.advance(4);
            messages.push(self.input.split_to(len).freeze());
        }
        Ok(messages)
    }

    /// Queues a message and sends what the socket takes.
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let len = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.output.put_u32(len);
        self.output.extend_from_slice(message);
        self.flush()
    }

    /// Sends what is left, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(len) => self.output.advance(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Something is queued.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.output.is_empty()
    }
}

impl AsFd for Framed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
