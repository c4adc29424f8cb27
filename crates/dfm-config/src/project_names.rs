//! Which names does NVFlare take in a project? Its `format_check.py` has the rules.

/// The longest name that a certificate takes.
const LONGEST: usize = 64;

/// The longest name of a project, which NVFlare cuts there.
pub const LONGEST_PROJECT: usize = 63;

/// Whether a federation or a project, which have a folder of that name, can have it; NVFlare's rule is that for jobs.
pub fn is_folder(name: &str, longest: usize) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(good) && name.len() <= longest
}

/// Whether a client or a site can have this name.
pub fn is_client(name: &str) -> bool {
    is_of(name, b"-_")
}

/// Whether an organisation or a role can have this name.
pub fn is_word(name: &str) -> bool {
    is_of(name, b"_")
}

/// Whether a server can have this name, which is the name of its host.
pub fn is_host(name: &str) -> bool {
    name.len() <= LONGEST && is_dotted(name)
}

/// Whether a text is words with dots between them, as the name of a host is.
pub fn is_dotted(text: &str) -> bool {
    text.split('.').all(|part| is_of(part, b"-") && !part.starts_with('-') && !part.ends_with('-'))
}

/// Whether a user can have this name, which has the form of an address of e-mail.
pub fn is_user(name: &str) -> bool {
    let Some((local, domain)) = name.split_once('@') else { return false };
    let Some((rest, last)) = domain.rsplit_once('.') else { return false };
    let letters = |text: &str| text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    name.len() <= LONGEST && is_of(local, b"._%+-") && is_of(rest, b".-") && letters(last)
}

/// Whether a text is no more than a word, and no option, in a script of a kit that NVFlare writes it into without quotes.
pub fn is_argument(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte);
    !text.starts_with('-') && text.bytes().all(good)
}

/// Whether a text that NVFlare writes into kits as a number is one.
pub fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').map_or(digits(text), |(whole, part)| digits(whole) && digits(part))
}

/// The nearest name of a user that NVFlare takes, if there is one.
pub fn as_user(name: &str) -> Option<String> {
    let (local, domain) = name.split_once('@')?;
    let near = format!("{local}@{}", domain.replace('_', "-"));
    (near != name && is_user(&near)).then_some(near)
}

fn is_of(text: &str, others: &[u8]) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_as_nvflare_takes_them() {
        for (rule, takes, refuses) in [
            (is_client as fn(&str) -> bool, vec!["a", "my-site_1", "9"], vec!["", "a b", "a.b", "ä"]),
            (is_argument, vec!["", "config", "a.b/c:d@e-f_g"], vec!["-x", "a b", "$(id)", "ä", "a;b"]),
            (is_number, vec!["0", "8002", "0.5"], vec!["", ".5", "5.", "-1", "1e3", "1 ", "٣", "1.2.3"]),
            (is_word, vec!["north", "my_org", "9"], vec!["", "my-org", "a.b"]),
            (is_host, vec!["server", "a.b-c.de", "10.0.0.1"], vec!["", "a_b", "-a", "a-", "a..b", "a."]),
            (
                is_user,
                vec!["a@b.de", "a.b+c%d_e-f@g-h.i.jk"],
                vec!["a", "a@b", "a@b.c", "a@b_c.de", "@b.de", "a@.d1", "a@b@c.de"],
            ),
        ] {
            assert!(takes.iter().all(|name| rule(name)), "{takes:?}");
            assert_eq!(refuses.iter().find(|name| rule(name)), None);
        }
    }

    #[test]
    fn a_name_of_a_folder_leads_nowhere() {
        let is_project = |name: &str| is_folder(name, LONGEST_PROJECT);
        assert!(["a", "my-fed_1.2", "9", &"x".repeat(63)].into_iter().all(is_project));
        let refused = ["", ".", "..", ".a", "-a", "_a", "a/b", "/a", "a b", "a\n", "ä", &"x".repeat(64)];
        assert_eq!(refused.into_iter().find(|name| is_project(name)), None);
    }

    #[test]
    fn a_users_name_is_mended_where_one_letter_is_wrong() {
        assert_eq!(as_user("app@my_fed.com").as_deref(), Some("app@my-fed.com"));
        assert_eq!((as_user("app@fed.com"), as_user("app"), as_user("app@my_fed")), (None, None, None));
    }
}
