//! Do any bytes on a direct connection make the reader of its messages panic, or mean something else in other parts?

#![no_main]

use std::io::{self, BufRead, ErrorKind, Read};

use dfm_direct::{Frame, MOST, PART, Reader, further};
use dfm_fuzz::write_seeds;
use libfuzzer_sys::fuzz_target;

// An input begins with how many bytes come at a time.
fuzz_target!(init: write_seeds("frame", SEEDS.iter().map(|seed| seed.to_vec())), |bytes: &[u8]| {
    let Some((&pieces, rest)) = bytes.split_first() else { return };
    let in_pieces = read(rest, usize::from(pieces) + 1);
    assert_eq!(in_pieces, read(rest, usize::MAX), "how they come makes no difference");
    let mut written = Vec::new();
    for frame in &in_pieces {
        assert!(frame.content.len() <= MOST, "more than a message may have");
        let (first, more) = frame.content.split_at(frame.content.len().min(PART));
        written.extend([&frame.what.head(frame.content.len())[..], first].concat());
        written.extend(more.chunks(PART).flat_map(|part| [&further(part.len())[..], part].concat()));
    }
    assert_eq!(read(&written, usize::MAX), in_pieces, "what is read is what would be written");
});

/// All frames before the first fault, if so many bytes come at a time.
fn read(bytes: &[u8], at_a_time: usize) -> Vec<Frame> {
    let mut reader = Reader::new(Vec::with_capacity);
    let mut found = Vec::new();
    for part in bytes.chunks(at_a_time.min(bytes.len()).max(1)) {
        let mut part = Part(part);
        loop {
            match reader.next(&mut part) {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}

/// What is there now; for more, one has to wait.
struct Part<'a>(&'a [u8]);

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Part<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.0.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(self.0) }
    }

    fn consume(&mut self, length: usize) {
        self.0 = &self.0[length..];
    }
}

// The last one is large here, where a message's parts are short, and has a small one in between.
const SEEDS: [&[u8]; 4] = [
    b"\x03\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01hi",
    b"\x10\x00\x00\x00\x03\x12\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x09abc",
    b"\x00\x00\x00\x00\x01\x20\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00x\x00\x00\x00\x00\x22\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x05\x00\x00\x00\x12\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x030123456789abcdef\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x02\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00gh",
];
