//! What is behind a URL that a configuration refers to?
//!
//! Python's standard library reads it: it knows the environment's proxies and certificates, and one stack for TLS in an
//! installation is enough.

use std::process::Stdio;

use dfm_config::FetchError;

use crate::{program, python};

/// A configuration is text for people; what is larger is none.
const MOST: usize = 16 << 20;

const READ: &str = "\
import sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
        sys.stdout.buffer.write(answer.read(int(sys.argv[2]) + 1))
except Exception as error:
    sys.exit(str(error))
";

/// Reads it, for at most 30 seconds without an answer.
///
/// # Errors
/// Why it cannot be read.
pub fn fetch(url: &str) -> Result<Vec<u8>, FetchError> {
    let python = python::find().map_err(|diagnostic| FetchError::NoPython(diagnostic.message))?;
    let mut command = program::python(python);
    command.args(["-I", "-c", READ, url, &MOST.to_string()]).stdin(Stdio::null());
    let output = command.output().map_err(FetchError::Start)?;
    if !output.status.success() {
        return Err(FetchError::Answer(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    if output.stdout.len() > MOST {
        return Err(FetchError::TooLarge(MOST));
    }
    Ok(output.stdout)
}
