//! What becomes of one file's text?

/// The package whose imports change.
pub const PACKAGE: &str = "nv_dfm_core";
/// Its name as a distribution.
const DISTRIBUTION: &str = "nv-dfm-core";
/// The package of models that its federations' adapters and applications have in common.
const SHARED: &str = "nv_dfm_lib_common";
const OWN_PACKAGE: &str = "dfm";
const OWN_DISTRIBUTION: &str = "data-federation-mesh";

/// Parts of the package that dfm has under no name.
const ABSENT: &[&str] = &["cli", "gen", "poc", "targets"];
/// What its engine is made of.
const ENGINE: &[&str] = &[
    "Activation",
    "ControlPlace",
    "CountingPlace",
    "JobController",
    "Net",
    "NetRunner",
    "Place",
    "QueuePlace",
    "Router",
    "SessionDelegate",
    "TokenPackage",
];

/// A text, and what in the one before is left to people.
pub struct Rewritten {
    /// What it becomes.
    pub text: String,
    /// In the order of the text.
    pub left: Vec<Left>,
}

/// Something that a person has to look at.
pub struct Left {
    /// Stable.
    pub code: &'static str,
    /// The bytes of the text before that it is about.
    pub start: usize,
    /// Their end.
    pub end: usize,
    /// What it is.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Whether a file of this name is one whose text may change.
pub fn is_known(name: &str) -> bool {
    let end = name.rsplit('.').next().unwrap_or_default();
    ["py", "pyi", "ipynb", "yaml", "yml", "toml", "cfg", "txt", "sh", "in"].contains(&end) || name == "Dockerfile"
}

fn is_python(name: &str) -> bool {
    [".py", ".pyi", ".ipynb"].iter().any(|end| name.ends_with(end))
}

/// Whether a Python file imports what federations of the other tool share.
pub fn imports_shared(name: &str, text: &str) -> bool {
    let imports = |line: &str| {
        let line = line.trim_start_matches([' ', '\t', '"']);
        ["from ", "import "].iter().any(|word| line.strip_prefix(word).is_some_and(|rest| rest.starts_with(SHARED)))
    };
    is_python(name) && text.lines().any(imports)
}

/// Rewrites a federation's configuration. Objects of other packages' classes travel only where it names the package,
/// so it names the one that the code beside it shares.
pub fn configuration(text: &str, shares: bool) -> String {
    let mut after: String = text.split_inclusive('\n').map(rewritten).collect();
    if shares && !text.lines().any(|line| line.starts_with("values:")) {
        let end = if after.is_empty() || after.ends_with('\n') { "" } else { "\n" };
        after += &format!("{end}values:\n  packages: [{SHARED}]\n");
    }
    after
}

/// Rewrites the text of a file of this name, which is no federation's configuration.
pub fn rewrite(name: &str, text: &str) -> Rewritten {
    let python = is_python(name);
    let project = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
    let mut left = Vec::new();
    let mut after = String::new();
    let mut at = 0;
    let mut skipped = None;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        if project && skipped.is_some_and(|indent| within(line, indent)) {
            continue;
        }
        skipped = None;
        if project && packs_workspaces(line) {
            skipped = Some(indent_of(line));
            continue;
        }
        if python {
            left.extend(left_in(line, begin));
        }
        let line = rewritten(line);
        after += &if project { with_user(line) } else { line };
    }
    Rewritten { text: after, left }
}

/// Whether a line begins the item of a builder whose work dfm's provisioning does.
fn packs_workspaces(line: &str) -> bool {
    let item = line.trim_start();
    item.starts_with("- path:") && item.trim_end().trim_end_matches(['"', '\'']).ends_with("WorkspaceArchiveBuilder")
}

/// A line of a project, whose user's name is changed where NVFlare would refuse it.
fn with_user(line: String) -> String {
    let name = line.trim_start().trim_start_matches("- ").strip_prefix("name:").map(str::trim);
    let name = name.map(|name| name.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']));
    match name.and_then(|name| Some((name, dfm_config::as_user(name)?))) {
        Some((name, near)) => line.replace(name, &near),
        None => line,
    }
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether a line belongs to an item that began with this indentation.
fn within(line: &str, indent: usize) -> bool {
    line.trim().is_empty() || indent_of(line) > indent
}

/// A line with dfm's names.
fn rewritten(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, name, after)) = next(rest) {
        out += before;
        if name == DISTRIBUTION {
            out += OWN_DISTRIBUTION;
            rest = after.trim_start_matches(|c: char| "=<>~!".contains(c) || c.is_ascii_digit() || c == '.');
            // A version that is pinned is the other one's; what is no version stays.
            rest = if after.starts_with(|c| "=<>~!".contains(c)) { rest } else { after };
        } else {
            let (path, behind) = dotted(after);
            out += OWN_PACKAGE;
            // What is private there is public here, or not at all.
            let private = path.find("._").filter(|_| imports_from(line));
            out += &path[..private.unwrap_or(path.len())];
            rest = behind;
        }
    }
    out + rest
}

/// Whether a line of Python, or of a notebook, takes names from a module.
fn imports_from(line: &str) -> bool {
    line.trim_start_matches([' ', '\t', '"']).starts_with("from ")
}

/// The next of the two names in a text, as a word: what is before it, itself, and what is behind.
fn next(text: &str) -> Option<(&str, &'static str, &str)> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let found = |name: &'static str| {
        text.match_indices(name).find_map(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + name.len()..]);
            (!before.ends_with(word) && !after.starts_with(word)).then_some((before, name, after))
        })
    };
    [found(PACKAGE), found(DISTRIBUTION)].into_iter().flatten().min_by_key(|(before, ..)| before.len())
}

/// The dotted names that a text begins with, `.api.Yield`, and the rest.
fn dotted(text: &str) -> (&str, &str) {
    let mut end = 0;
    while text[end..].starts_with('.') {
        let word = text[end + 1..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let length = word.unwrap_or(text.len() - end - 1);
        if length == 0 {
            break;
        }
        end += 1 + length;
    }
    text.split_at(end)
}

/// What in a line of Python, which begins at `at`, is left to people.
fn left_in(line: &str, at: usize) -> Vec<Left> {
    let mut left = Vec::new();
    let mut add = |code, found: &str, message: String, help: &str| {
        let start = at + line.find(found).unwrap_or_default();
        left.push(Left { code, start, end: start + found.len(), message, help: help.to_owned() });
    };
    if line.contains("JobStatus.FINISHED") {
        let help =
            "see whether it should also take `JobStatus.FAILED`, or that there were no errors; `job.errors` has them";
        add("migrate-finished", "JobStatus.FINISHED", "a job with errors is `FAILED` here".to_owned(), help);
    }
    if let Some((_, _, after)) = next(line).filter(|(_, name, _)| *name == PACKAGE) {
        let (path, behind) = dotted(after);
        let mut parts = path.split('.').skip(1);
        if let Some(part) = parts.clone().next().filter(|part| ABSENT.contains(part)) {
            let message = format!("dfm has no module `{part}`");
            add("migrate-no-module", PACKAGE, message, "do without it; `docs/moving.md` says what takes its place");
        } else if parts.any(|part| part.starts_with('_')) && !imports_from(line) {
            let message = format!("`{PACKAGE}{path}` is private there");
            add(
                "migrate-private",
                PACKAGE,
                message,
                "import what is needed by its public name, as in `from dfm.session import Session`",
            );
        }
        let names = behind.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        for name in names.filter(|name| ENGINE.contains(name)) {
            let message = format!("`{name}` is a class of the other engine, which dfm has not");
            add("migrate-engine", name, message, "adapters and applications need none of it; see `docs/moving.md`");
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_as_words_only() {
        for (before, after) in [
            ("from nv_dfm_core.api import Yield\n", "from dfm.api import Yield\n"),
            ("from nv_dfm_core.session._session import Session\n", "from dfm.session import Session\n"),
            ("from nv_dfm_core.exec._a._b import (\n", "from dfm.exec import (\n"),
            ("    \"from nv_dfm_core.api._x import y\\n\",\n", "    \"from dfm.api import y\\n\",\n"),
            ("import nv_dfm_core.api as api, nv_dfm_core\n", "import dfm.api as api, dfm\n"),
            ("x = nv_dfm_core.session._session.Session\n", "x = dfm.session._session.Session\n"),
            ("my_nv_dfm_core = nv_dfm_core2\n", "my_nv_dfm_core = nv_dfm_core2\n"),
            ("nv-dfm-core==3.1.31\nnv-dfm-core[a]>=3,<4\n", "data-federation-mesh\ndata-federation-mesh[a]>=3,<4\n"),
            ("pip install nv-dfm-core. Then\n", "pip install data-federation-mesh. Then\n"),
            ("no-nv-dfm-core nv-dfm-core-x\n", "no-nv-dfm-core nv-dfm-core-x\n"),
            ("\"nv_dfm_core.api\", \"é nv_dfm_core\"", "\"dfm.api\", \"é dfm\""),
        ] {
            assert_eq!(rewrite("a.py", before).text, after, "{before}");
            assert_eq!(rewrite("a.py", after).text, after, "what is changed stays as it is");
        }
    }

    #[test]
    fn builders_whose_work_is_done_anyway_go() {
        let before = "builders:\n  - path: a.B\n  - path: x.y.DfmWorkspaceArchiveBuilder\n    args:\n      folder: z\n\n  - path: c.D\n";
        let after = "builders:\n  - path: a.B\n  - path: c.D\n";
        assert_eq!(rewrite("project.yaml", before).text, after);
        assert_eq!(configuration(before, false), before);
    }

    #[test]
    fn what_is_left_to_people_is_told_where_it_is() {
        let text = "from nv_dfm_core.exec import Net, Site\nimport nv_dfm_core.session._session\nfrom nv_dfm_core.gen import x\nassert s == JobStatus.FINISHED\n";
        let left = rewrite("a.py", text).left;
        let told: Vec<(&str, &str)> = left.iter().map(|one| (one.code, &text[one.start..one.end])).collect();
        let expected = [
            ("migrate-engine", "Net"),
            ("migrate-private", "nv_dfm_core"),
            ("migrate-no-module", "nv_dfm_core"),
            ("migrate-finished", "JobStatus.FINISHED"),
        ];
        assert_eq!(told, expected);
        assert!(rewrite("a.yaml", text).left.is_empty());
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_text_is_changed_once_and_what_is_left_is_in_it(parts in proptest::collection::vec(
            "(nv_dfm_core|nv-dfm-core|from |import |\\._?[a-z]|é|==3|JobStatus.FINISHED|- path: xWorkspaceArchiveBuilder| |\n){1,4}", 0..12
        )) {
            let text = parts.concat();
            for name in ["a.py", "a.yaml", "a.txt"] {
                let once = rewrite(name, &text);
                proptest::prop_assert_eq!(&rewrite(name, &once.text).text, &once.text);
                proptest::prop_assert!(once.left.iter().all(|one| text.get(one.start..one.end).is_some()));
            }
        }
    }
}
