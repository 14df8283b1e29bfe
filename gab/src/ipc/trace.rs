//! A frame that passed a link, as gabd tells of it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use llt::limits::MTU_MAX;
use llt::{LinkAddr, LinkId};

use super::Problem;

/// A frame that passed a link of a gabd. As a record:
///
/// ```text
///  0      1           2              3 ...
///  +------+-----------+--------------+---------+------+------+-------
///  | link | direction | address kind | address | time | lost | frame
///  +------+-----------+--------------+---------+------+------+-------
/// ```
///
/// Direction: 0 received, 1 sent. The address (of whom it came from, or goes to): kind 1 Ethernet,
/// 6 bytes; 2 IPv4, 4 bytes and the port u16; 3 IPv6, 16 bytes, the scope u32 and the port u16.
/// Time u64, in nanoseconds since 1970; lost u32: frames that were not told of since the one
/// before, because the reader was slow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TracedFrame {
    /// The link of that gabd.
    pub link: LinkId,
    /// Sent by that gabd, else received.
    pub outgoing: bool,
    /// Where it came from, or goes to.
    pub addr: LinkAddr,
    /// When, in nanoseconds since 1970.
    pub time_ns: u64,
    /// Frames that were not told of since the one before.
    pub lost: u32,
    /// The frame, header included; at most [`MTU_MAX`] bytes are kept.
    pub frame: Bytes,
}

impl TracedFrame {
    pub(super) fn encoded_len(&self) -> usize {
        3 + address_len(&self.addr) + 12 + self.frame.len().min(MTU_MAX)
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.link.get());
        out.put_u8(u8::from(self.outgoing));
        match self.addr {
            LinkAddr::Mac(mac) => {
                out.put_u8(1);
                out.put_slice(&mac);
            }
            LinkAddr::V4 { ip, port } => {
                out.put_u8(2);
                out.put_slice(&ip);
                out.put_u16(port);
            }
            LinkAddr::V6 { ip, scope, port } => {
                out.put_u8(3);
                out.put_slice(&ip);
                out.put_u32(scope);
                out.put_u16(port);
            }
        }
        out.put_u64(self.time_ns);
        out.put_u32(self.lost);
        out.put_slice(&self.frame[..self.frame.len().min(MTU_MAX)]);
    }

    pub(super) fn decode(mut body: Bytes) -> Result<Self, Problem> {
        let wrong = |what| Problem::Frame { what };
        if body.len() < 3 {
            return Err(wrong("less than a head"));
        }
        let (link, direction, kind) = (body.get_u8(), body.get_u8(), body.get_u8());
        let link = LinkId::new(link).ok_or_else(|| wrong("a link above 7"))?;
        if direction > 1 {
            return Err(wrong("a direction that is neither 0 nor 1"));
        }
        let len = match kind {
            1 | 2 => 6,
            3 => 22,
            _ => return Err(wrong("an address of a kind that is not known")),
        };
        if body.len() < len + 12 || body.len() > len + 12 + MTU_MAX {
            return Err(wrong("a length that does not fit"));
        }
        let addr = match kind {
            1 => LinkAddr::Mac(take(&mut body)),
            2 => LinkAddr::V4 { ip: take(&mut body), port: body.get_u16() },
            _ => LinkAddr::V6 { ip: take(&mut body), scope: body.get_u32(), port: body.get_u16() },
        };
        let (time_ns, lost) = (body.get_u64(), body.get_u32());
        Ok(Self { link, outgoing: direction == 1, addr, time_ns, lost, frame: body })
    }
}

const fn address_len(addr: &LinkAddr) -> usize {
    match addr {
        LinkAddr::Mac(_) | LinkAddr::V4 { .. } => 6,
        LinkAddr::V6 { .. } => 22,
    }
}

/// The length was checked before.
fn take<const N: usize>(body: &mut Bytes) -> [u8; N] {
    let mut out = [0; N];
    body.copy_to_slice(&mut out);
    out
}
