//! How is a record written, so that no job waits for it?

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::folder::{Folder, MOST_BYTES, MOST_RECORDS};
use crate::format::{Entry, Header};

/// The most entries of one job that are written; what is more is counted.
pub const MOST_ENTRIES: usize = 20_000;

/// The most entries that wait to be written; what is more is counted.
const MOST_WAITING: usize = 65_536;

/// After so many new records the old ones are looked at again.
const PRUNE_AFTER: usize = 16;

enum Order {
    Begin(Header),
    Resume(String, f64),
    Add(String, Vec<Entry>, Arc<AtomicU64>),
    End(String, Entry, Arc<AtomicU64>),
    /// Answers when all before it is written.
    Reached(Sender<()>),
}

/// Writes records on a thread of its own, which ends with this.
pub struct Writer {
    orders: Sender<Order>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    problem: Mutex<Option<String>>,
}

impl Writer {
    /// For the records in this folder.
    ///
    /// # Errors
    /// The system gives it no thread.
    pub fn new(folder: Folder) -> io::Result<Self> {
        let (orders, incoming) = channel();
        let shared = Arc::new(Shared::default());
        let here = Arc::clone(&shared);
        thread::Builder::new().name("dfm-history".to_owned()).spawn(move || serve(&folder, &incoming, &here))?;
        Ok(Self { orders, shared })
    }

    /// Begins the record of a new job.
    pub fn begin(&self, header: Header) {
        self.say(Order::Begin(header));
    }

    /// Goes on with the record of a job that another application has left, if there is one.
    pub fn resume(&self, job: &str, at: f64) {
        self.say(Order::Resume(job.to_owned(), at));
    }

    /// Adds to a job's record. If too much waits to be written, these are added to `dropped` instead.
    pub fn add(&self, job: &str, entries: Vec<Entry>, dropped: &Arc<AtomicU64>) {
        let count = entries.len();
        if self.shared.waiting.fetch_add(count, Ordering::Relaxed).saturating_add(count) > MOST_WAITING {
            self.shared.waiting.fetch_sub(count, Ordering::Relaxed);
            dropped.fetch_add(count as u64, Ordering::Relaxed);
            return;
        }
        self.say(Order::Add(job.to_owned(), entries, Arc::clone(dropped)));
    }

    /// Ends a job's record; `dropped` is how much is not in it.
    pub fn end(&self, job: &str, entry: Entry, dropped: &Arc<AtomicU64>) {
        self.say(Order::End(job.to_owned(), entry, Arc::clone(dropped)));
    }

    /// Waits until all that was said is written, or no longer than this.
    pub fn flush(&self, patience: Duration) {
        let (reached, answer) = channel();
        self.say(Order::Reached(reached));
        let _ = answer.recv_timeout(patience);
    }

    /// Why a record could not be written, the first time that is asked after it.
    pub fn problem(&self) -> Option<String> {
        self.shared.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn say(&self, order: Order) {
        // Only a thread that is gone hears nothing, and then there is no record.
        let _ = self.orders.send(order);
    }
}

/// A record that is being written. Its lock says that its job is not at its end.
struct Open {
    file: File,
    entries: usize,
}

impl Open {
    fn new(folder: &Folder, job: &str, new: bool) -> io::Result<Self> {
        let file = folder.open(job, new)?;
        file.try_lock()?;
        Ok(Self { file, entries: 0 })
    }

    fn write<T: Serialize>(&mut self, lines: &[T]) -> io::Result<()> {
        let mut text = vec![];
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        self.file.write_all(&text)
    }
}

fn serve(folder: &Folder, orders: &Receiver<Order>, shared: &Shared) {
    let (mut open, mut new) = (HashMap::<String, Open>::new(), 0);
    while let Ok(order) = orders.recv() {
        let did = match order {
            Order::Begin(header) => {
                if new % PRUNE_AFTER == 0 {
                    folder.prune(MOST_RECORDS - PRUNE_AFTER, MOST_BYTES);
                }
                new += 1;
                let begun = Open::new(folder, &header.job, true).and_then(|mut record| {
                    record.write(std::slice::from_ref(&header))?;
                    Ok(record)
                });
                begun.map(|record| drop(open.insert(header.job, record)))
            }
            Order::Resume(job, at) => match Open::new(folder, &job, false) {
                Ok(mut record) => {
                    let did = record.write(&[Entry::Resumed { at }]);
                    open.insert(job, record);
                    did
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            },
            Order::Add(job, mut entries, dropped) => {
                shared.waiting.fetch_sub(entries.len(), Ordering::Relaxed);
                let record = open.get_mut(&job);
                let room = record.as_ref().map_or(0, |record| MOST_ENTRIES - record.entries);
                dropped.fetch_add(entries.len().saturating_sub(room) as u64, Ordering::Relaxed);
                entries.truncate(room);
                record.map_or(Ok(()), |record| {
                    record.entries += entries.len();
                    record.write(&entries)
                })
            }
            Order::End(job, entry, dropped) => {
                open.remove(&job).map_or(Ok(()), |mut record| match dropped.load(Ordering::Relaxed) {
                    0 => record.write(&[entry]),
                    count => record.write(&[Entry::LeftOut { site: None, count }, entry]),
                })
            }
            Order::Reached(reached) => {
                let _ = reached.send(());
                Ok(())
            }
        };
        if let Err(error) = did {
            let mut problem = shared.problem.lock().unwrap_or_else(PoisonError::into_inner);
            problem.get_or_insert_with(|| error.to_string());
        }
    }
}
