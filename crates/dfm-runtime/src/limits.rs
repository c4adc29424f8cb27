//! How much may one session ask of this site?

/// What is refused beyond; by default nothing is.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Jobs that are not done.
    pub jobs: u64,
    /// Sets of parameters that a job is started with.
    pub frames_per_job: u64,
    /// Calls that a job makes in all, retries included.
    pub calls_per_job: u64,
    /// Items that a call of a generator makes.
    pub items_per_call: u64,
    /// Calls that run at the same time; more wait.
    pub calls_at_once: u64,
    /// About how many bytes of tokens wait for parameter sets that have not begun.
    pub buffered_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let none = u64::MAX;
        Self {
            jobs: none,
            frames_per_job: none,
            calls_per_job: none,
            items_per_call: none,
            calls_at_once: none,
            buffered_bytes: none,
        }
    }
}

/// The kind of the errors of what is beyond a limit.
pub(crate) const BEYOND: &str = "LimitError";

/// What a user is told who asked for too much: the limit, and who decides it.
pub(crate) fn beyond(site: &str, what: &str, most: u64, key: &str) -> String {
    format!(
        "site '{site}' takes no more than {most} {what}: `{key}` of its policy (local/policy.yaml in its kit) says so"
    )
}
