//! What is one message on a direct connection, and how is it read again out of bytes that come in any parts?
//!
//! A message is one frame, or, where it is large, a frame with its first part and one for each further part. Between
//! these may be the frames of small messages, and of no other large one.

use std::io::{self, BufRead, ErrorKind};

use bytes::Bytes;

/// The most bytes of one message: a piece of a large batch, which has at most 4 MiB, and what stands before it.
pub const MOST: usize = (4 << 20) + 4096;
/// The most bytes of an answer, or of why there is none.
pub const MOST_ANSWER: usize = 4096;
/// Bytes of a message's content after which others may come before the rest of it. What is not longer is small: all that
/// a lane sends at once, with what stands before it. A fuzzer's inputs are short.
pub const PART: usize = if cfg!(fuzzing) { 16 } else { (64 << 10) + 4096 };
/// Bytes at a frame's beginning: how many the message's content has, or the further part, what it is, which question it
/// is of, its number.
pub const HEAD: usize = 17;

/// What a lane's message is; the lane says what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Packets that follow those before.
    Batch,
    /// Only what has come the other way.
    Beat,
    /// A part of a batch that is large.
    Piece,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A lane's message of this kind and number, which nobody answers.
    Said(Kind, u64),
    /// The same, to be answered under this number of a question.
    Asked(u32, Kind, u64),
    /// The answer to that question.
    Answered(u32),
    /// Why there is none: a text.
    Unanswered(u32),
    /// The same, where it makes no sense to ask again.
    Refused(u32),
}

/// One message on a direct connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub what: What,
    /// Its content.
    pub content: Bytes,
}

const SAID: u8 = 0;
const ASKED: u8 = 16;
const ANSWERED: u8 = 32;
const UNANSWERED: u8 = 33;
const REFUSED: u8 = 34;
const FURTHER: u8 = 48;

impl What {
    /// The beginning of the frame of a message whose content has so many bytes.
    pub fn head(self, length: usize) -> [u8; HEAD] {
        let (tag, question, number) = match self {
            Self::Said(kind, number) => (SAID + kind as u8, 0, number),
            Self::Asked(question, kind, number) => (ASKED + kind as u8, question, number),
            Self::Answered(question) => (ANSWERED, question, 0),
            Self::Unanswered(question) => (UNANSWERED, question, 0),
            Self::Refused(question) => (REFUSED, question, 0),
        };
        head_of(tag, question, number, length)
    }
}

/// The beginning of the frame of a further part, which has so many bytes.
pub fn further(length: usize) -> [u8; HEAD] {
    head_of(FURTHER, 0, 0, length)
}

fn head_of(tag: u8, question: u32, number: u64, length: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    // No content is longer than `MOST`, which `Connection` sees to.
    head[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    head[4] = tag;
    head[5..9].copy_from_slice(&question.to_be_bytes());
    head[9..].copy_from_slice(&number.to_be_bytes());
    head
}

/// What the beginning of a frame says.
enum Begins {
    /// A message, whose content has so many bytes.
    Message(What, usize),
    /// A further part, of so many bytes.
    Further(usize),
}

impl Begins {
    fn of(head: &[u8; HEAD]) -> Option<Self> {
        let [l0, l1, l2, l3, tag, q0, q1, q2, q3, rest @ ..] = *head;
        let (question, number) = (u32::from_be_bytes([q0, q1, q2, q3]), u64::from_be_bytes(rest));
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
        if tag == FURTHER {
            return (question == 0 && number == 0).then_some(Self::Further(length));
        }
        let kind = match tag % ASKED {
            0 => Kind::Batch,
            1 => Kind::Beat,
            2 => Kind::Piece,
            _ => return None,
        };
        let what = match tag {
            SAID..ASKED if question == 0 => What::Said(kind, number),
            ASKED..ANSWERED => What::Asked(question, kind, number),
            ANSWERED if number == 0 => What::Answered(question),
            UNANSWERED if number == 0 => What::Unanswered(question),
            REFUSED if number == 0 => What::Refused(question),
            _ => return None,
        };
        let most = if tag < ANSWERED { MOST } else { MOST_ANSWER };
        (length <= most).then_some(Self::Message(what, length))
    }
}

/// Reads messages out of what comes, in whatever parts.
pub struct Reader {
    /// Gives the memory for the content of a large message, with room for so many bytes.
    room: fn(usize) -> Vec<u8>,
    head: [u8; HEAD],
    /// How many bytes of a frame's beginning are there.
    there: usize,
    /// That of which a part is read.
    reading: Option<Partial>,
    /// The large one of which more parts are to come.
    large: Option<Partial>,
}

/// A message of which not all is there.
struct Partial {
    what: What,
    content: Vec<u8>,
    /// How many bytes the content will have.
    length: usize,
    /// How many it has when the part that is read is there.
    until: usize,
}

impl Reader {
    /// Nothing is read yet. `room` gives empty memory with room for so many bytes, for the content of a large message.
    pub fn new(room: fn(usize) -> Vec<u8>) -> Self {
        Self { room, head: [0; HEAD], there: 0, reading: None, large: None }
    }

    /// The next message that is whole; none where the source would have to be waited for, or has ended.
    ///
    /// # Errors
    /// What came is no frame, or none that can come now, or the source's own.
    pub fn next(&mut self, from: &mut impl BufRead) -> io::Result<Option<Frame>> {
        loop {
            let missing = match &self.reading {
                None => HEAD - self.there,
                Some(one) => one.until - one.content.len(),
            };
            if missing > 0 {
                let came = match from.fill_buf() {
                    Ok(came) => &came[..came.len().min(missing)],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                    Err(error) => return Err(error),
                };
                if came.is_empty() {
                    return Ok(None);
                }
                match &mut self.reading {
                    None => {
                        self.head[self.there..][..came.len()].copy_from_slice(came);
                        self.there += came.len();
                    }
                    Some(one) => one.content.extend_from_slice(came),
                }
                let length = came.len();
                from.consume(length);
                continue;
            }
            match self.reading.take() {
                Some(one) if one.content.len() < one.length => self.large = Some(one),
                Some(Partial { what, content, .. }) => return Ok(Some(Frame { what, content: content.into() })),
                None => {
                    let no_frame = || io::Error::new(ErrorKind::InvalidData, "what came is no message of dfm");
                    self.there = 0;
                    self.reading = Some(self.begun().ok_or_else(no_frame)?);
                }
            }
        }
    }

    /// What a frame belongs to whose beginning is there.
    fn begun(&mut self) -> Option<Partial> {
        match Begins::of(&self.head)? {
            Begins::Message(_, length) if length > PART && self.large.is_some() => None,
            Begins::Message(what, length) => {
                // Its pages become memory as it comes, whatever length is said.
                let content = if length > PART { (self.room)(length) } else { Vec::with_capacity(length) };
                Some(Partial { what, content, length, until: length.min(PART) })
            }
            Begins::Further(length) => {
                let mut large = self.large.take()?;
                let there = large.content.len();
                large.until = there + length;
                (length == (large.length - there).min(PART)).then_some(large)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn what() -> impl Strategy<Value = What> {
        let kind = || prop_oneof![Just(Kind::Batch), Just(Kind::Beat), Just(Kind::Piece)];
        prop_oneof![
            (kind(), any::<u64>()).prop_map(|(kind, number)| What::Said(kind, number)),
            (any::<u32>(), kind(), any::<u64>()).prop_map(|(of, kind, number)| What::Asked(of, kind, number)),
            any::<u32>().prop_map(What::Answered),
            any::<u32>().prop_map(What::Unanswered),
            any::<u32>().prop_map(What::Refused),
        ]
    }

    /// A source that has no more for now after each part.
    struct Parts(Vec<Vec<u8>>);

    impl Read for Parts {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.fill_buf()?.read(into)?;
            self.consume(length);
            Ok(length)
        }
    }

    impl BufRead for Parts {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            if self.0.first().is_some_and(Vec::is_empty) {
                self.0.remove(0);
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(self.0.first().map_or(&[], Vec::as_slice))
        }

        fn consume(&mut self, length: usize) {
            if let Some(part) = self.0.first_mut() {
                part.drain(..length);
            }
        }
    }

    fn reader() -> Reader {
        Reader::new(Vec::with_capacity)
    }

    /// Messages' contents, of which some are large.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let size = prop_oneof![3 => 0..200usize, 1 => PART - 1..PART + 2, 1 => PART..4 * PART];
        (size, any::<u8>()).prop_map(|(size, first)| (0..size).map(|at| first.wrapping_add(at as u8)).collect())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_whatever_parts_it_comes(
            frames in prop::collection::vec((what(), content()), 0..8),
            size in 1usize..2 * PART,
        ) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (what, content) in frames {
                // An answer is none that is so long.
                let what = if content.len() > MOST_ANSWER { What::Said(Kind::Piece, 1) } else { what };
                let (first, rest) = content.split_at(content.len().min(PART));
                bytes.extend(what.head(content.len()));
                bytes.extend(first);
                for part in rest.chunks(PART) {
                    // Small ones come between.
                    bytes.extend(What::Said(Kind::Beat, 7).head(0));
                    expected.push(Frame { what: What::Said(Kind::Beat, 7), content: Bytes::new() });
                    bytes.extend(further(part.len()));
                    bytes.extend(part);
                }
                expected.push(Frame { what, content: content.into() });
            }
            let mut parts = Parts(bytes.chunks(size).map(<[u8]>::to_vec).collect());
            let (mut reader, mut found) = (reader(), Vec::new());
            while !parts.0.is_empty() {
                while let Some(frame) = reader.next(&mut parts)? {
                    found.push(frame);
                }
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_take_more_memory_than_a_message_may_have(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = reader();
            let _ = reader.next(&mut &bytes[..]);
            prop_assert!(reader.reading.is_none_or(|one| one.content.capacity() <= MOST));
            prop_assert!(reader.large.is_none_or(|one| one.content.capacity() <= MOST));
        }
    }

    #[test]
    fn an_answer_is_short() {
        let mut head = What::Answered(1).head(MOST_ANSWER + 1);
        assert!(reader().next(&mut &head[..]).is_err());
        head = What::Said(Kind::Piece, 1).head(MOST + 1);
        assert!(reader().next(&mut &head[..]).is_err());
    }
    #[test]
    fn there_is_one_large_message_at_a_time_and_its_parts_have_their_length() {
        let begun = [&What::Said(Kind::Piece, 1).head(2 * PART)[..], &vec![0; PART]].concat();
        let after = |more: &[u8]| reader().next(&mut &[&begun, more].concat()[..]);
        assert!(after(&further(PART)).is_ok());
        assert!(after(&further(PART - 1)).is_err());
        assert!(after(&further(PART + 1)).is_err());
        assert!(after(&further(0)).is_err());
        assert!(after(&What::Said(Kind::Piece, 2).head(PART + 1)).is_err());
        assert!(after(&What::Said(Kind::Piece, 2).head(PART)).is_ok());
        assert!(reader().next(&mut &further(0)[..]).is_err());
        let whole = [&further(PART)[..], &vec![0; PART], &further(PART)].concat();
        let mut reader = reader();
        let all = [&begun[..], &whole].concat();
        let mut source = &all[..];
        assert!(reader.next(&mut source).is_ok_and(|found| found.is_some()));
        assert!(reader.next(&mut source).is_err());
    }
}
