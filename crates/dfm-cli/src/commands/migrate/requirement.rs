//! Where does a text require the other distribution, and what is said of it there that does not hold for dfm's?

/// Its name.
const PARTS: [&str; 3] = ["nv", "dfm", "core"];
/// What dfm's distribution can be installed with.
pub const EXTRAS: &[&str] = &["flare", "fsspec", "http", "otel", "privacy"];
/// The words before those that a line installs.
const INSTALLS: &[&str] = &[
    "pip install",
    "pip3 install",
    "pip download",
    "pip wheel",
    "pipx install",
    "uv add",
    "poetry add",
    "conda install",
];
/// Keys whose lists are requirements.
const KEYS: &[&str] = &[
    "build-requires",
    "constraint-dependencies",
    "dependencies",
    "dev-dependencies",
    "install_requires",
    "override-dependencies",
    "pip",
    "requires",
    "setup_requires",
    "tests_require",
];
const OPERATORS: &[&str] = &["===", "==", "~=", "!=", "<=", ">=", "<", ">", "="];
const QUOTES: [char; 2] = ['"', '\''];

/// Where a name stands.
pub struct Around<'t> {
    /// The file's name.
    pub file: &'t str,
    /// All of the text before the name's line.
    pub above: &'t str,
    /// The line before the name.
    pub before: &'t str,
    /// The line behind it.
    pub after: &'t str,
}

/// What is said of a distribution that is required: its extras, what the version or source was, and the rest of the line.
pub struct Said<'t> {
    /// As they are written.
    pub extras: Vec<&'t str>,
    /// Whether there is more than the name.
    pub more: bool,
    /// What stands behind all of it: markers, comments, the rest of a list.
    pub rest: &'t str,
}

/// How long the name is that a text begins with, in any spelling that means the same to an installer.
pub fn spelling(text: &str) -> Option<usize> {
    let mut rest = text;
    for (index, part) in PARTS.iter().enumerate() {
        let begin = rest.trim_start_matches(['-', '_', '.']);
        if (index > 0) == (begin.len() == rest.len()) {
            return None;
        }
        let (head, tail) = begin.split_at_checked(part.len())?;
        if !head.eq_ignore_ascii_case(part) {
            return None;
        }
        rest = tail;
    }
    Some(text.len() - rest.len())
}

/// Reads what follows a distribution's name.
pub fn said(after: &str) -> Said<'_> {
    let (extras, behind) = extras(after);
    let rest = source(behind).or_else(|| versions(behind)).unwrap_or(behind);
    Said { extras, more: rest.len() < after.len(), rest }
}

impl<'t> Around<'t> {
    /// Whether a name that may as well be a module's is a distribution's.
    pub fn requires(&self) -> bool {
        let code = [".py", ".pyi", ".ipynb"].iter().any(|end| self.file.ends_with(end));
        let quoted = self.before.ends_with(QUOTES);
        if self.installs() {
            return !self.after.strip_prefix('.').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        }
        let begins = quoted || (!code && self.before.trim_start().trim_start_matches("- ").is_empty());
        let listed = begins || (!code && self.before.trim_end().ends_with(['=', ',', '[']));
        if said(self.after).more {
            return listed && !self.after.trim_start().starts_with("= ");
        }
        let behind = self.after.trim_start();
        let ends = behind.is_empty() || behind.starts_with([';', '#', ',', ']', '"', '\'', '\\']);
        if self.file.ends_with(".txt") || self.file.ends_with(".in") {
            return begins && ends;
        }
        (!code || self.file == "setup.py") && listed && ends && self.is_listed()
    }

    /// Whether it is the key of a TOML table of requirements, or of what says where they come from; and what it says.
    pub fn key(&self) -> Option<&'t str> {
        let value = self.after.strip_prefix(QUOTES).unwrap_or(self.after).trim_start().strip_prefix('=')?;
        let is_key = self.before.trim().trim_matches(QUOTES).is_empty() && !value.starts_with('=');
        let said_of = |section: &str| section.contains("dependencies") || section.ends_with("sources");
        let value = value.trim_start();
        (self.file.ends_with(".toml") && is_key && section(self.above).is_some_and(said_of)).then_some(value)
    }

    /// Whether it is a word of a command that installs, which may have begun in a line above.
    fn installs(&self) -> bool {
        let last = |line: &str, words: &[&str]| words.iter().filter_map(|words| line.rfind(words)).max();
        let continued = self.above.lines().rev().take_while(|line| line.trim_end().ends_with('\\'));
        let found = std::iter::once(self.before).chain(continued).find_map(|line| {
            let (begins, ended) = (last(line, INSTALLS), last(line, &["&&", "||", " | "]));
            (begins.is_some() || ended.is_some()).then_some(begins > ended)
        });
        found.unwrap_or(false)
    }

    /// Whether what is listed here are requirements, as the key or the section says.
    fn is_listed(&self) -> bool {
        let key = std::iter::once(self.before).chain(self.above.lines().rev()).find_map(last_key);
        let section = section(self.above).unwrap_or_default();
        key.is_some_and(|key| KEYS.contains(&key))
            || ["dependencies", "dependency-groups", "extras_require"].iter().any(|word| section.contains(word))
    }
}

/// The section that the end of a text is in.
fn section(above: &str) -> Option<&str> {
    above.lines().rev().find_map(|line| Some(line.trim().strip_prefix('[')?.split_once(']')?.0)).map(|name| name.trim())
}

/// The last word of a line that a value is given to.
fn last_key(line: &str) -> Option<&str> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '.';
    let signs = line.match_indices(['=', ':']).rev();
    signs
        .filter(|(at, _)| !line[at + 1..].starts_with(['=', '/']) && !line[..*at].ends_with(['=', '<', '>', '!', '~']))
        .find_map(|(at, _)| {
            let before = line[..at].trim_end();
            let name = &before[before.trim_end_matches(word).len()..];
            (!name.is_empty()).then_some(name)
        })
}

/// The extras in brackets, and what follows them.
fn extras(text: &str) -> (Vec<&str>, &str) {
    let name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let inside = text.trim_start_matches(' ').strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match inside.map(|(inside, rest)| (inside.split(',').map(str::trim).collect::<Vec<_>>(), rest)) {
        Some((extras, rest)) if extras.iter().all(name) => (extras, rest),
        _ => (Vec::new(), text),
    }
}

/// What follows `@ URL`, which names a file or a repository of the other one.
fn source(text: &str) -> Option<&str> {
    let url = text.trim_start_matches(' ').strip_prefix('@')?.trim_start_matches(' ');
    let end = url.find(|c: char| c.is_whitespace() || QUOTES.contains(&c) || c == '\\').unwrap_or(url.len());
    (end > 0).then(|| &url[end..])
}

/// What follows versions, in parentheses or not.
fn versions(text: &str) -> Option<&str> {
    let begin = text.trim_start_matches(' ');
    if let Some(inside) = begin.strip_prefix('(') {
        return versions(inside)?.trim_start_matches(' ').strip_prefix(')');
    }
    let mut rest = version(begin)?;
    while let Some(more) = rest.trim_start_matches(' ').strip_prefix(',') {
        match version(more.trim_start_matches(' ')) {
            Some(behind) => rest = behind,
            // A comma at the end of a line, or before what is another requirement.
            None => break,
        }
    }
    Some(rest)
}

fn version(text: &str) -> Option<&str> {
    let operator = OPERATORS.iter().find(|operator| text.starts_with(**operator))?;
    let behind = &text[operator.len()..];
    // A single `=` is conda's, which writes it without spaces.
    let behind = if *operator == "=" { behind } else { behind.trim_start_matches(' ') };
    let number = behind.strip_prefix('v').unwrap_or(behind);
    let begins = number.starts_with(|c: char| c.is_ascii_digit() || "${".contains(c));
    let word = |c: char| c.is_ascii_alphanumeric() || ".*+!_-${}".contains(c);
    begins.then(|| behind.trim_start_matches(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_every_spelling() {
        for name in ["nv-dfm-core", "nv_dfm_core", "NV.dfm_Core", "nv-_dfm.core"] {
            assert_eq!(spelling(&format!("{name}>=3")), Some(name.len()), "{name}");
        }
        for other in ["nvdfmcore", "nv-dfm", "-nv-dfm-core", "nv-dfm-cöre", "nv"] {
            assert_eq!(spelling(other), None, "{other}");
        }
    }

    #[test]
    fn all_that_is_said_of_a_version_is_read() {
        for (after, extras, rest) in [
            ("==3.1.31\n", vec![], "\n"),
            (">=3.1,<4\",", vec![], "\","),
            (" >= 3.1 , < 4 ; python_version < '3.13' # why\n", vec![], " ; python_version < '3.13' # why\n"),
            ("[flare, x]~=3.1.0", vec!["flare", "x"], ""),
            (" (>=3.1,!=3.1.2)\"", vec![], "\""),
            ("===3.1.31rc1+cu12, other==1", vec![], ", other==1"),
            (" @ git+https://x.example/y@v3.1 ; a", vec![], " ; a"),
            ("==$VERSION other", vec![], " other"),
            ("=3.1.*", vec![], ""),
            ("", vec![], ""),
            (". Then", vec![], ". Then"),
            (" > file", vec![], " > file"),
            (" = 3", vec![], " = 3"),
            ("[0, \"x\"]", vec![], "[0, \"x\"]"),
        ] {
            let said = said(after);
            assert_eq!((said.extras, said.rest), (extras, rest), "{after}");
        }
    }
}
