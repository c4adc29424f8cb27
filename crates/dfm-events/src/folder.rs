//! Where are the records of jobs, and how many are kept?

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags, openat};

/// The most records that are kept of one federation; the oldest go first.
pub const MOST_RECORDS: usize = 200;

/// The most bytes that they have together.
pub const MOST_BYTES: u64 = 64 << 20;

/// Only the user reads it.
const OWN: u32 = 0o600;

/// The records of one federation.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// That of a federation's package, for this user. `None` if none are to be kept, as `DFM_HISTORY=0` says, or where
    /// there is no place for them.
    pub fn of(package: &str) -> Option<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if set("DFM_HISTORY").is_some_and(|value| value == "0") || !is_name(package) {
            return None;
        }
        // As the base directories' specification has it, one that is not absolute is none.
        let state = set("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let state = state.or_else(|| set("HOME").map(|home| Path::new(&home).join(".local/state")))?;
        Some(Self(state.join("dfm/history").join(package)))
    }

    /// One that is anywhere.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where a job's record is. `None` for what is no id.
    pub fn record(&self, job: &str) -> Option<PathBuf> {
        is_name(job).then(|| self.0.join(format!("{job}.jsonl")))
    }

    /// All that are there: their jobs, those that began first to the front. One without a byte has not been begun yet.
    pub fn jobs(&self) -> Vec<String> {
        self.files().into_iter().filter(|(_, bytes, _)| *bytes > 0).map(|(job, ..)| job).collect()
    }

    /// Opens a record to write it; a new one only if there is none. Nobody else can read it.
    pub(crate) fn open(&self, job: &str, new: bool) -> io::Result<File> {
        let path = self.record(job).ok_or(io::ErrorKind::InvalidInput)?;
        let is_own = || fs::metadata(&self.0).is_ok_and(|facts| facts.mode() & 0o777 == 0o700);
        if new && !is_own() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            // Whatever the process's mask has left, and whoever made it.
            fs::set_permissions(&self.0, Permissions::from_mode(0o700))?;
        }
        let how = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let how = if new { how | OFlags::CREATE | OFlags::EXCL } else { how };
        // A process's mask can only take from this.
        Ok(File::from(openat(CWD, &path, how, Mode::from_raw_mode(OWN))?))
    }

    /// Removes the oldest records until there are so few, in number and bytes; none of a job that runs.
    pub(crate) fn prune(&self, most: usize, most_bytes: u64) {
        let files = self.files();
        let (mut count, mut bytes) = (files.len(), files.iter().map(|(_, bytes, _)| bytes).sum::<u64>());
        for (job, size, _) in files {
            if count <= most && bytes <= most_bytes {
                return;
            }
            let Some(path) = self.record(&job) else { continue };
            if !is_written(&path) && fs::remove_file(&path).is_ok() {
                count -= 1;
                bytes -= size;
            }
        }
    }

    /// Job, bytes and when it was written last, the oldest first.
    fn files(&self) -> Vec<(String, u64, SystemTime)> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                let job = entry.file_name().to_str()?.strip_suffix(".jsonl")?.to_owned();
                let facts = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                is_name(&job).then(|| Some((job, facts.len(), facts.modified().ok()?)))?
            })
            .collect();
        files.sort_by(|one, other| (one.2, &one.0).cmp(&(other.2, &other.0)));
        files
    }
}

/// Opens what is to be read. Who would write to a pipe is not waited for.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    Ok(File::from(openat(CWD, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?))
}

/// Whether an application has this record open, so that its job is not at its end.
pub fn is_written(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Whether it can be the name of one file, in any folder and on any terminal.
fn is_name(text: &str) -> bool {
    let known = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    (1..=200).contains(&text.len()) && text.chars().all(known) && !text.starts_with('.')
}
