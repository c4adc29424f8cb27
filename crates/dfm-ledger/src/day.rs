//! How much has a user asked of a site today?
//!
//! One small file for each user in the site's kit, which all processes of the site share: what is counted outlasts them.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::chain::digest_of;
use crate::own_file::{Locked, own_file};
use crate::text::{quoted, quoted_or_null};

/// Bytes of a question's digest.
const QUESTION: usize = 16;
/// Bytes of a number in the files.
const NUMBER: usize = size_of::<u64>();
/// Seconds.
const A_DAY: u64 = 86_400;
/// Calls that are counted before they are made; and of those that are left, the part that may be.
const MOST_AHEAD: u64 = 64;

/// How much one user may ask for in a day; `None` for what is not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerDay {
    /// Calls.
    pub calls: Option<u64>,
    /// Calls that differ in what is asked.
    pub questions: Option<u64>,
    /// Values that leave.
    pub values: Option<u64>,
    /// Their bytes, encoded.
    pub bytes: Option<u64>,
}

/// What there is no more of today, and how much there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// As the policy names it.
    pub what: &'static str,
    /// As the policy says.
    pub most: u64,
}

/// What was counted on one day.
#[derive(Clone, Copy, Default)]
struct Counted {
    /// Since 1970, UTC.
    day: u64,
    calls: u64,
    values: u64,
    bytes: u64,
}

impl Counted {
    fn from_bytes(bytes: &[u8; 4 * NUMBER]) -> Self {
        let mut numbers = bytes.as_chunks().0.iter().copied().map(u64::from_le_bytes);
        let mut next = || numbers.next().unwrap_or_default();
        Self { day: next(), calls: next(), values: next(), bytes: next() }
    }

    fn to_bytes(self) -> [u8; 4 * NUMBER] {
        let mut bytes = [0; 4 * NUMBER];
        for (place, number) in bytes.chunks_exact_mut(NUMBER).zip([self.day, self.calls, self.values, self.bytes]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

/// Counts what one user asks for, up to what the site's policy allows in a day.
pub struct Counting {
    most: PerDay,
    /// Where its files are, and how their names end; `None` where this process counts alone.
    folder: Option<(PathBuf, String)>,
    counts: Option<File>,
    /// What is counted, where this process counts alone.
    alone: Counted,
    /// Digests of the questions that were asked on a day, as far as they are known.
    asked: HashSet<[u8; QUESTION]>,
    asked_on: u64,
    /// Calls since the site has rested.
    made: u64,
    /// Calls that were counted and not made yet, and the day on which.
    ahead: u64,
    ahead_on: u64,
}

impl Counting {
    /// For a user, in a folder that is there; without one, this process counts alone.
    ///
    /// # Errors
    /// Its file cannot be opened, or is not this account's alone.
    pub fn new(user: &str, folder: Option<PathBuf>, most: PerDay) -> io::Result<Self> {
        let folder = folder.map(|folder| (folder, digest_of(user)[..32].to_owned()));
        let counts = folder.as_ref().map(|(folder, user)| own_file(&folder.join(format!(".day-{user}")), false));
        Ok(Self {
            most,
            folder,
            counts: counts.transpose()?,
            alone: Counted::default(),
            asked: HashSet::new(),
            asked_on: 0,
            made: 0,
            ahead: 0,
            ahead_on: 0,
        })
    }

    /// The site's policy says from now on that it is so much.
    ///
    /// # Errors
    /// The system's.
    pub fn allow(&mut self, most: PerDay) -> io::Result<()> {
        self.most = most;
        self.rest()
    }

    /// Whether different questions are counted.
    pub fn wants_questions(&self) -> bool {
        self.most.questions.is_some()
    }

    /// Counts a call that begins, or says that it is one too many.
    ///
    /// # Errors
    /// The system's.
    pub fn call(&mut self) -> io::Result<Option<Over>> {
        self.call_on(today())
    }

    fn call_on(&mut self, today: u64) -> io::Result<Option<Over>> {
        self.made += 1;
        if self.ahead > 0 {
            if self.ahead_on == today {
                self.ahead -= 1;
                return Ok(None);
            }
            self.rest()?;
            self.made = 1;
        }
        self.add(today, Counted { calls: 1, ..Counted::default() })
    }

    /// Counts a value of so many bytes that leaves, or says that it is one too many, or too large for what is left of the
    /// day's bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn leave(&mut self, bytes: u64) -> io::Result<Option<Over>> {
        self.leave_on(today(), bytes)
    }

    fn leave_on(&mut self, today: u64, bytes: u64) -> io::Result<Option<Over>> {
        self.add(today, Counted { values: 1, bytes, ..Counted::default() })
    }

    /// No call is made for now: those that were counted ahead are none.
    ///
    /// # Errors
    /// The system's.
    pub fn rest(&mut self) -> io::Result<()> {
        let (ahead, on) = (self.ahead, self.ahead_on);
        (self.made, self.ahead) = (0, 0);
        if ahead == 0 {
            return Ok(());
        }
        self.change(|counted| {
            if counted.day == on {
                counted.calls = counted.calls.saturating_sub(ahead);
            }
        })
    }

    /// The same, and closes the file: from then on this process counts alone.
    ///
    /// # Errors
    /// The system's.
    pub fn close(&mut self) -> io::Result<()> {
        let rested = self.rest();
        (self.counts, self.folder) = (None, None);
        rested
    }

    /// Counts a question, if nobody has asked it today for this user, or says that it is one too many. Its parameters are
    /// JSON, always the same of the same ones.
    ///
    /// # Errors
    /// The system's.
    pub fn question(&mut self, operation: &str, provider: Option<&str>, parameters: &str) -> io::Result<Option<Over>> {
        self.question_on(today(), operation, provider, parameters)
    }

    fn question_on(
        &mut self,
        today: u64,
        operation: &str,
        provider: Option<&str>,
        parameters: &str,
    ) -> io::Result<Option<Over>> {
        let Some(most) = self.most.questions else { return Ok(None) };
        let asked = format!("[{}, {}, {}]", quoted(operation), quoted_or_null(provider), quoted(parameters));
        let mut digest = [0; QUESTION];
        digest.copy_from_slice(&Sha256::digest(asked.as_bytes())[..QUESTION]);
        if self.asked_on == today && self.asked.contains(&digest) {
            return Ok(None);
        }
        let file = match &self.folder {
            Some((folder, user)) => Some(own_file(&folder.join(format!(".asked-{user}")), false)?),
            None => None,
        };
        let _locked = file.as_ref().map(Locked::new).transpose()?;
        let on = match &file {
            Some(file) => self.read_questions(file)?,
            None => self.asked_on,
        };
        // A clock that was set back gives nobody another day.
        if today > on {
            self.asked.clear();
            if let Some(file) = &file {
                file.set_len(0)?;
                file.write_all_at(&today.to_le_bytes(), 0)?;
            }
        }
        self.asked_on = on.max(today);
        if self.asked.contains(&digest) {
            return Ok(None);
        }
        if self.asked.len() as u64 >= most {
            return Ok(Some(Over { what: "questions", most }));
        }
        if let Some(file) = &file {
            file.write_all_at(&digest, (NUMBER + QUESTION * self.asked.len()) as u64)?;
        }
        self.asked.insert(digest);
        Ok(None)
    }

    /// Takes the questions of a day from their file: that day, and the digests.
    fn read_questions(&mut self, file: &File) -> io::Result<u64> {
        let mut data = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut data, 0)?;
        let Some((day, rest)) = data.split_first_chunk() else { return Ok(0) };
        self.asked = rest.as_chunks().0.iter().copied().collect();
        Ok(u64::from_le_bytes(*day))
    }

    fn add(&mut self, today: u64, more: Counted) -> io::Result<Option<Over>> {
        let (most, made) = (self.most, self.made);
        if most == PerDay::default() {
            return Ok(None);
        }
        let mut ahead = 0;
        let mut over = None;
        let mut day = today;
        self.change(|counted| {
            // A clock that was set back gives nobody another day.
            let before = if today > counted.day { Counted { day: today, ..Counted::default() } } else { *counted };
            let mut after = Counted {
                day: before.day,
                calls: before.calls.saturating_add(more.calls),
                values: before.values.saturating_add(more.values),
                bytes: before.bytes.saturating_add(more.bytes),
            };
            let bounds = [
                ("calls", most.calls, after.calls, more.calls),
                ("values", most.values, after.values, more.values),
                ("bytes", most.bytes, after.bytes, more.bytes),
            ];
            over = bounds.into_iter().find_map(|(what, most, count, added)| {
                most.filter(|most| added > 0 && count > *most).map(|most| Over { what, most })
            });
            if over.is_some() {
                return;
            }
            if more.calls > 0 && made > 1 {
                // Of many calls in a row, some are counted at once: never so many that others are refused for them.
                let left = most.calls.map_or(MOST_AHEAD, |most| most.saturating_sub(after.calls) / MOST_AHEAD);
                ahead = made.min(MOST_AHEAD).min(left);
                after.calls = after.calls.saturating_add(ahead);
            }
            day = after.day;
            *counted = after;
        })?;
        if more.calls > 0 {
            (self.ahead, self.ahead_on) = (ahead, day);
        }
        Ok(over)
    }

    /// Changes what is counted, which no other process does in the meantime.
    fn change(&mut self, how: impl FnOnce(&mut Counted)) -> io::Result<()> {
        let Some(file) = &self.counts else {
            how(&mut self.alone);
            return Ok(());
        };
        let _locked = Locked::new(file)?;
        let mut bytes = [0; 4 * NUMBER];
        // A file that is new, or was cut, has counted nothing.
        let mut counted = match file.read_at(&mut bytes, 0)? {
            read if read == bytes.len() => Counted::from_bytes(&bytes),
            _ => Counted::default(),
        };
        let before = counted.to_bytes();
        how(&mut counted);
        let after = counted.to_bytes();
        if after == before { Ok(()) } else { file.write_all_at(&after, 0) }
    }
}

/// Since 1970, UTC.
fn today() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / A_DAY
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    const DAY: u64 = 20_000;

    fn counting(user: &str, folder: Option<&Path>, most: PerDay) -> Counting {
        Counting::new(user, folder.map(Path::to_owned), most).unwrap()
    }

    fn calls(counting: &mut Counting, wanted: u64) -> u64 {
        let is_one = |counting: &mut Counting| counting.call_on(DAY).unwrap().is_none();
        (0..wanted).take_while(|_| is_one(counting)).count() as u64
    }

    #[test]
    fn what_a_user_has_asked_for_is_counted_over_all_processes_and_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let most = PerDay { calls: Some(2), values: Some(3), bytes: Some(100), questions: None };
        let of = |user: &str| counting(user, Some(folder.path()), most);
        assert_eq!(of("u").call_on(DAY).unwrap(), None);
        let (mut one, mut two) = (of("u"), of("u"));
        assert_eq!(one.call_on(DAY).unwrap(), None);
        for each in [&mut one, &mut two, &mut of("u")] {
            assert_eq!(each.call_on(DAY).unwrap(), Some(Over { what: "calls", most: 2 }));
        }
        assert_eq!(of("other").call_on(DAY).unwrap(), None);
        assert_eq!(one.leave_on(DAY, 60).unwrap(), None);
        assert_eq!(two.leave_on(DAY, 60).unwrap(), Some(Over { what: "bytes", most: 100 }));
        assert_eq!(two.leave_on(DAY, 40).unwrap(), None);
        assert_eq!(two.leave_on(DAY, 0).unwrap(), None);
        assert_eq!(one.leave_on(DAY, 0).unwrap(), Some(Over { what: "values", most: 3 }));
        assert!(one.call_on(DAY - 1).unwrap().is_some(), "a clock that was set back gives nobody another day");
        assert_eq!(one.call_on(DAY + 1).unwrap(), None);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn calls_that_are_counted_ahead_are_never_too_many_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let of = || counting("u", Some(folder.path()), PerDay { calls: Some(300), ..PerDay::default() });
        let (mut one, mut other, mut third) = (of(), of(), of());
        assert_eq!(calls(&mut one, 101), 101);
        let ahead = 199 - calls(&mut third, 1000);
        assert!(0 < ahead && ahead <= 4, "what one process has ahead is kept from others, and is little: {ahead}");
        one.rest().unwrap();
        assert_eq!(calls(&mut third, 1000) + calls(&mut other, 1000), ahead);
        for each in [&mut one, &mut other, &mut third] {
            each.rest().unwrap();
        }
        assert_eq!(calls(&mut of(), 1), 0);
    }

    #[test]
    fn what_the_policy_says_later_holds_at_once_also_for_calls_that_were_counted_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = counting("u", Some(folder.path()), PerDay { calls: Some(100_000), ..PerDay::default() });
        assert_eq!(calls(&mut one, 50), 50);
        one.allow(PerDay { calls: Some(52), ..PerDay::default() }).unwrap();
        assert_eq!(calls(&mut one, 1000), 2);
    }

    #[test]
    fn different_questions_of_a_day_are_counted_over_processes() {
        let scratch = tempfile::tempdir().unwrap();
        let most = PerDay { questions: Some(2), ..PerDay::default() };
        let over = Some(Over { what: "questions", most: 2 });
        for folder in [Some(scratch.path()), None] {
            let mut one = counting("u", folder, most);
            let asks = |one: &mut Counting, provider, given| one.question_on(DAY, "work.Add", provider, given).unwrap();
            for _ in 0..3 {
                assert_eq!(asks(&mut one, None, "{\"a\":1}"), None);
                assert_eq!(asks(&mut one, None, "{\"a\":2}"), None);
            }
            assert_eq!(asks(&mut one, Some("p"), "{\"a\":1}"), over);
            assert_eq!(asks(&mut one, None, "{\"a\":3}"), over);
            assert_eq!(one.question_on(DAY, "work.Echo", None, "{\"a\":1}").unwrap(), over);
            assert_eq!(asks(&mut counting("other", folder, most), None, "{\"a\":3}"), None);
            if folder.is_some() {
                assert_eq!(asks(&mut counting("u", folder, most), None, "{\"a\":3}"), over);
                assert_eq!(asks(&mut counting("u", folder, most), None, "{\"a\":2}"), None);
            }
            assert_eq!(one.question_on(DAY + 1, "work.Add", None, "{\"a\":3}").unwrap(), None);
            assert_eq!(one.question_on(DAY + 1, "work.Add", None, "{\"a\":4}").unwrap(), None);
            assert_eq!(one.question_on(DAY + 1, "work.Add", None, "{\"a\":1}").unwrap(), over);
            assert_eq!(one.question_on(DAY, "work.Add", None, "{\"a\":1}").unwrap(), over);
        }
    }

    #[test]
    fn a_file_that_was_cut_or_made_longer_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let most = PerDay { calls: Some(2), questions: Some(2), ..PerDay::default() };
        counting("u", Some(folder.path()), most).call_on(DAY).unwrap();
        counting("u", Some(folder.path()), most).question_on(DAY, "a", None, "{}").unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            for bytes in [0, 3, 9, 200] {
                File::options().write(true).open(file.as_ref().unwrap().path()).unwrap().set_len(bytes).unwrap();
                let mut one = counting("u", Some(folder.path()), most);
                one.call_on(DAY + 1).unwrap();
                one.question_on(DAY + 1, "a", None, "{}").unwrap();
            }
        }
    }
}
