//! What goes to stdout, what to stderr, and how does it look?

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use dfm_diag::{Report, render, shown, shown_json, to_json};
use serde_json::{Value, json};

use crate::args::{Global, When};
use crate::working::{Working, above};

/// The exit code of a process that SIGPIPE ended, which shells know.
const NOBODY_READS: i32 = 141;

/// How to speak to the user, or to the program that called.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Results and problems are JSON on stdout.
    pub json: bool,
    quiet: bool,
    verbose: bool,
    colour: bool,
}

impl Output {
    /// As the options and the environment say.
    pub fn new(global: &Global) -> Self {
        let unwanted = || {
            let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
        };
        let colour = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => io::stderr().is_terminal() && !unwanted(),
        };
        Self { json: global.json, quiet: global.quiet, verbose: global.verbose, colour }
    }

    /// The options that let another `dfm` speak in the same way.
    pub fn options(self) -> impl Iterator<Item = &'static str> {
        let colour = if self.colour { "--color=always" } else { "--color=never" };
        let set = [(self.json, "--json"), (self.quiet, "--quiet"), (self.verbose, "--verbose")];
        set.into_iter().filter_map(|(is, option)| is.then_some(option)).chain([colour])
    }

    /// Whether all is to be said.
    pub fn is_verbose(self) -> bool {
        self.verbose
    }

    /// What Python's part of a command is told of how to speak.
    pub fn format(self) -> &'static str {
        match self {
            Self { json: true, .. } => "json",
            Self { quiet: true, .. } => "quiet",
            _ => "text",
        }
    }

    /// For a command that another one runs: says nothing but problems.
    pub fn muted(self) -> Self {
        Self { json: false, quiet: true, verbose: false, ..self }
    }

    /// A result, for people. Here and below, nothing in a text acts on the terminal, whoever it is from.
    pub fn result(self, text: &str) {
        print(shown(text));
    }

    /// A result, for programs, and whoever looks at it on a terminal: one document on one line.
    pub fn document(self, value: &Value) {
        print(shown_json(&value.to_string()));
    }

    /// What has been done.
    pub fn status(self, text: &str) {
        if !self.quiet {
            tell(shown(text));
        }
    }

    /// How it has been done.
    pub fn detail(self, text: &str) {
        if self.verbose {
            tell(shown(text));
        }
    }

    /// Something that takes its time, which is shown until what this returns is dropped.
    pub fn working(self, what: &str) -> Option<Working> {
        (!self.quiet && !self.json).then(|| Working::new(what.to_owned()))
    }

    /// Problems with which the work goes on.
    pub fn problems(self, report: &Report) {
        for diagnostic in &report.diagnostics {
            tell(format!("{}\n", render(diagnostic, &report.sources, self.colour)));
        }
    }

    /// Problems that ended the work.
    pub fn failure(self, report: &Report) {
        if self.json && !report.diagnostics.is_empty() {
            self.document(&json!({"problems": problems(report)}));
        } else {
            self.problems(report);
        }
    }
}

/// Writes a line to stderr, where it can be written to.
fn tell(line: impl Display) {
    let _ = above(|| writeln!(io::stderr(), "{line}"));
}

/// Writes a line to stdout, or ends the process.
pub fn print(line: impl Display) {
    let mut stdout = io::stdout();
    written(|| above(|| writeln!(stdout, "{line}").and_then(|()| stdout.flush())));
}

/// Does what writes to stdout, or ends the process: whoever closed the pipe has read enough, and is not told; what is
/// lost for any other reason was not what the user asked for.
pub fn written(write: impl FnOnce() -> io::Result<()>) {
    // Rust's stdout counts as written what goes to one that is not open for it. To write nothing tells.
    let Err(error) = rustix::io::write(io::stdout(), &[]).map_err(io::Error::from).and_then(|_| write()) else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(NOBODY_READS);
    }
    let why = match error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) {
        true => "stdout is closed".to_owned(),
        false => error.to_string(),
    };
    let _ = writeln!(io::stderr(), "error: the output cannot be written: {why}");
    std::process::exit(1);
}

/// A number of things, for people.
pub fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ if thing.ends_with('s') => format!("{count} {thing}es"),
        _ => format!("{count} {thing}s"),
    }
}

/// A report's diagnostics for programs.
pub fn problems(report: &Report) -> Vec<Value> {
    report.diagnostics.iter().map(|diagnostic| to_json(diagnostic, &report.sources)).collect()
}
