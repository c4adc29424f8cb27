//! Where do participants take direct connections of others?

use std::net::IpAddr;

use dfm_diag::{Diagnostic, Spanned};
use indexmap::IndexMap;

use crate::fields::{Faults, Fields, dictionary, listed, meant, same, text, wrong_type};
use crate::format::DIRECT;
use crate::project_names::is_dotted;
use crate::tree::{Data, Entry};
use crate::{Direct, SERVER};

/// The most ports of one participant: so many sessions have direct connections there at a time.
const MOST: u16 = 64;

/// Decodes `direct`, for the sites of these names.
pub fn direct(entry: &Entry, sites: &[&str], faults: &mut Faults) -> IndexMap<String, Spanned<Direct>> {
    let mut found: IndexMap<String, Spanned<Direct>> = IndexMap::new();
    let mut seen: Vec<(&str, &Entry)> = vec![];
    for (written, entry) in dictionary(&entry.value, "direct", faults).into_iter().flatten() {
        let all = sites.iter().copied().filter(|site| *site != SERVER).chain([SERVER]);
        let Some(name) = all.clone().find(|name| same(name, written)) else {
            let fault = Diagnostic::error("config-unknown-site", format!("there is no participant `{written}`"))
                .at(entry.key, "expected `server`, or the name of a site");
            faults.push(fault.help(match meant(written, all.clone(), faults) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", listed(all)),
            }));
            continue;
        };
        if let Some((first, other)) = seen.iter().find(|(first, _)| same(first, written)) {
            let fault = format!("`{written}` and `{first}` are the same participant");
            faults.push(
                Diagnostic::error("config-duplicate-key", fault)
                    .at(entry.key, "again here")
                    .related(other.key, "first here")
                    .help("remove one of them"),
            );
            continue;
        }
        seen.push((written, entry));
        if let Some(value) = one(entry, faults) {
            found.insert(name.to_owned(), Spanned { value, span: entry.key });
        }
    }
    found
}

fn one(entry: &Entry, faults: &mut Faults) -> Option<Direct> {
    let fields = Fields::of(&DIRECT, &entry.value, entry.key, faults)?;
    let host = fields.need("host", faults).and_then(|entry| host(entry, faults));
    let ports = fields.need("ports", faults).and_then(|entry| ports(entry, faults));
    let listen = match fields.get("listen") {
        Some(entry) => Some(listen(entry, faults)?),
        None => None,
    };
    let (first, last) = ports?;
    Some(Direct { host: host?, first, last, listen })
}

fn host(entry: &Entry, faults: &mut Faults) -> Option<String> {
    let host = text(&entry.value, "host", faults)?;
    if is_host(host) {
        return Some(host.to_owned());
    }
    let fault = Diagnostic::error("config-wrong-value", format!("`host` cannot be `{host}`"))
        .at(entry.value.span, "expected a host name as `fed.example.org`, or an IP address");
    let bare = host.split_once("://").map_or(host, |(_, rest)| rest);
    let bare = bare.split(['/', ':']).next().unwrap_or_default();
    faults.push(if host.parse::<IpAddr>().is_ok() {
        fault.help("write the address at which others reach it; the interfaces on which it listens are `listen`")
    } else if bare != host && is_host(bare) {
        fault.help(format!("write `{bare}` alone; ports are in `ports`"))
    } else {
        fault.help(
            "a host name is words of letters, digits and `-` with dots between them, none of which begins or ends with `-`",
        )
    });
    None
}

fn listen(entry: &Entry, faults: &mut Faults) -> Option<IpAddr> {
    let address = text(&entry.value, "listen", faults)?;
    let found = interface(address);
    if found.is_none() {
        faults.push(
            Diagnostic::error("config-wrong-value", format!("`listen` cannot be `{address}`"))
                .at(entry.value.span, "expected the IP address of an interface, as `10.0.0.7`")
                .help("leave it out to listen on all interfaces"),
        );
    }
    found
}

fn ports(entry: &Entry, faults: &mut Faults) -> Option<(u16, u16)> {
    let (written, found) = match &entry.value.data {
        Data::Number(number) => {
            let port = number.as_u64().and_then(|port| u16::try_from(port).ok());
            (number.to_string(), port.map(|port| (port, port)))
        }
        Data::Text(text) => (text.clone(), range(text)),
        _ => {
            faults.push(wrong_type(&entry.value, "`ports`", "a port, or a text as `9100-9107`"));
            return None;
        }
    };
    let fault = |label: String| {
        Diagnostic::error("config-wrong-value", format!("`ports` cannot be `{written}`"))
            .at(entry.value.span, label)
            .help("each session takes one port: write as many as there are to be sessions at a time")
    };
    match found {
        Some((0, _)) => faults.push(fault("expected ports from 1 to 65535".to_owned())),
        Some((first, last)) if last < first => {
            faults.push(fault("the last port is below the first".to_owned()).help(format!("write `{last}-{first}`")));
        }
        Some((first, last)) if last - first >= MOST => {
            faults.push(fault(format!("expected at most {MOST} ports, not {}", u32::from(last - first) + 1)));
        }
        Some(ports) => return Some(ports),
        None => faults.push(fault("expected a port from 1 to 65535, or two as `9100-9107`".to_owned())),
    }
    None
}

/// The first and the last port of `FIRST-LAST`, or of one port.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    Some((port(first)?, port(last)?))
}

/// Whether others can connect to a host of this name or address. It becomes a word of charts and kits, so that nothing else
/// may be in it.
pub fn is_host(text: &str) -> bool {
    if let Ok(address) = text.parse::<IpAddr>() {
        return !address.is_unspecified() && !address.is_multicast();
    }
    // Some systems take `10.1` and `0x7f` for addresses, of another host than anybody reads there.
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    text.len() <= 253 && text.split('.').all(|word| word.len() <= 63) && is_dotted(text) && !is_number
}

/// The address that something can listen on.
pub fn interface(text: &str) -> Option<IpAddr> {
    text.parse().ok().filter(|address: &IpAddr| !address.is_multicast())
}

/// Whether a text has the form of ports.
pub fn is_ports(text: &str) -> bool {
    range(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_else() {
        let good = ["a", "fed.example.org", "3d-lab", "1.example", "xn--bcher-kva.de", "10.0.0.7", "fd00::7", "::1"];
        assert_eq!(good.into_iter().find(|text| !is_host(text)), None);
        let long = ["a".repeat(64), "a.".repeat(127) + "a"];
        let odd = ["", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b", "a\n", "ä", "a:1", "[::1]", "fe80::1%eth0"];
        let more = ["$x", "{{ a }}", "a\"b", "a'b", "a/b", "*", "0.0.0.0", "::", "224.0.0.1", "10.1", "10.0.0.300"];
        let all = odd.into_iter().chain(more).chain(["0x7f", "a.0X1", "7"]).chain(long.iter().map(String::as_str));
        assert_eq!(all.into_iter().find(|text| is_host(text)), None);
    }

    #[test]
    fn ports_are_one_or_two_with_a_hyphen() {
        assert_eq!((range("9100-9107"), range("9100")), (Some((9100, 9107)), Some((9100, 9100))));
        let odd = ["", "-", "1-", "-1", "+1", "1 - 2", "1-2-3", "65536", "a"];
        assert_eq!(odd.into_iter().find(|text| is_ports(text)), None);
    }
}
