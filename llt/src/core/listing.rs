//! What listings show that concerns no single peer.

use super::Llt;

impl Llt {
    /// Bit n: LLT port n has a client here.
    pub fn open_ports(&self) -> u32 {
        self.context.open_ports
    }

    /// Bit n: the client of LLT port n here does not keep up.
    pub fn busy_ports(&self) -> u32 {
        self.context.busy_ports
    }
}
