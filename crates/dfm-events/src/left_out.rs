//! What has happened in a job that its record does not tell one by one?

use std::sync::{Mutex, MutexGuard, PoisonError};

use dfm_net::{Counted, Noted};
use indexmap::IndexMap;

use crate::format::{Entry, More};

/// The most numbers of one job.
const MOST_NUMBERS: usize = 20_000;

/// What there was no room for, by its number.
#[derive(Default)]
pub struct LeftOut(Mutex<Numbers>);

#[derive(Default)]
struct Numbers {
    /// How much the record has no room for.
    count: u64,
    /// Site and kind, in the order in which they came.
    more: IndexMap<(String, Counted), Number>,
    /// Whether that is another than was taken last.
    is_new: bool,
}

/// How often, and how many bytes.
#[derive(Default)]
struct Number {
    /// As the site has counted what it does not note.
    told: (u64, u64),
    /// Of what it has noted and the record has no room for.
    dropped: (u64, u64),
}

impl LeftOut {
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much the record has no room for.
    pub fn count(&self) -> u64 {
        self.numbers().count
    }

    /// There is no room for so many entries.
    pub(crate) fn add(&self, count: u64) {
        self.numbers().count += count;
    }

    /// There is no room for this.
    pub(crate) fn add_noted(&self, site: &str, noted: &Noted) {
        if matches!(noted, Noted::More { .. }) {
            return;
        }
        let mut numbers = self.numbers();
        numbers.count += 1;
        if let Some((of, bytes)) = Counted::instead_of(noted.clone())
            && let Some(number) = numbers.of(site, of)
        {
            let (count, all) = number.dropped;
            number.dropped = (count + 1, all.saturating_add(bytes));
        }
    }

    /// Takes what a site has only counted.
    pub(crate) fn hear(&self, site: &str, noted: &[Noted]) {
        for one in noted {
            if let Noted::More { of, count, bytes } = one
                && let Some(number) = self.numbers().of(site, of.clone())
            {
                number.told = (*count, *bytes);
            }
        }
    }

    /// Whether there are other numbers than were taken last.
    pub(crate) fn has_news(&self) -> bool {
        self.numbers().is_new
    }

    /// All numbers, as a record has them.
    pub(crate) fn take(&self) -> Vec<Entry> {
        let mut numbers = self.numbers();
        numbers.is_new = false;
        let entry = |((site, of), Number { told, dropped }): (&(String, Counted), &Number)| Entry::More {
            site: site.clone(),
            of: More::new(of.clone(), told.1.saturating_add(dropped.1)),
            count: told.0.saturating_add(dropped.0),
        };
        numbers.more.iter().map(entry).collect()
    }
}

impl Numbers {
    /// The number of that, which changes now; `None` where there are too many.
    fn of(&mut self, site: &str, of: Counted) -> Option<&mut Number> {
        let key = (site.to_owned(), of);
        if self.more.len() == MOST_NUMBERS && !self.more.contains_key(&key) {
            return None;
        }
        self.is_new = true;
        Some(self.more.entry(key).or_default())
    }
}
