//! Which texts of a configuration may stand in the scripts and files that are made of it?
//!
//! Quotes are not enough: one path is a word of a shell, part of a Dockerfile that this shell writes, and a word of the
//! shell that runs there. What the author of a configuration writes must be no program of who builds or installs it.

use dfm_diag::Diagnostic;

/// A path for scripts, Dockerfiles and charts.
pub const PATH: &str = "letters, digits, spaces and `. _ - + @ , = ~ /`";
/// A registry, as an image's name begins with it.
pub const REGISTRY: &str = "a registry as in `https://registry.example:5000/team`";
/// A site's name, as containers and clusters may have it.
pub const SITE: &str = "letters, digits and `. _ - @`, beginning with a letter or a digit";

/// Whether it has the form of `PATH`.
pub fn is_path(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || " ._-+@,=~/".contains(c))
}

/// Whether it has the form of `REGISTRY`, without a scheme.
pub fn is_registry(text: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphanumeric() || c == '[';
    text.starts_with(begins) && text.chars().all(|c| begins(c) || "._-:/]".contains(c))
}

/// Whether it has the form of `SITE`.
pub fn is_site(text: &str) -> bool {
    text.starts_with(char::is_alphanumeric) && text.chars().all(|c| c.is_alphanumeric() || "._-@".contains(c))
}

/// The environment variable that `$NAME` or `${NAME}` means.
pub fn variable_of(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').map_or(Some(name), |name| name.strip_suffix('}'))?;
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    (name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())).then_some(name)
}

/// That a text has not the form that `what` needs.
pub fn odd(what: &str, text: &str, wanted: &str) -> Diagnostic {
    Diagnostic::error("deploy-odd-text", format!("{what} cannot be `{text}`"))
        .help(format!("scripts and other files have it in them, so it may be {wanted}, and nothing else"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_or_a_template_takes_for_more_than_a_text_has_no_form() {
        let odd =
            ["$x", "${x}", "$(x)", "`x`", "a;b", "a\nb", "a\"b", "a'b", "a\\b", "a&b", "a|b", "{{ a }}", "a<b", "a*"];
        for (rule, takes) in [
            (is_path as fn(&str) -> bool, &["", "..", "a b/Döckerfile", "../x+y@z,~1.0=2_-"][..]),
            (is_registry, &["r.example", "r.example:5000/team-a/b_c", "[::1]:5000"]),
            (is_site, &["server", "north_field", "a-1.b", "Ä", "app@fed.com"]),
        ] {
            assert!(takes.iter().all(|text| rule(text)), "{takes:?}");
            assert_eq!(odd.iter().find(|text| rule(text)), None);
        }
        assert_eq!(["-x", "--config=a", "", "/a"].into_iter().find(|text| is_registry(text)), None);
        assert_eq!(["-x", ".a", "@a", "", "a b", "a/b"].into_iter().find(|text| is_site(text)), None);
    }

    #[test]
    fn a_variable_is_one_by_its_whole_text() {
        assert_eq!((variable_of("$A_1"), variable_of("${_b}")), (Some("A_1"), Some("_b")));
        let none = ["", "$", "a", "${}", "${a", "$a}", "$1", "${a:-b}", "$a$(b)", "${a:-$(b)}", "$a b"];
        assert_eq!(none.into_iter().find(|text| variable_of(text).is_some()), None);
    }
}
