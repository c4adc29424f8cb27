//! What does a test of the `dfm` command need? A folder of its own, a home of its own, and the real binary.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder that only this test knows; commands run inside it and find nothing of the user's.
pub struct World {
    folder: tempfile::TempDir,
}

/// What a command did.
pub struct Ran {
    /// Its exit code.
    pub exit: i32,
    /// What it wrote as its result, with the test's folder as `[ROOT]`.
    pub stdout: String,
    /// What else it wrote, with the test's folder as `[ROOT]`.
    pub stderr: String,
}

impl World {
    /// An empty one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Its folder, without links in its path.
    pub fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    /// Writes a file, and the folders that it is in.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A file's text.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap()
    }

    /// Runs `dfm` with these words in a folder of this world, where `.` is its root.
    pub fn dfm(&self, folder: &str, words: &str) -> Ran {
        self.dfm_with(folder, words, &[])
    }

    /// The same with more environment.
    pub fn dfm_with(&self, folder: &str, words: &str, environment: &[(&str, &str)]) -> Ran {
        let folder = self.root().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        #[expect(clippy::disallowed_methods, reason = "this is the command itself")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_dfm"));
        command.args(words.split_whitespace()).current_dir(folder);
        command.env_clear().env("HOME", self.root().join("home")).envs(environment.iter().copied());
        let output = command.output().unwrap();
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&*self.root().to_string_lossy(), "[ROOT]");
        Ran { exit: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// All of it, for a snapshot.
    pub fn all(&self) -> String {
        format!("exit: {}\n----- stdout\n{}----- stderr\n{}", self.exit, self.stdout, self.stderr)
    }
}

/// A file of the repository's.
pub fn repository(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}
