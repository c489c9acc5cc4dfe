//! One connection in flow: two sockets and what is on its way between them.
//!
//! ```text
//!            end of one side                 end of the other
//!   flowing -----------------> half closed -------------------> done
//!      |                            |
//!      +------ reset or error ------+----> broken: both sides are reset
//! ```
//! The pattern: a direction reads only while the other side takes what was read.
//! What it does not take waits, at most one buffer full, and nothing more is read
//! until it is gone; so a slow reader slows its writer, and holds no memory but
//! that. With edge-triggered events a readiness that was not used up has to be
//! remembered (`readable`): forgetting it stalls the connection for good.

use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::super::counters::Place;
use super::super::doubt::Doubt;
use super::super::{Begun, sockets};

/// Reads of one direction in one turn; then the others have theirs.
const TURN: usize = 8;

/// The sides, by number.
const CLIENT: usize = 0;
const SERVER: usize = 1;

/// A connection that is ready to flow.
pub struct Passage {
    pub client: TcpStream,
    pub server: TcpStream,
    /// Read from the client and not yet sent to the server.
    pub to_server: Vec<u8>,
    pub to_client: Vec<u8>,
    pub begun: Begun,
    /// Given back when the connection ends.
    pub place: Place,
}

impl Passage {
    /// Ends it so that both sides see a reset.
    pub fn reset(self) {
        sockets::reset(self.client);
        sockets::reset(self.server);
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    /// Until the next event.
    Wait,
    /// There is more to move, and it had its share of this turn.
    More,
    Done,
    Broken,
}

impl Course {
    /// Of both directions.
    fn and(self, other: Self) -> Self {
        if self == Self::Broken || other == Self::Broken {
            return Self::Broken;
        }
        if self == Self::More { self } else { other }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The reading side has ended; the end is passed on after what waits.
    Ended,
    Shut,
}

/// One direction: from the side of the same number to the other.
struct Flow {
    waiting: Vec<u8>,
    sent: usize,
    stage: Stage,
    readable: bool,
    /// The end is there to be read, so a short read is not the last.
    hung: bool,
}

impl Flow {
    fn new(waiting: Vec<u8>) -> Self {
        Self { waiting, sent: 0, stage: Stage::Open, readable: true, hung: false }
    }
}

/// See the module.
pub struct Pair {
    /// The client, the server.
    sides: [TcpStream; 2],
    flows: [Flow; 2],
    /// One side refused to take more: once the other direction is read out, it is over.
    broken: bool,
    doubt: Arc<Doubt>,
    pub begun: Begun,
    _place: Place,
}

impl Pair {
    /// Watches both sockets; `place` is the client's number in the set, the next the server's.
    ///
    /// # Errors
    /// The system is out of watches.
    pub fn begin(
        passage: Passage,
        set: &OwnedFd,
        place: u64,
        doubt: Arc<Doubt>,
    ) -> std::io::Result<Box<Self>> {
        let Passage { client, server, to_server, to_client, begun, place: held } = passage;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        for (side, socket) in [&client, &server].into_iter().enumerate() {
            epoll::add(set, socket, epoll::EventData::new_u64(place + side as u64), flags)?;
        }
        let flows = [Flow::new(to_server), Flow::new(to_client)];
        Ok(Box::new(Self { sides: [client, server], flows, broken: false, doubt, begun, _place: held }))
    }

    pub fn reset(self) {
        let [client, server] = self.sides;
        sockets::reset(client);
        sockets::reset(server);
    }

    /// Something happened to `side`.
    pub fn event(
        &mut self,
        side: usize,
        flags: EventFlags,
        buffer: &mut [u8],
        moved: &mut [u64; 2],
    ) -> Course {
        let over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let flow = &mut self.flows[side];
        flow.readable |= over || flags.contains(EventFlags::IN);
        flow.hung |= over;
        if flags.contains(EventFlags::ERR) && (flow.stage != Stage::Open || !flow.waiting.is_empty()) {
            return Course::Broken;
        }
        let mut course = self.drive(side, buffer, moved);
        // What waits for room on this side belongs to the other direction.
        if flags.contains(EventFlags::OUT) && !self.flows[1 - side].waiting.is_empty() {
            course = course.and(self.drive(1 - side, buffer, moved));
        }
        self.end_of(course)
    }

    /// Moves what there is, both ways.
    pub fn go_on(&mut self, buffer: &mut [u8], moved: &mut [u64; 2]) -> Course {
        let course = self.drive(0, buffer, moved).and(self.drive(1, buffer, moved));
        self.end_of(course)
    }

    fn end_of(&self, course: Course) -> Course {
        if course == Course::Broken || self.flows.iter().any(|flow| flow.stage != Stage::Shut) {
            return course;
        }
        if self.broken { Course::Broken } else { Course::Done }
    }

    fn drive(&mut self, from: usize, buffer: &mut [u8], moved: &mut [u64; 2]) -> Course {
        for _ in 0..TURN {
            if !self.flush(from) {
                return self.unsendable(from);
            }
            let flow = &mut self.flows[from];
            if !flow.waiting.is_empty() {
                return Course::Wait;
            }
            if flow.stage == Stage::Ended {
                flow.stage = Stage::Shut;
                // Fails when the other side is gone, which its own direction notices.
                let _ = self.sides[1 - from].shutdown(Shutdown::Write);
            }
            if flow.stage == Stage::Shut || !flow.readable {
                return Course::Wait;
            }
            match recv(&self.sides[from], &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => {
                    flow.stage = Stage::Ended;
                    if from == SERVER && self.flows[CLIENT].stage == Stage::Open {
                        self.doubt.raise();
                    }
                }
                Ok((count, _)) => {
                    flow.readable = flow.hung || count == buffer.len();
                    moved[from] += count as u64;
                    if !self.forward(from, &buffer[..count]) {
                        return self.unsendable(from);
                    }
                }
                Err(Errno::AGAIN) => flow.readable = false,
                Err(Errno::INTR) => {}
                Err(_) => {
                    if from == SERVER {
                        self.doubt.raise();
                    }
                    return Course::Broken;
                }
            }
        }
        Course::More
    }

    /// Sends `bytes` to the other side and keeps what it does not take. `false` when
    /// it takes nothing any more.
    fn forward(&mut self, from: usize, bytes: &[u8]) -> bool {
        let sent = match push(&self.sides[1 - from], bytes) {
            Ok(sent) => sent,
            Err(_) => return false,
        };
        if sent < bytes.len() {
            let flow = &mut self.flows[from];
            flow.waiting = bytes[sent..].to_vec();
            flow.sent = 0;
        }
        true
    }

    /// Sends what waits; `false` when the other side takes nothing any more.
    fn flush(&mut self, from: usize) -> bool {
        let flow = &mut self.flows[from];
        if flow.waiting.is_empty() {
            return true;
        }
        match push(&self.sides[1 - from], &flow.waiting[flow.sent..]) {
            Ok(sent) => flow.sent += sent,
            Err(_) => return false,
        }
        if flow.sent == flow.waiting.len() {
            flow.waiting = Vec::new();
        }
        true
    }

    /// The other side takes nothing any more, but what it said before (why it ends,
    /// for one) is still there: it is passed on, then both are reset.
    fn unsendable(&mut self, from: usize) -> Course {
        if self.broken {
            return Course::Broken;
        }
        self.broken = true;
        let flow = &mut self.flows[from];
        flow.waiting = Vec::new();
        flow.stage = Stage::Shut;
        let back = &mut self.flows[1 - from];
        back.readable = true;
        back.hung = true;
        Course::More
    }
}

/// How much of `bytes` the socket took, without waiting.
fn push(to: &TcpStream, bytes: &[u8]) -> Result<usize, Errno> {
    let mut sent = 0;
    while sent < bytes.len() {
        match send(to, &bytes[sent..], SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::AGAIN) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
