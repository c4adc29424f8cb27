//! How does a command ask the Python that knows NVIDIA FLARE?

use std::io::Write;
use std::process::{Child, Stdio};

use dfm_diag::Diagnostic;
use serde_json::Value;

use crate::context::{Context, Failure};
use crate::{program, python};

/// Starts a module with these words, and with a request on its stdin; its answers are to be read from its stdout.
///
/// # Errors
/// There is no Python, or it cannot be started.
pub fn start(context: &Context, module: &str, words: &[&str], request: &Value) -> Result<Child, Failure> {
    let python = python::find().map_err(Failure::failed)?;
    context.output.detail(&format!("{} -m {module} {}", python.display(), words.join(" ")));
    let mut command = program::module(&python, module);
    command.args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error| {
        let message = format!("`{}` cannot be started: {error}", python.display());
        Failure::failed(Diagnostic::error("python-not-started", message))
    };
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever ended before it read anything tells why on stderr.
        let _ = write!(stdin, "{request}");
    }
    Ok(child)
}

/// The one answer of such a run.
///
/// # Errors
/// Those of `start`, and what the answer says went wrong.
pub fn ask(context: &Context, module: &str, request: &Value) -> Result<Value, Failure> {
    let child = start(context, module, &[], request)?;
    let output = child.wait_with_output().map_err(|error| broken(&error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    for line in said.lines() {
        context.output.detail(line);
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|_| broken(&said))?;
    let Value::String(message) = &answer["error"] else { return Ok(answer) };
    let (exit, code) = if output.status.code() == Some(1) { (1, "flare-refused") } else { (2, "flare-project") };
    let diagnostic = Diagnostic::error(code, message);
    let diagnostic = match &answer["help"] {
        Value::String(help) => diagnostic.help(help),
        _ => diagnostic,
    };
    Err(Failure { exit, report: diagnostic.into() })
}

/// That such a run ended without an answer.
pub fn broken(said: &str) -> Failure {
    if let Some(diagnostic) = program::has_no_dfm(said) {
        return Failure::failed(diagnostic);
    }
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
    Failure::failed(if last.contains("No module named 'nvflare") {
        let help = "install it: `pip install 'data-federation-mesh[flare]'`";
        Diagnostic::error("flare-not-installed", "this needs NVIDIA FLARE, which Python does not find").help(help)
    } else {
        Diagnostic::error("flare-broken", format!("NVIDIA FLARE ended without an answer: {last}"))
    })
}
