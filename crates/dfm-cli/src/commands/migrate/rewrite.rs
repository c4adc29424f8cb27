//! What becomes of one file's text?

use super::module::{PACKAGE, counterpart};
use super::requirement::{Around, EXTRAS, said, spelling};

/// The package of models that its federations' adapters and applications have in common.
const SHARED: &str = "nv_dfm_lib_common";
const OWN_PACKAGE: &str = "dfm";
const OWN_DISTRIBUTION: &str = "data-federation-mesh";
/// What is said where something does not change.
const STAYS: &str = "left as it is";

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
    /// What has been done with it.
    pub label: &'static str,
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
pub fn configuration(name: &str, text: &str, shares: bool) -> Rewritten {
    let mut after = String::new();
    let mut left = Vec::new();
    for (begin, line) in lines(text) {
        after += &Line { file: name, text, begin, line }.rewritten(&mut left);
    }
    if shares && !text.lines().any(|line| line.starts_with("values:")) {
        let end = if after.is_empty() || after.ends_with('\n') { "" } else { "\n" };
        after += &format!("{end}values:\n  packages: [{SHARED}]\n");
    }
    Rewritten { text: after, left }
}

/// The lines of a text with their ends, and where each begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let begin = *at;
        *at += line.len();
        Some((begin, line))
    })
}

/// Rewrites the text of a file of this name, which is no federation's configuration.
pub fn rewrite(name: &str, text: &str) -> Rewritten {
    let python = is_python(name);
    let project = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
    let mut left = Vec::new();
    let mut after = String::new();
    let mut skipped = None;
    for (begin, line) in lines(text) {
        if project && skipped.is_some_and(|indent| within(line, indent)) {
            continue;
        }
        skipped = None;
        if project && packs_workspaces(line) {
            skipped = Some(indent_of(line));
            continue;
        }
        if python {
            left.extend(finished(line, begin));
        }
        let line = Line { file: name, text, begin, line }.rewritten(&mut left);
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

/// A line of a text, and where it begins there.
struct Line<'t> {
    file: &'t str,
    text: &'t str,
    begin: usize,
    line: &'t str,
}

impl<'t> Line<'t> {
    /// The line with dfm's names; what has none stays as it is, and is told.
    fn rewritten(&self, left: &mut Vec<Left>) -> String {
        let mut out = String::new();
        let mut rest = self.line;
        while let Some((start, name)) = next(rest) {
            let behind = &rest[start + name.len()..];
            out += &rest[..start];
            let at = self.line.len() - rest.len() + start;
            let around = Around {
                file: self.file,
                above: &self.text[..self.begin],
                before: &self.line[..at],
                after: &self.line[at + name.len()..],
            };
            let (own, unread) = self.replaced(name, at, &around, left).unwrap_or((name.to_owned(), behind));
            out += &own;
            rest = unread;
        }
        out + rest
    }

    /// What takes the place of a name, and the rest of the line behind that; nothing where it stays.
    fn replaced(&self, name: &str, at: usize, around: &Around<'t>, left: &mut Vec<Left>) -> Option<(String, &'t str)> {
        let (before, after) = (around.before, around.after);
        let mut tell = |code, found: &str, at: usize, message, label, help: &str| {
            let start = self.begin + at;
            left.push(Left { code, start, end: start + found.len(), message, label, help: help.to_owned() });
        };
        // A path is nobody's name.
        if before.ends_with('/') || after.starts_with('/') {
            return None;
        }
        if before.ends_with("egg=") || around.key().is_some_and(|value| value.starts_with('{')) {
            let message = format!("this says where `{name}` comes from");
            let help = format!("take it out, or say where `{OWN_DISTRIBUTION}` comes from");
            tell("migrate-requirement", name, at, message, STAYS, &help);
            return None;
        }
        if let Some(value) = around.key() {
            let behind = &after[..after.len() - value.len()];
            let rest = value.strip_prefix(['"', '\'']).and_then(|inside| Some(inside.split_once(['"', '\''])?.1))?;
            return Some((format!("{OWN_DISTRIBUTION}{behind}\"*\""), rest));
        }
        if !name.contains(['_', '.']) || around.requires() {
            let said = said(after);
            let own = |extra: &&str| EXTRAS.contains(&extra.to_lowercase().as_str());
            let (kept, lost): (Vec<&str>, Vec<&str>) = said.extras.into_iter().partition(own);
            for extra in lost {
                let message = format!("`{OWN_DISTRIBUTION}` has no extra `{extra}`");
                let at = at + name.len() + after.find(extra).unwrap_or_default();
                let help = format!("it has {}; install what else is needed by its own name", EXTRAS.join(", "));
                tell("migrate-requirement", extra, at, message, "left out", &help);
            }
            let extras = if kept.is_empty() { String::new() } else { format!("[{}]", kept.join(",")) };
            return Some((format!("{OWN_DISTRIBUTION}{extras}"), said.rest));
        }
        if name != PACKAGE {
            return None;
        }
        let (path, behind) = dotted(after);
        let names = self.imported(at + name.len() + path.len());
        let statement = before.trim_start_matches([' ', '\t', '"']);
        let imported = is_python(self.file) && statement.starts_with("import ");
        match counterpart(path, names.as_deref(), imported) {
            Ok(path) => Some((format!("{OWN_PACKAGE}{path}"), behind)),
            Err(misfit) => {
                let rest = &self.text[self.begin + at..];
                let from = if misfit.about == PACKAGE { 0 } else { name.len() };
                let found = from + word_at(&rest[from..], &misfit.about);
                tell(misfit.code, &misfit.about, at + found, misfit.message, STAYS, misfit.help);
                None
            }
        }
    }

    /// The names that a line of Python, or of a notebook, imports from the module whose path ends there: those of lines
    /// below too, where they are in parentheses.
    fn imported(&self, path_end: usize) -> Option<Vec<&'t str>> {
        let statement = self.line[..path_end].trim_start_matches([' ', '\t', '"']);
        if !is_python(self.file) || statement.strip_prefix("from ")?.contains(' ') {
            return None;
        }
        let names = self.text[self.begin + path_end..].trim_start_matches(' ').strip_prefix("import")?;
        let names = match names.trim_start_matches(' ').strip_prefix('(') {
            Some(inside) => inside.split(')').next(),
            None => names.lines().next(),
        };
        // A notebook's lines are texts with an escaped end.
        let names = names.unwrap_or_default().split(['\n', ',', '"']).map(|name| name.trim().trim_end_matches("\\n"));
        Some(names.filter_map(|name| name.split([' ', '#', ';']).next()).collect())
    }
}

/// Where a text has a word.
fn word_at(text: &str, word: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let found = text.match_indices(word).map(|(at, _)| at);
    let mut whole = found.filter(|at| !text[..*at].ends_with(part) && !text[at + word.len()..].starts_with(part));
    whole.next().unwrap_or_default()
}

/// The next of the package's and the distribution's names in a text, as a word: where, and how it is written.
fn next(text: &str) -> Option<(usize, &str)> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(['n', 'N']).find_map(|(at, _)| {
        let name = &text[at..at + spelling(&text[at..])?];
        (!text[..at].ends_with(word) && !text[at + name.len()..].starts_with(word)).then_some((at, name))
    })
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

/// A comparison in a line of Python, which begins at `begin`, with a status that means something else here.
fn finished(line: &str, begin: usize) -> Option<Left> {
    const NAME: &str = "JobStatus.FINISHED";
    let start = begin + line.find(NAME)?;
    let help =
        "see whether it should also take `JobStatus.FAILED`, or that there were no errors; `job.errors` has them";
    let message = "a job with errors is `FAILED` here".to_owned();
    Some(Left {
        code: "migrate-finished",
        start,
        end: start + NAME.len(),
        message,
        label: STAYS,
        help: help.to_owned(),
    })
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
            ("my_nv_dfm_core = nv_dfm_core2\n", "my_nv_dfm_core = nv_dfm_core2\n"),
            ("pip install nv-dfm-core. Then\n", "pip install data-federation-mesh. Then\n"),
            ("no-nv-dfm-core nv-dfm-core-x\n", "no-nv-dfm-core nv-dfm-core-x\n"),
            ("\"nv_dfm_core.api\", \"é nv_dfm_core\"", "\"dfm.api\", \"é dfm\""),
            ("sys.path.append(\"../nv_dfm_core/x\")\n", "sys.path.append(\"../nv_dfm_core/x\")\n"),
            ("if nv_dfm_core >= 3: nv.dfm.core()\n", "if dfm >= 3: nv.dfm.core()\n"),
        ] {
            assert_eq!(rewrite("a.py", before).text, after, "{before}");
            assert_eq!(rewrite("a.py", after).text, after, "what is changed stays as it is");
        }
    }

    #[test]
    fn a_requirement_in_every_spelling_loses_what_holds_for_the_other_one() {
        for (file, before, after) in [
            ("requirements.txt", "nv_dfm_core==3.1.31\n", "data-federation-mesh\n"),
            (
                "requirements.txt",
                "NV.Dfm_core >=3.1, <4 ; python_version < '4' # why\n",
                "data-federation-mesh ; python_version < '4' # why\n",
            ),
            ("requirements.txt", "nv_dfm_core\n", "data-federation-mesh\n"),
            ("dev.in", "nv-dfm-core[flare]>=3.1\n", "data-federation-mesh[flare]\n"),
            (
                "requirements.txt",
                "nv_dfm_core[FLARE, test] @ git+https://x.example/y@v3\n",
                "data-federation-mesh[FLARE]\n",
            ),
            ("notes.txt", "nv_dfm_core is a package.\n", "dfm is a package.\n"),
            ("setup.cfg", "[options]\npackages =\n    nv_dfm_core\n", "[options]\npackages =\n    dfm\n"),
            (
                "setup.cfg",
                "[options]\ninstall_requires =\n    a==1\n    nv_dfm_core\n    nv-dfm-core>=3.1,<4\n",
                "[options]\ninstall_requires =\n    a==1\n    data-federation-mesh\n    data-federation-mesh\n",
            ),
            (
                "pyproject.toml",
                "dependencies = [\"nv-dfm-core>=3.1,<4\", 'nv_dfm_core[flare]~=3.1.0', \"nv_dfm_core\"]\n",
                "dependencies = [\"data-federation-mesh\", 'data-federation-mesh[flare]', \"data-federation-mesh\"]\n",
            ),
            (
                "pyproject.toml",
                "[dependency-groups]\ndev = [\n  \"nv_dfm_core\",\n]\n[tool.x]\npackages = [\"nv_dfm_core\"]\n",
                "[dependency-groups]\ndev = [\n  \"data-federation-mesh\",\n]\n[tool.x]\npackages = [\"dfm\"]\n",
            ),
            (
                "pyproject.toml",
                "[tool.poetry.dependencies]\nnv_dfm_core = \"^3.1\" # it\n",
                "[tool.poetry.dependencies]\ndata-federation-mesh = \"*\" # it\n",
            ),
            (
                "environment.yml",
                "- pip:\n  - nv_dfm_core==3.1\n  - nv_dfm_core\n- nv-dfm-core=3.1\n",
                "- pip:\n  - data-federation-mesh\n  - data-federation-mesh\n- data-federation-mesh\n",
            ),
            (
                "a.ipynb",
                "    \"%pip install nv-dfm-core==3.1.31 nv_dfm_core\\n\",\n",
                "    \"%pip install data-federation-mesh data-federation-mesh\\n\",\n",
            ),
            (
                "Dockerfile",
                "RUN pip install \\\n  nv_dfm_core \\\n  x && python -m nv_dfm_core\n",
                "RUN pip install \\\n  data-federation-mesh \\\n  x && python -m dfm\n",
            ),
            (
                "setup.py",
                "setup(install_requires=[\"nv_dfm_core\", 'nv_dfm_core>=3'], packages=[\"nv_dfm_core\"])\n",
                "setup(install_requires=[\"data-federation-mesh\", 'data-federation-mesh'], packages=[\"dfm\"])\n",
            ),
            ("a.py", "WANTED = [\"nv_dfm_core==3.1\"]\n", "WANTED = [\"data-federation-mesh\"]\n"),
        ] {
            assert_eq!(rewrite(file, before).text, after, "{file}: {before}");
            assert_eq!(rewrite(file, after).text, after, "what is changed stays as it is");
        }
    }

    #[test]
    fn where_the_other_one_comes_from_and_extras_that_are_not_here_are_told() {
        let source = "[tool.uv.sources]\nnv-dfm-core = { git = \"https://x.example/y\" }\n";
        let Rewritten { text, left } = rewrite("pyproject.toml", source);
        assert_eq!((text.as_str(), left.len(), left[0].code), (source, 1, "migrate-requirement"));
        let Rewritten { text, left } =
            rewrite("a.txt", "nv_dfm_core[test,http]==3.1\n-e git+https://x.example/y#egg=nv_dfm_core\n");
        assert_eq!(text, "data-federation-mesh[http]\n-e git+https://x.example/y#egg=nv_dfm_core\n");
        assert_eq!(
            left.iter().map(|one| (one.start, one.label)).collect::<Vec<_>>(),
            [(12, "left out"), (59, "left as it is")]
        );
    }

    #[test]
    fn what_has_no_counterpart_stays_and_is_told_each_time() {
        for (before, code) in [
            ("from nv_dfm_core.targets.flare import Job\n", "migrate-no-module"),
            ("from nv_dfm_core.cli.core._shell_runner import ShellRunner\n", "migrate-no-module"),
            ("from nv_dfm_core import api, gen\n", "migrate-no-module"),
            ("from nv_dfm_core.api.pydantic import PolymorphicBaseModel\n", "migrate-no-module"),
            ("from nv_dfm_core.whatever import X\n", "migrate-no-module"),
            ("from nv_dfm_core.whatever._x import X\n", "migrate-no-module"),
            ("from nv_dfm_core.exec.whatever import X\n", "migrate-no-module"),
            ("from nv_dfm_core import api, whatever\n", "migrate-no-module"),
            ("import nv_dfm_core.whatever as x\n", "migrate-no-module"),
            ("import nv_dfm_core.api.whatever\n", "migrate-no-module"),
            ("x = \"nv_dfm_core.whatever.X\"\n", "migrate-no-module"),
            ("mod = import_module(\"nv_dfm_core.targets.local\")\n", "migrate-no-module"),
            ("from nv_dfm_core.exec import Frame, TokenPackage\n", "migrate-engine"),
            ("from nv_dfm_core.exec import (\n    Frame,\n    Net as N,\n)\n", "migrate-engine"),
            ("from nv_dfm_core.exec._net import Net\n", "migrate-engine"),
            ("from nv_dfm_core.telemetry import SpanKind\n", "migrate-engine"),
            ("x = nv_dfm_core.exec.Router\n", "migrate-engine"),
            ("import nv_dfm_core.session._session as x\n", "migrate-private"),
            ("from nv_dfm_core.session._job import _helper\n", "migrate-private"),
            ("x = nv_dfm_core.session._session.Session\n", "migrate-private"),
        ] {
            let Rewritten { text, left } = rewrite("a.py", before);
            assert_eq!((text.as_str(), left.len(), left[0].code), (before, 1, code), "{before}");
        }
        let before = "import nv_dfm_core.api as api, nv_dfm_core.gen\nfrom nv_dfm_core.api import Block\n";
        assert_eq!(rewrite("a.py", before).text, before.replacen("nv_dfm_core", "dfm", 1));
        let notebook = "    \"from nv_dfm_core.exec import (\\n\",\n    \"    Frame,\\n\",\n    \"    NetRunner\\n\",\n    \")\\n\"\n";
        assert_eq!(rewrite("a.ipynb", notebook).text, notebook);
        assert_eq!(rewrite("run.sh", "python -m nv_dfm_core.cli.main\n").left.len(), 1);
    }

    #[test]
    fn modules_that_dfm_has_change() {
        for before in [
            "from nv_dfm_core import __version__, api, exec\n",
            "from nv_dfm_core.api.discovery import Discovery\n",
            "from nv_dfm_core.exec.discovery import advise  # all\n",
            "import nv_dfm_core.exec.discovery, nv_dfm_core.errors as e\n",
            "x = nv_dfm_core.session.from_env()\n",
            "x = \"nv_dfm_core.exec.Site\"\n",
            "x = \"nv_dfm_core.api.discovery.Discovery\"\n",
        ] {
            let Rewritten { text, left } = rewrite("a.py", before);
            assert_eq!((text, left.len()), (before.replace("nv_dfm_core", "dfm"), 0), "{before}");
        }
    }

    #[test]
    fn builders_whose_work_is_done_anyway_go() {
        let before = "builders:\n  - path: a.B\n  - path: x.y.DfmWorkspaceArchiveBuilder\n    args:\n      folder: z\n\n  - path: c.D\n";
        let after = "builders:\n  - path: a.B\n  - path: c.D\n";
        assert_eq!(rewrite("project.yaml", before).text, after);
        assert_eq!(configuration("a.dfm.yaml", before, false).text, before);
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
        assert!(rewrite("a.yaml", "s == JobStatus.FINISHED\n").left.is_empty());
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_text_is_changed_once_and_what_is_left_is_in_it(parts in proptest::collection::vec(
            "(nv_dfm_core|nv-dfm-core|from |import |\\[|\"|; |, |= |pip install |Net|\\._?[a-z]|é|==3|JobStatus.FINISHED|- path: xWorkspaceArchiveBuilder| |\n){1,4}", 0..12
        )) {
            let text = parts.concat();
            for name in ["a.py", "a.yaml", "a.txt", "a.toml"] {
                let once = rewrite(name, &text);
                proptest::prop_assert_eq!(&rewrite(name, &once.text).text, &once.text);
                proptest::prop_assert!(once.left.iter().all(|one| text.get(one.start..one.end).is_some()));
            }
        }
    }
}
