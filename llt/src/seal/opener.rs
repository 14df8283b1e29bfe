//! The receiving side of all links: which frames are to be believed.

use bytes::Bytes;

use super::cipher::Cipher;
use super::window::Window;
use super::{ClearHeader, KEYS_MAX, Key, Keyring, Unopened};
use crate::ids::{Id, Incarnation, LinkId, NodeId};
use crate::limits::LINKS_MAX;
use crate::wire::{BROADCAST_NODE, Parties};

/// Opens sealed frames and remembers which it has opened.
///
/// It remembers nothing of a frame before its tag was found right, so that forged frames cannot
/// make it grow, and of each node at most two incarnations: 2 MiB if 128 nodes had eight links and
/// a twin each.
#[derive(Debug)]
pub struct Opener {
    own: Id,
    /// By node id: the incarnations that have been heard, oldest first.
    lives: Vec<Vec<Life>>,
}

/// One incarnation of a node.
#[derive(Debug)]
struct Life {
    incarnation: Incarnation,
    /// By the sender's number of the link.
    paths: [Option<Box<Path>>; LINKS_MAX as usize],
}

/// One incarnation on one of its links.
#[derive(Debug)]
struct Path {
    /// By place of the key in the keyring; derived when first needed.
    ciphers: [Option<Cipher>; KEYS_MAX],
    window: Window,
}

/// The newest incarnation, and an older one that may be its twin: which of them is to be heeded
/// takes LLT a heartbeat or two to find out, and it has to hear both for that.
const LIVES_MAX: usize = 2;

impl Opener {
    /// That of node `own`.
    pub const fn new(own: Id) -> Self {
        Self { own, lives: Vec::new() }
    }

    /// The plain frame in one that arrived on our `link`. `heeded` tells which incarnation of a node
    /// is the one to listen to so far; older ones are never opened. With a change of `keys` comes
    /// a [`rekey`](Opener::rekey).
    ///
    /// # Errors
    /// Why it is not opened, see [`Unopened`].
    pub fn open(
        &mut self,
        keys: &Keyring,
        link: LinkId,
        heeded: impl FnOnce(NodeId) -> Incarnation,
        frame: &[u8],
    ) -> Result<Bytes, Unopened> {
        let clear = ClearHeader::check(frame)?;
        let (sender, slot, key) = self.address(keys, &clear)?;
        if sender == self.own {
            // What left here comes back in broadcasts; it is worth a look only on another link.
            if clear.link == link {
                return Err(Unopened::Loopback);
            }
            return open(&Cipher::derive(key, sender, clear.link), &clear, frame);
        }
        let heeded = heeded(sender.node);
        if sender.incarnation < heeded {
            return Err(Unopened::BadGeneration);
        }
        let lives = self.lives.get_mut(sender.node.index()).map_or(&mut [][..], Vec::as_mut_slice);
        let newest = lives.last().map_or(Incarnation(0), |life| life.incarnation);
        let life = lives.iter_mut().find(|life| life.incarnation == sender.incarnation);
        let path = life.and_then(|life| life.paths[clear.link.index()].as_mut());
        if let Some(path) = path {
            let cipher =
                path.ciphers[slot].get_or_insert_with(|| Cipher::derive(key, sender, clear.link));
            let plain = open(cipher, &clear, frame)?;
            return if path.window.take(clear.count) { Ok(plain) } else { Err(Unopened::Replayed) };
        }
        // What was recorded of an older life must not find an empty window.
        if sender.incarnation < newest && sender.incarnation != heeded {
            return Err(Unopened::BadGeneration);
        }
        let cipher = Cipher::derive(key, sender, clear.link);
        let plain = open(&cipher, &clear, frame)?;
        let mut path =
            Box::new(Path { ciphers: [const { None }; KEYS_MAX], window: Window::new() });
        path.window.take(clear.count);
        path.ciphers[slot] = Some(cipher);
        self.life(sender, heeded).paths[clear.link.index()] = Some(path);
        Ok(plain)
    }

    /// Who sent it, and which key it claims, if it is for us.
    fn address<'a>(
        &self,
        keys: &'a Keyring,
        clear: &ClearHeader,
    ) -> Result<(Id, usize, &'a Key), Unopened> {
        let node = NodeId::new(clear.src).ok_or(Unopened::BadSource)?;
        if clear.incarnation == Incarnation(0) {
            return Err(Unopened::BadSource);
        }
        if clear.dst != BROADCAST_NODE && clear.dst != self.own.node.get() {
            return Err(Unopened::BadDest);
        }
        let (slot, key) = keys.find(clear.key).ok_or(Unopened::UnknownKey)?;
        Ok((Id { node, incarnation: clear.incarnation }, slot, key))
    }

    /// The place of an incarnation whose tag was right; others may have to make room.
    fn life(&mut self, sender: Id, heeded: Incarnation) -> &mut Life {
        if self.lives.len() <= sender.node.index() {
            self.lives.resize_with(sender.node.index() + 1, Vec::new);
        }
        let lives = &mut self.lives[sender.node.index()];
        lives.retain(|life| life.incarnation >= heeded);
        let at = match lives.binary_search_by_key(&sender.incarnation, |life| life.incarnation) {
            Ok(at) => at,
            Err(at) => {
                let paths = [const { None }; LINKS_MAX as usize];
                lives.insert(at, Life { incarnation: sender.incarnation, paths });
                if lives.len() > LIVES_MAX {
                    // Neither the newest nor the one that is heeded.
                    lives.remove(usize::from(lives[0].incarnation == heeded));
                }
                // Nothing newer than it was removed, and at most one before it.
                at.min(lives.len() - 1)
            }
        };
        &mut lives[at]
    }

    /// The keyring is another one; what was opened under any key stays known.
    pub fn rekey(&mut self) {
        for path in self.lives.iter_mut().flatten().flat_map(|life| &mut life.paths).flatten() {
            path.ciphers = [const { None }; KEYS_MAX];
        }
    }

    /// Windows held; for tests of the bound.
    #[cfg(test)]
    pub(super) fn windows(&self) -> usize {
        self.lives.iter().flatten().flat_map(|life| &life.paths).flatten().count()
    }
}

/// The plain frame in a sealed one, whatever its receiver, its age, and whether it was opened before:
/// for whoever watches frames.
///
/// # Errors
/// `BadSource`, `BadTag`, `Malformed`, `NotSealed`, `UnknownKey` or `Version`.
pub fn peek(keys: &Keyring, frame: &[u8]) -> Result<Bytes, Unopened> {
    let clear = ClearHeader::check(frame)?;
    let node = NodeId::new(clear.src).ok_or(Unopened::BadSource)?;
    let (_, key) = keys.find(clear.key).ok_or(Unopened::UnknownKey)?;
    let sender = Id { node, incarnation: clear.incarnation };
    open(&Cipher::derive(key, sender, clear.link), &clear, frame)
}

/// A key opens whatever its holders seal: the frame inside must be of him who sealed it.
fn open(cipher: &Cipher, clear: &ClearHeader, frame: &[u8]) -> Result<Bytes, Unopened> {
    let plain = cipher.open(clear, frame).ok_or(Unopened::BadTag)?;
    let outside = Parties { src: clear.src, dst: clear.dst, src_incarnation: clear.incarnation };
    if Parties::of(&plain) == Some(outside) { Ok(plain) } else { Err(Unopened::Malformed) }
}
