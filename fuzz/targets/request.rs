//! Do any bytes of whoever connects to the page of `dfm ui` make what reads requests panic, or take more than it may?

#![no_main]

// The command is no library; its reader needs nothing else of it.
#[allow(dead_code)]
#[path = "../../crates/dfm-cli/src/ui/http.rs"]
mod http;

use dfm_fuzz::write_seeds;
use libfuzzer_sys::fuzz_target;

// An input begins with how many bytes come at a time.
fuzz_target!(init: write_seeds("request", SEEDS.map(|seed| [&[7][..], seed.as_bytes()].concat())), |bytes: &[u8]| {
    let Some((&pieces, rest)) = bytes.split_first() else { return };
    let in_pieces = read(rest, usize::from(pieces) + 1);
    let at_once = read(rest, usize::MAX);
    assert_eq!(in_pieces, at_once, "how it comes makes no difference");
});

/// What is read of a request, or the status of the answer to one that is refused, if so many bytes come at a time.
fn read(bytes: &[u8], at_a_time: usize) -> Result<String, Option<u16>> {
    let mut left = bytes;
    let mut given = 0;
    let request = http::read_from(|part| {
        let count = left.len().min(part.len()).min(at_a_time);
        let (now, later) = left.split_at(count);
        part[..count].copy_from_slice(now);
        left = later;
        given += count;
        Ok(count)
    });
    assert!(given <= (16 << 10) + (256 << 10), "more than a request may have");
    let request = request.map_err(|answer| answer.map(|answer| answer.status))?;
    let length = request.header("content-length").map_or(0, |length| length.parse().expect("it was read"));
    assert_eq!(request.body.len(), length);
    assert!(request.headers.len() <= 64 && !request.path.contains('?'));
    Ok(format!("{request:?}"))
}

const SEEDS: [&str; 3] = [
    "GET /api/jobs/small/a-1?seen=17-true HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nAuthorization: Bearer 00\r\n\r\n",
    "POST /api/submit HTTP/1.1\r\nHost: localhost:4000\r\nContent-Length: 2\r\nOrigin: http://localhost:4000\r\n\r\n{}",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nTransfer-Encoding: chunked\r\nSec-Fetch-Dest: document\r\n\r\n",
];
