//! What does stderr show while something takes long?
//!
//! On a terminal that is a line that is drawn again and again, below all that is written meanwhile; in a log it is a line
//! now and then. `python/dfm/_command/screen.py` does the same for the commands that Python runs.

use std::io::{IsTerminal, Write, stderr};
use std::mem::take;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dfm_diag::one_line;

/// Until a terminal shows the line, and until it is drawn again.
const FIRST: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(500);
/// Until a log has a line; each further one comes after twice as long.
const CALM: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(600);
const ERASE: &str = "\r\x1b[K";

/// Whether the line stands on the terminal.
static DRAWN: Mutex<bool> = Mutex::new(false);

/// Something that takes its time; it is over when this is dropped.
pub struct Working(Arc<Shared>);

#[derive(Default)]
struct Shared {
    over: Mutex<bool>,
    wake: Condvar,
}

impl Working {
    /// From now on it is shown.
    pub fn new(what: String) -> Self {
        let shared = Arc::new(Shared::default());
        let here = Arc::clone(&shared);
        // Without a thread nothing is shown, and the work is done all the same.
        let _ = thread::Builder::new().spawn(move || show(&what, &here));
        Self(shared)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        *locked(&self.0.over) = true;
        self.0.wake.notify_all();
        above(|| ());
    }
}

/// Writes something above the line.
pub fn above<T>(write: impl FnOnce() -> T) -> T {
    let mut drawn = locked(&DRAWN);
    if take(&mut *drawn) {
        let _ = write!(stderr(), "{ERASE}");
    }
    write()
}

fn show(what: &str, shared: &Shared) {
    let begin = Instant::now();
    let terminal = stderr().is_terminal();
    let mut pause = if terminal { FIRST } else { CALM };
    loop {
        let waited = shared.wake.wait_timeout_while(locked(&shared.over), pause, |over| !*over);
        let (over, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *over {
            return;
        }
        let line = format!("{what}: {} s", begin.elapsed().as_secs());
        let line = one_line(&line);
        if terminal {
            draw(&line);
            pause = AGAIN;
        } else {
            above(|| writeln!(stderr(), "{line}")).ok();
            pause = after(pause);
        }
    }
}

fn draw(line: &str) {
    let mut drawn = locked(&DRAWN);
    let columns = rustix::termios::tcgetwinsize(stderr()).map_or(80, |size| usize::from(size.ws_col).max(2));
    let mut stderr = stderr();
    *drawn = write!(stderr, "{ERASE}{}", fitting(line, columns)).and_then(|()| stderr.flush()).is_ok();
}

/// How long a log has no line after one that came after that long.
fn after(pause: Duration) -> Duration {
    (2 * pause).min(LONGEST)
}

/// As much of the line as a terminal of so many columns has room for: one that breaks cannot be erased.
fn fitting(line: &str, columns: usize) -> &str {
    let end = line.char_indices().nth(columns - 1).map_or(line.len(), |(end, _)| end);
    &line[..end]
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_terminal_whatever_it_says() {
        assert_eq!(fitting("starts", 80), "starts");
        assert_eq!(fitting("starts", 7), "starts");
        assert_eq!(fitting("starts", 6), "start", "the last column would break the line on some terminals");
        assert_eq!(fitting("größer", 4), "grö");
        assert_eq!(fitting("", 2), "");
        assert!(!one_line("a\x1b[2J\nb").contains(char::is_control));
    }

    #[test]
    fn a_log_has_ever_fewer_lines_and_never_none() {
        let mut pause = CALM;
        let pauses: Vec<u64> = std::iter::from_fn(|| {
            let this = pause;
            pause = after(pause);
            Some(this.as_secs())
        })
        .take(7)
        .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn what_is_over_is_shown_no_more() {
        let shared = Arc::new(Shared::default());
        let here = Arc::clone(&shared);
        let shows = thread::spawn(move || show("works", &here));
        drop(Working(shared));
        shows.join().expect("it ends as soon as it is told");
    }

    #[test]
    fn what_stands_on_the_terminal_goes_before_something_is_written_above_it() {
        *locked(&DRAWN) = true;
        assert!(above(|| DRAWN.try_lock().is_err()), "nobody draws meanwhile");
        assert!(!*locked(&DRAWN));
    }
}
