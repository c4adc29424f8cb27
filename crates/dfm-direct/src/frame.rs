//! What is one message on a direct connection, and how is it read again out of bytes that come in any parts?

use std::io::{self, ErrorKind, Read};

use bytes::Bytes;

/// The most bytes of one message: a piece of a large batch, which has at most 4 MiB, and what stands before it.
pub const MOST: usize = (4 << 20) + 4096;
/// The most bytes of an answer, or of why there is none.
pub const MOST_ANSWER: usize = 4096;
/// Bytes before a message's content: how many follow, what it is, which question it is of, its number.
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

/// What a frame is.
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

impl What {
    /// What stands before a content of so many bytes.
    pub fn head(self, length: usize) -> [u8; HEAD] {
        let (tag, question, number) = match self {
            Self::Said(kind, number) => (SAID + kind as u8, 0, number),
            Self::Asked(question, kind, number) => (ASKED + kind as u8, question, number),
            Self::Answered(question) => (ANSWERED, question, 0),
            Self::Unanswered(question) => (UNANSWERED, question, 0),
            Self::Refused(question) => (REFUSED, question, 0),
        };
        let mut head = [0; HEAD];
        // No content is longer than `MOST`, which `Connection` sees to.
        head[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        head[4] = tag;
        head[5..9].copy_from_slice(&question.to_be_bytes());
        head[9..].copy_from_slice(&number.to_be_bytes());
        head
    }

    /// What a head says, and how many bytes follow it.
    fn of(head: &[u8; HEAD]) -> Option<(Self, usize)> {
        let [l0, l1, l2, l3, tag, q0, q1, q2, q3, rest @ ..] = *head;
        let (question, number) = (u32::from_be_bytes([q0, q1, q2, q3]), u64::from_be_bytes(rest));
        let kind = match tag % ASKED {
            0 => Kind::Batch,
            1 => Kind::Beat,
            2 => Kind::Piece,
            _ => return None,
        };
        let what = match tag {
            SAID..ASKED if question == 0 => Self::Said(kind, number),
            ASKED..ANSWERED => Self::Asked(question, kind, number),
            ANSWERED if number == 0 => Self::Answered(question),
            UNANSWERED if number == 0 => Self::Unanswered(question),
            REFUSED if number == 0 => Self::Refused(question),
            _ => return None,
        };
        let most = if tag < ANSWERED { MOST } else { MOST_ANSWER };
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
        (length <= most).then_some((what, length))
    }
}

/// Reads frames out of what comes, in whatever parts.
#[derive(Default)]
pub struct Reader {
    head: [u8; HEAD],
    /// How many bytes of the head, or of the content once that is known, are there.
    there: usize,
    begun: Option<(What, Vec<u8>)>,
}

impl Reader {
    /// The next frame that is whole; none where the source would have to be waited for, or has ended.
    ///
    /// # Errors
    /// What came is no frame, or the source's own.
    pub fn next(&mut self, from: &mut impl Read) -> io::Result<Option<Frame>> {
        loop {
            let rest = match &mut self.begun {
                None => &mut self.head[self.there..],
                Some((_, content)) => &mut content[self.there..],
            };
            if !rest.is_empty() {
                match from.read(rest) {
                    Ok(0) => return Ok(None),
                    Ok(more) => self.there += more,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                    Err(error) => return Err(error),
                }
                continue;
            }
            self.there = 0;
            match self.begun.take() {
                Some((what, content)) => return Ok(Some(Frame { what, content: content.into() })),
                None => {
                    let no_frame = || io::Error::new(ErrorKind::InvalidData, "what came is no message of dfm");
                    let (what, length) = What::of(&self.head).ok_or_else(no_frame)?;
                    // Its pages become memory as it comes, whatever length is said.
                    self.begun = Some((what, vec![0; length]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
            let Some(part) = self.0.first_mut() else { return Ok(0) };
            if part.is_empty() {
                self.0.remove(0);
                return Err(ErrorKind::WouldBlock.into());
            }
            let length = part.len().min(into.len());
            into[..length].copy_from_slice(&part[..length]);
            part.drain(..length);
            Ok(length)
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_whatever_parts_it_comes(
            frames in prop::collection::vec((what(), prop::collection::vec(any::<u8>(), 0..200)), 0..8),
            size in 1usize..64,
        ) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (what, content) in frames {
                bytes.extend(what.head(content.len()));
                bytes.extend(&content);
                expected.push(Frame { what, content: content.into() });
            }
            let mut parts = Parts(bytes.chunks(size).map(<[u8]>::to_vec).collect());
            let (mut reader, mut found) = (Reader::default(), Vec::new());
            while !parts.0.is_empty() {
                while let Some(frame) = reader.next(&mut parts)? {
                    found.push(frame);
                }
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_take_more_memory_than_a_message_may_have(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::default();
            let _ = reader.next(&mut &bytes[..]);
            prop_assert!(reader.begun.is_none_or(|(_, content)| content.len() <= MOST));
        }
    }

    #[test]
    fn an_answer_is_short() {
        let mut head = What::Answered(1).head(MOST_ANSWER + 1);
        assert!(Reader::default().next(&mut &head[..]).is_err());
        head = What::Said(Kind::Piece, 1).head(MOST + 1);
        assert!(Reader::default().next(&mut &head[..]).is_err());
    }
}
