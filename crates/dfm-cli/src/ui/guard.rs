//! Which requests are answered, and which come from somebody who was not given the page's address?

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};

use super::http::{Answer, Request};

/// Bytes of chance in a token, and in a name.
const CHANCE: usize = 32;
const CHANCE_OF_NAME: usize = 8;

/// What a request has to know.
pub struct Guard {
    port: u16,
    /// That of this run alone, which browsers take for this machine. What another program that had the port before has left
    /// in a browser, such as a script that is kept or a worker that answers for pages, is of another name, and asked for
    /// nothing here.
    name: String,
    /// Known to who has the page's address. There it stands behind a `#`, which no browser sends anywhere; the page sends
    /// it in a header, which no other page can. A cookie would go to every port of this machine.
    pub token: String,
}

impl Guard {
    /// One with a new name and a new token.
    ///
    /// # Errors
    /// The system's, where it has no random numbers.
    pub fn new(port: u16) -> io::Result<Self> {
        let mut chance = [0; CHANCE_OF_NAME + CHANCE];
        File::open("/dev/urandom")?.read_exact(&mut chance)?;
        let (name, token) = chance.split_at(CHANCE_OF_NAME);
        let digits = |chance: &[u8]| chance.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(Self { port, name: format!("dfm-{}.localhost", digits(name)), token: digits(token) })
    }

    /// The page's address.
    pub fn address(&self) -> String {
        format!("http://{}:{}/#{}", self.name, self.port, self.token)
    }

    /// Whether a request is of a browser that was led here by the address of this machine, by no other page. The page
    /// itself may be gone to from anywhere: it shows nothing without the token.
    ///
    /// # Errors
    /// What to answer if it is not.
    pub fn check(&self, request: &Request) -> Result<(), Answer> {
        let refused = |why: &str| Err(Answer::refused(403, why));
        let ours = [&self.name, "127.0.0.1", "localhost"].map(|name| format!("{name}:{}", self.port));
        let Some(host) = request.header("host").filter(|host| ours.iter().any(|one| one == host)) else {
            // A name that somebody has made to mean this machine.
            return refused("this page is only at the address that `dfm ui` has printed");
        };
        if request.has("origin") && request.header("origin") != Some(&format!("http://{host}")) {
            return refused("another page asks for this, which none may");
        }
        let opens = request.path == "/" && request.header("sec-fetch-dest").is_none_or(|what| what == "document");
        let from = request.header("sec-fetch-site");
        if request.has("sec-fetch-site") && !opens && !matches!(from, Some("same-origin" | "none")) {
            return refused("another page asks for this, which none may");
        }
        if !request.path.starts_with("/api/") {
            return Ok(());
        }
        let given = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match given {
            Some(given) if same(given, &self.token) => Ok(()),
            _ => refused("the token is missing or of another run: open the address that `dfm ui` has printed"),
        }
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(one: &str, other: &str) -> bool {
    let differ = one.bytes().zip(other.bytes()).fold(0, |differ, (one, other)| black_box(differ | (one ^ other)));
    one.len() == other.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard { port: 4000, name: "dfm-1.localhost".to_owned(), token: "secret".to_owned() }
    }

    fn answered(path: &str, headers: &[(&str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Request { method: "GET".to_owned(), path: path.to_owned(), headers, ..Request::default() };
        guard().check(&request).is_ok()
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:4000");
    const TOKEN: (&str, &str) = ("authorization", "Bearer secret");

    #[test]
    fn only_who_knows_the_token_is_told_anything() {
        assert!(answered("/api/jobs", &[HOST, TOKEN]));
        for host in ["localhost:4000", "dfm-1.localhost:4000"] {
            assert!(answered("/api/jobs", &[("host", host), TOKEN]), "{host}");
        }
        assert!(!answered("/api/jobs", &[HOST]));
        for wrong in ["Bearer secreT", "Bearer secret2", "Bearer ", "secret", "Basic secret"] {
            assert!(!answered("/api/jobs", &[HOST, ("authorization", wrong)]), "{wrong}");
        }
        assert!(!answered("/api/jobs", &[HOST, TOKEN, TOKEN]));
    }

    #[test]
    fn a_name_that_somebody_made_to_mean_this_machine_is_refused() {
        for host in ["evil.example:4000", "127.0.0.1", "127.0.0.1:4001", "localhost", "dfm-2.localhost:4000", ""] {
            assert!(!answered("/", &[("host", host)]), "{host}");
            assert!(!answered("/api/jobs", &[("host", host), TOKEN]), "{host}");
        }
        assert!(!answered("/", &[]));
        assert!(!answered("/", &[HOST, ("host", "evil.example")]));
    }

    #[test]
    fn another_page_gets_nothing_but_may_lead_to_this_one() {
        for origin in ["http://evil.example", "null", "http://127.0.0.1:4001", "https://127.0.0.1:4000"] {
            assert!(!answered("/api/jobs", &[HOST, TOKEN, ("origin", origin)]), "{origin}");
        }
        assert!(answered("/api/jobs", &[HOST, TOKEN, ("origin", "http://127.0.0.1:4000")]));
        for site in ["cross-site", "same-site"] {
            let from = ("sec-fetch-site", site);
            assert!(!answered("/api/jobs", &[HOST, TOKEN, from]), "{site}");
            assert!(!answered("/page.js", &[HOST, from]), "{site}");
            assert!(!answered("/", &[HOST, from, ("sec-fetch-dest", "iframe")]), "{site}");
            assert!(answered("/", &[HOST, from, ("sec-fetch-dest", "document")]), "{site}");
        }
    }

    #[test]
    fn each_run_has_its_own_name_and_token() {
        let [one, other] = [(); 2].map(|()| Guard::new(1).expect("there is chance"));
        assert!(one.token.len() == 2 * CHANCE && one.token != other.token);
        assert_ne!(one.name, other.name);
        assert_eq!(one.address(), format!("http://{}:1/#{}", one.name, one.token));
    }
}
