//! How is a browser's request read, and answered, within bounds?
//!
//! One request a connection: a page on the loopback needs no more, and nothing is left of one request to the next.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The most bytes of a request's head, and of its body.
const MOST_HEAD: usize = 16 << 10;
const MOST_BODY: usize = 256 << 10;
/// The most headers.
const MOST_HEADERS: usize = 64;
/// A request has to be here, and an answer to be taken, within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What nobody on the page may do, in every answer: ask another place for anything, run what is not of dfm's own files,
/// be shown within another page.
const HEADERS: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
connect-src 'self'; img-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
X-Content-Type-Options: nosniff\r\n\
X-Frame-Options: DENY\r\n\
Referrer-Policy: no-referrer\r\n\
Cross-Origin-Opener-Policy: same-origin\r\n\
Cross-Origin-Resource-Policy: same-origin\r\n\
Cache-Control: no-store\r\n\
Connection: close\r\n";

/// A request that was read whole.
#[derive(Debug, Default)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Without what stands behind a `?`.
    pub path: String,
    /// What stands behind it.
    pub query: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// As long as it says.
    pub body: Vec<u8>,
}

impl Request {
    /// A header that stands there once; `None` also for one that stands there twice, as nobody knows which is meant.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().filter(|_| found.next().is_none()).map(|(_, value)| value.as_str())
    }

    /// Whether it has a header, however often.
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known == name)
    }
}

/// What is answered.
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// Of the body.
    pub kind: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A file of the page.
    pub fn file(kind: &'static str, text: &str) -> Self {
        Self { status: 200, kind, body: text.as_bytes().to_vec() }
    }

    /// What the page asked for.
    pub fn json(value: &serde_json::Value) -> Self {
        Self { status: 200, kind: "application/json", body: value.to_string().into_bytes() }
    }

    /// Why there is no other answer, and what to do.
    pub fn refused(status: u16, why: &str) -> Self {
        Self { status, ..Self::json(&serde_json::json!({"error": why})) }
    }
}

/// Reads a request.
///
/// # Errors
/// What to answer to one that cannot be read; or nothing, if nobody is there any more.
pub fn read(mut stream: &TcpStream) -> Result<Request, Option<Answer>> {
    let deadline = Instant::now() + PATIENCE;
    read_from(|part| {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        stream.read(part)
    })
}

/// Reads a request from what each call of `next` puts into a buffer, as `Read::read` does.
///
/// # Errors
/// As `read`.
pub fn read_from(mut next: impl FnMut(&mut [u8]) -> io::Result<usize>) -> Result<Request, Option<Answer>> {
    let mut text = vec![];
    let (mut request, head) = loop {
        if let Some(read) = parse(&text).map_err(|why| Some(Answer::refused(400, &why)))? {
            break read;
        }
        if text.len() >= MOST_HEAD {
            return Err(Some(Answer::refused(431, "the request's head is too long")));
        }
        more(&mut next, &mut text, MOST_HEAD).map_err(|_| None)?;
    };
    if request.has("transfer-encoding") {
        return Err(Some(Answer::refused(501, "a request has to say how long it is")));
    }
    let length = match (request.has("content-length"), request.header("content-length").map(str::parse::<usize>)) {
        (false, _) => 0,
        (true, Some(Ok(length))) if length <= MOST_BODY => length,
        (true, Some(Ok(_))) => return Err(Some(Answer::refused(413, "the request is too long"))),
        (true, _) => return Err(Some(Answer::refused(400, "the request does not say how long it is"))),
    };
    let mut body = text.split_off(head);
    while body.len() < length {
        more(&mut next, &mut body, length).map_err(|_| None)?;
    }
    body.truncate(length);
    request.body = body;
    Ok(request)
}

/// Reads a request's head and says how long it is, if it is whole.
fn parse(text: &[u8]) -> Result<Option<(Request, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(text) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("this is no request: {error}")),
    };
    let (path, query) =
        parsed.path.unwrap_or_default().split_once('?').unwrap_or((parsed.path.unwrap_or_default(), ""));
    let header = |header: &httparse::Header<'_>| {
        Some((header.name.to_ascii_lowercase(), std::str::from_utf8(header.value).ok()?.to_owned()))
    };
    let headers = parsed.headers.iter().map(|one| header(one).ok_or("a header is no text"));
    Ok(Some((
        Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.collect::<Result<_, _>>()?,
            body: vec![],
        },
        head,
    )))
}

/// Reads what is there, up to so many bytes in all.
fn more(next: &mut impl FnMut(&mut [u8]) -> io::Result<usize>, text: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let mut part = [0; 8 << 10];
    let room = part.len().min(most - text.len());
    match next(&mut part[..room])? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            text.extend_from_slice(&part[..count]);
            Ok(())
        }
    }
}

/// Answers, and ends the connection. Who does not take the answer does not get it.
pub fn write(mut stream: &TcpStream, answer: &Answer) {
    let word = match answer.status {
        200 => "OK",
        204 => "No Content",
        403 => "Forbidden",
        404 => "Not Found",
        _ => "Refused",
    };
    let head = format!(
        "HTTP/1.1 {} {word}\r\nContent-Type: {}; charset=utf-8\r\nContent-Length: {}\r\n{HEADERS}\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    );
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let _ = stream.write_all(&[head.as_bytes(), &answer.body].concat());
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What is read of a client that sends these bytes and then ends.
    fn sent(bytes: Vec<u8>) -> Result<Request, Option<u16>> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("somebody listens");
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // Until it is answered, so that nothing that was sent is lost.
            let _ = stream.read_to_end(&mut vec![]);
        });
        let (stream, _) = listener.accept().expect("the client is there");
        let request = read(&stream).map_err(|answer| answer.map(|answer| answer.status));
        drop(stream);
        client.join().expect("the client ends");
        request
    }

    #[test]
    fn a_request_is_read_whole() {
        let request = sent(b"POST /api/x?a=b HTTP/1.1\r\nHost: h\r\ncontent-length: 3\r\n\r\nabcdef".to_vec());
        let request = request.expect("it is whole");
        assert_eq!(
            (request.path.as_str(), request.query.as_str(), request.body.as_slice()),
            ("/api/x", "a=b", &b"abc"[..])
        );
        assert_eq!(request.header("host"), Some("h"));
    }

    #[test]
    fn what_is_too_long_or_no_request_is_refused_and_what_ends_early_is_left() {
        let head = |rest: &str| format!("GET / HTTP/1.1\r\n{rest}\r\n").into_bytes();
        assert_eq!(sent(b"hello\r\n\r\n".to_vec()).expect_err("no request"), Some(400));
        assert_eq!(sent(head(&format!("a: {}\r\n", "b".repeat(20_000)))).expect_err("too long"), Some(431));
        assert_eq!(sent(head(&"a: b\r\n".repeat(100))).expect_err("too many headers"), Some(400));
        assert_eq!(sent(head("content-length: 99999999\r\n")).expect_err("too long"), Some(413));
        assert_eq!(sent(head("content-length: 1\r\ncontent-length: 2\r\n")).expect_err("which?"), Some(400));
        assert_eq!(sent(head("transfer-encoding: chunked\r\n")).expect_err("no length"), Some(501));
        assert_eq!(sent(head("content-length: 5\r\n")).expect_err("it ends early"), None);
        assert_eq!(sent(vec![]).expect_err("nothing came"), None);
    }

    #[test]
    fn a_header_that_stands_there_twice_says_nothing() {
        let request = sent(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec()).expect("it is whole");
        assert_eq!(request.header("host"), None);
    }
}
