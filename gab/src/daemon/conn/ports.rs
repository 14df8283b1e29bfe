//! A connection whose client has an LLT port, or watches frames go by.

use bytes::Bytes;
use llt::{Instant, LltPort, NodeId};

use super::{Conn, Phase, errno};
use crate::daemon::llt_ports::{Arrival, LltPorts, PortClient};
use crate::event::CloseReason;
use crate::ipc::{Record, TracedFrame};
use crate::limits::IPC_DATAGRAM_MAX;
use crate::stack::Stack;

impl Conn {
    /// Makes it the client of an LLT port, or refuses that.
    pub(super) fn open_llt(
        &mut self,
        stack: &Stack,
        ports: &LltPorts,
        version: u16,
        port: LltPort,
    ) {
        if !self.speaks(version) {
            return;
        }
        if let Err(error) = ports.may_open(port) {
            return self.refuse(EBUSY, &error.to_string());
        }
        tracing::debug!(port = port.get(), "client of an LLT port");
        self.llt = Some(PortClient::new(port));
        self.opened(stack);
    }

    /// A message of the client to a node; the error says how it broke the protocol.
    pub(super) fn llt_send(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        node: NodeId,
        reliable: bool,
        payload: Bytes,
    ) -> Result<(), String> {
        if self.llt.is_none() {
            return Err("LltSend without LltOpen".into());
        }
        self.spend(1, payload.len(), "LltSend")?;
        if let Some(llt) = &mut self.llt {
            llt.submit(node, reliable, payload);
        }
        self.send_waiting(now, stack);
        Ok(())
    }

    /// Gives LLT what it has room for.
    pub(super) fn send_waiting(&mut self, now: Instant, stack: &mut Stack) {
        let Some(llt) = &mut self.llt else { return };
        for refused in llt.send(now, stack) {
            self.refuse(errno(refused.errno()), &refused.to_string());
        }
    }

    /// LLT has room for this node again, or nothing more to do with it.
    pub(in crate::daemon) fn llt_writable(&mut self, node: NodeId) {
        if let Some(llt) = &mut self.llt {
            llt.writable(node);
        }
    }

    /// The node has a new stack: what waits is offered to that.
    pub(in crate::daemon) fn restart_llt(&mut self) {
        if let Some(llt) = &mut self.llt {
            llt.restart();
        }
    }

    /// Something arrived on the client's port.
    pub(in crate::daemon) fn llt_arrived(
        &mut self,
        stack: &Stack,
        from: NodeId,
        datagram: bool,
        payload: Bytes,
    ) {
        let flow = &stack.llt().config().flow;
        let Some(llt) = &mut self.llt else { return };
        if llt.arrived(flow, from, datagram, payload) == Arrival::Overrun {
            tracing::warn!("the client of LLT port {} does not read: closed", llt.port().get());
            self.closed(CloseReason::NotReading);
        }
    }

    /// Does more wait for the client than LLT allows?
    pub(in crate::daemon) fn is_llt_busy(&self) -> bool {
        self.llt.as_ref().is_some_and(PortClient::is_busy)
    }

    /// Limits may have changed, or the client has read: is it busy still?
    pub(in crate::daemon) fn judge_llt(&mut self, stack: &Stack) {
        if let Some(llt) = &mut self.llt {
            llt.judge(&stack.llt().config().flow);
        }
    }

    /// Fills one datagram with what arrived. True if it is full and there is more.
    pub(super) fn fill_llt(&mut self) -> bool {
        let mut filled = 0;
        while filled < IPC_DATAGRAM_MAX / 2 {
            let Some(llt) = &mut self.llt else { return false };
            let Some(len) = llt.next_len() else { return false };
            if self.credit.messages == 0 || self.credit.bytes < len {
                return false;
            }
            let Some((node, datagram, payload)) = llt.take() else { return false };
            self.credit.messages -= 1;
            self.credit.bytes -= len;
            filled += len + 16;
            self.packer.push(&Record::LltMessage { node, reliable: !datagram, payload });
        }
        true
    }

    /// A frame passed a link. What a slow reader has no room for is counted.
    pub(in crate::daemon) fn frame(&mut self, frame: &TracedFrame) {
        let queued = self.packer.queued_bytes();
        let (Some(lost), Phase::Open) = (&mut self.traced, self.phase) else { return };
        if queued > TRACE_QUEUE_BYTES {
            *lost = lost.saturating_add(frame.lost).saturating_add(1);
            return;
        }
        let lost = std::mem::take(lost).saturating_add(frame.lost);
        let frame = TracedFrame { lost, ..frame.clone() };
        self.packer.push(&Record::Frame(frame));
    }
}

const EBUSY: u32 = 16;
/// Bytes of frames that wait for a reader: a tenth of a second of a busy link of one Gbit/s would
/// be twelve times that, and the socket holds about as much again.
const TRACE_QUEUE_BYTES: usize = 1 << 20;
