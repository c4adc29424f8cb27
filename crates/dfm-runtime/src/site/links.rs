//! How do packets get from a site to another and back, by socket or by whatever the host has?

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use dfm_wire::{Buffer, Encoded, Message, ask_for_huge_pages};

use super::Site;
use super::shared::{Carried, Piped, Sharing};
use super::values::values;
use crate::MEMORY_POOL;
use crate::host::{Event, Host};
use crate::link::{Filled, Link};

/// A site that this one has a link to.
pub(super) struct Peer {
    pub(super) carrier: Carrier,
    /// Tells this link from an earlier one to the same site.
    number: u64,
    /// Segments lent to this peer.
    pub(super) lent: HashSet<u64>,
}

/// How packets get to a peer.
pub(super) enum Carrier {
    /// Through a socket, with large buffers beside them in shared memory.
    Socket(Link),
    /// Through whatever the host has: it takes them here, in their order, and brings the others.
    Pipe(Vec<Piped>),
}

impl<H: Host> Site<H> {
    /// Takes over a socket to another site. An earlier link to it is read to its end first.
    ///
    /// # Errors
    /// The system's, for an unusable socket.
    pub fn add_link(&mut self, site: &str, socket: OwnedFd) -> io::Result<()> {
        if self.links.contains_key(site) {
            self.readable(site);
            self.close(site);
        }
        self.insert_link(site, Carrier::Socket(Link::new(socket)?));
        Ok(())
    }

    /// Makes a link to another site whose packets the host carries: it gets them from [`Site::take_packets`] and gives
    /// what came to [`Site::receive_packet`], each in order and once.
    pub fn add_pipe(&mut self, site: &str) {
        self.close(site);
        self.insert_link(site, Carrier::Pipe(vec![]));
    }

    fn insert_link(&mut self, site: &str, carrier: Carrier) {
        self.links_made += 1;
        self.links.insert(site.to_owned(), Peer { carrier, number: self.links_made, lent: HashSet::new() });
    }

    /// From now on, of what goes to several sites by pipes at the same time only one packet has the large parts.
    pub fn share_parts(&mut self) {
        self.shares = true;
    }

    pub(super) fn begin_sharing(&mut self) {
        self.sharing = self.shares.then(Sharing::default);
    }

    /// The packets to carry. Those for the site itself are its record.
    pub fn take_packets(&mut self) -> Vec<Carried> {
        // What is kept must not know less than what is sent.
        let record = self.take_record().map(|bytes| Carried { to: self.name.clone(), bytes, holes: vec![] });
        let mut taken: Vec<Carried> = record.collect();
        let mut places = HashMap::new();
        let piped = self.links.iter_mut().filter_map(|(site, peer)| match &mut peer.carrier {
            Carrier::Socket(_) => None,
            Carrier::Pipe(packets) => Some((site.as_str(), mem::take(packets))),
        });
        for (site, packets) in piped.chain([("", mem::take(&mut self.stranded))]) {
            for Piped { number, bytes, holes } in packets {
                places.insert(number, taken.len());
                taken.push(Carried { to: site.to_owned(), bytes, holes });
            }
        }
        for hole in taken.iter_mut().flat_map(|packet| &mut packet.holes) {
            hole.packet = places[&hole.packet];
        }
        taken
    }

    /// Acts on a packet that the host carried here from `site`. One from a site without a link is dropped.
    pub fn receive_packet(&mut self, site: &str, packet: &[u8]) {
        let Some(peer) = self.links.get(site) else { return };
        match Message::from_bytes(packet) {
            Ok(message) => self.receive(site, peer.number, message, vec![]),
            Err(_) => self.close(site),
        }
    }

    /// Ends the link to a site that the host cannot reach any more.
    pub fn close_link(&mut self, site: &str) {
        self.close(site);
    }

    /// The sockets to wait on: the site that each leads to, the link's number, the socket. A descriptor's number may
    /// serve again for a later link, a link's never does.
    pub fn sockets(&self) -> impl Iterator<Item = (&str, u64, BorrowedFd<'_>)> {
        self.links.iter().filter_map(|(site, peer)| match &peer.carrier {
            Carrier::Socket(link) => Some((site.as_str(), peer.number, link.socket())),
            Carrier::Pipe(_) => None,
        })
    }

    /// Writes what the sockets take; the sites whose sockets take no more for now. `None` if links were at their end:
    /// what follows from that is due first, and is to be written too.
    pub fn flush(&mut self) -> Option<Vec<String>> {
        for (number, id) in self.released.take() {
            let lent = self.links.values_mut().find(|peer| peer.number == number);
            if let Some(Carrier::Socket(link)) = lent.map(|peer| &mut peer.carrier) {
                link.push(&Message::Release(id).to_bytes(), vec![]);
            }
        }
        let (mut full, mut gone) = (vec![], vec![]);
        for (site, peer) in &mut self.links {
            let Carrier::Socket(link) = &mut peer.carrier else { continue };
            match link.flush() {
                Ok(true) => {}
                Ok(false) => full.push(site.clone()),
                Err(_) => gone.push(site.clone()),
            }
        }
        // A link that cannot be written to is at its end, after what it still holds. Nobody may be told by the system
        // that there is something to read, as where its descriptor was closed from outside.
        for site in &gone {
            self.readable(site);
            self.close(site);
        }
        gone.is_empty().then_some(full)
    }

    /// Reads what a link holds and acts on it.
    pub fn readable(&mut self, site: &str) {
        let Some(number) = self.links.get(site).map(|peer| peer.number) else { return };
        while let Some(link) = self.socket(site, number) {
            let filled = link.fill();
            while let Some(packet) = self.socket(site, number).and_then(Link::next_packet) {
                let Ok(message) = Message::from_bytes(&packet.payload) else {
                    self.close(site);
                    return;
                };
                self.receive(site, number, message, packet.files.into());
            }
            match filled {
                Ok(Filled::Partly) => continue,
                Ok(Filled::Whole) => return,
                Ok(Filled::Gone) => {}
                Err(error) => {
                    let text = format!("site '{}' gives up its link to '{site}': {error}", self.name);
                    self.events.push(Event::Warned(text));
                }
            }
            if self.socket(site, number).is_some() {
                self.close(site);
            }
            return;
        }
    }

    /// The socket to a site, if its link still is the one with this number.
    fn socket(&mut self, site: &str, number: u64) -> Option<&mut Link> {
        match &mut self.links.get_mut(site).filter(|peer| peer.number == number)?.carrier {
            Carrier::Socket(link) => Some(link),
            Carrier::Pipe(_) => None,
        }
    }

    /// Drops a link whose other end is gone. Home asks its host for the cause before it says what was lost.
    fn close(&mut self, site: &str) {
        let Some(peer) = self.links.remove(site) else { return };
        for id in peer.lent {
            self.pool.release(id);
        }
        if let (Carrier::Pipe(packets), true) = (peer.carrier, self.shares) {
            self.stranded.extend(packets);
        }
        self.events.push(Event::Closed(site.to_owned()));
        if self.home.is_some() {
            self.lose(site, &format!("the process of site '{site}' ended"));
        }
    }

    pub(super) fn send_home(&mut self, message: &Message) {
        if let Some(home) = self.home.clone() {
            self.push(&home, message, vec![]);
        }
    }

    /// Queues a message. One to a site that is gone is dropped: whoever waits for it learns of the loss by itself.
    pub(super) fn push(&mut self, site: &str, message: &Message, files: Vec<Arc<OwnedFd>>) {
        let Some(peer) = self.links.get_mut(site) else { return };
        let had = self.sharing.as_ref().map_or(0, |sharing| sharing.had(values(message)));
        let mut memory = MEMORY_POOL.take(room(message) - had);
        ask_for_huge_pages(memory.spare_capacity_mut());
        let packets = match &mut peer.carrier {
            Carrier::Pipe(packets) => packets,
            Carrier::Socket(link) => {
                message.write(&mut memory);
                return link.push(&memory, files);
            }
        };
        packets.push(match &mut self.sharing {
            None => {
                message.write(&mut memory);
                Piped { number: self.piped, bytes: memory, holes: vec![] }
            }
            Some(sharing) => {
                let mut writing = sharing.begin(self.piped, values(message), memory);
                message.write(&mut writing);
                writing.end()
            }
        });
        self.piped += 1;
    }
}

/// As many bytes as a message may need, values that travel in it included.
fn room(message: &Message) -> usize {
    let buffer = |buffer: &Buffer| match buffer {
        Buffer::Inline(bytes) => bytes.len() + 64,
        Buffer::Segment { .. } => 64,
    };
    let value = |value: &Encoded| value.head.len() + value.buffers.iter().map(buffer).sum::<usize>();
    values(message).map(value).sum::<usize>() + 256
}
