//! How is a record written, so that no job waits for it?

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dfm_net::Noted;
use serde::Serialize;

use crate::folder::{Folder, MOST_BYTES, MOST_RECORDS};
use crate::format::{Entry, Header};

/// The most entries of one job that are written; what is more is counted.
pub const MOST_ENTRIES: usize = 20_000;

/// The most entries that wait to be written; what is more is counted.
const MOST_WAITING: usize = 65_536;

/// For so long orders gather before they are done, so that who gives them wakes the thread once for many, and the thread does
/// its work when a short job is over.
const GATHER: Duration = Duration::from_millis(50);

/// After so many new records the old ones are looked at again.
const PRUNE_AFTER: usize = 16;

enum Order {
    Begin(Header),
    Resume(String, f64),
    Add(String, Vec<Entry>, Arc<AtomicU64>),
    /// What that site has noted: it becomes entries where no job waits for it.
    AddNoted(String, String, Arc<Vec<Noted>>, Arc<AtomicU64>),
    End(String, Vec<Entry>, Arc<AtomicU64>),
    /// Answers when all before it is written.
    Reached(Sender<()>),
}

/// Writes records on a thread of its own, which ends with this.
pub struct Writer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// That there is something to do, or that it is not to wait any longer.
    wake: Condvar,
    problem: Mutex<Option<String>>,
}

#[derive(Default)]
struct Queue {
    orders: Vec<Order>,
    /// Entries in them.
    entries: usize,
    /// Somebody waits for what is written.
    hurry: bool,
    /// The writer is gone.
    over: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for orders, gathers them, and takes them. `None` when there will be none.
    fn take(&self) -> Option<Vec<Order>> {
        let idle = |queue: &mut Queue| queue.orders.is_empty() && !queue.over;
        let queue = self.wake.wait_while(self.queue(), idle).unwrap_or_else(PoisonError::into_inner);
        let calm = |queue: &mut Queue| !queue.hurry && !queue.over;
        let gathered = self.wake.wait_timeout_while(queue, GATHER, calm).unwrap_or_else(PoisonError::into_inner);
        let mut queue = gathered.0;
        (queue.entries, queue.hurry) = (0, false);
        let orders = std::mem::take(&mut queue.orders);
        (!orders.is_empty()).then_some(orders)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.queue().over = true;
        self.0.wake.notify_all();
    }
}

impl Writer {
    /// For the records in this folder.
    ///
    /// # Errors
    /// The system gives it no thread.
    pub fn new(folder: Folder) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let here = Arc::clone(&shared);
        thread::Builder::new().name("dfm-history".to_owned()).spawn(move || serve(&folder, &here))?;
        Ok(Self(shared))
    }

    /// Begins the record of a new job.
    pub fn begin(&self, header: Header) {
        self.say(self.0.queue(), Order::Begin(header));
    }

    /// Goes on with the record of a job that another application has left, if there is one.
    pub fn resume(&self, job: &str, at: f64) {
        self.say(self.0.queue(), Order::Resume(job.to_owned(), at));
    }

    /// Adds to a job's record. If too much waits to be written, these are added to `dropped` instead.
    pub fn add(&self, job: &str, entries: Vec<Entry>, dropped: &Arc<AtomicU64>) {
        let count = entries.len();
        self.say_many(count, dropped, Order::Add(job.to_owned(), entries, Arc::clone(dropped)));
    }

    /// Adds what a site has noted of a job, as `add`.
    pub fn add_noted(&self, job: &str, site: &str, noted: Arc<Vec<Noted>>, dropped: &Arc<AtomicU64>) {
        let count = noted.len();
        self.say_many(count, dropped, Order::AddNoted(job.to_owned(), site.to_owned(), noted, Arc::clone(dropped)));
    }

    /// Ends a job's record with these; `dropped` is how much is not in it.
    pub fn end(&self, job: &str, entries: Vec<Entry>, dropped: &Arc<AtomicU64>) {
        self.say(self.0.queue(), Order::End(job.to_owned(), entries, Arc::clone(dropped)));
    }

    /// Waits until all that was said is written, or no longer than this.
    pub fn flush(&self, patience: Duration) {
        let (reached, answer) = channel();
        let mut queue = self.0.queue();
        queue.hurry = true;
        queue.orders.push(Order::Reached(reached));
        drop(queue);
        self.0.wake.notify_all();
        let _ = answer.recv_timeout(patience);
    }

    /// Why a record could not be written, the first time that is asked after it.
    pub fn problem(&self) -> Option<String> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn say_many(&self, count: usize, dropped: &AtomicU64, order: Order) {
        let mut queue = self.0.queue();
        if queue.entries + count > MOST_WAITING {
            dropped.fetch_add(count as u64, Ordering::Relaxed);
            return;
        }
        queue.entries += count;
        self.say(queue, order);
    }

    fn say(&self, mut queue: MutexGuard<'_, Queue>, order: Order) {
        queue.orders.push(order);
        let first = queue.orders.len() == 1;
        drop(queue);
        // Whoever gathers is awake, or wakes by itself.
        if first {
            self.0.wake.notify_all();
        }
    }
}

/// A record that is being written. Its lock says that its job is not at its end.
struct Open {
    file: File,
    entries: usize,
    /// What is not in the file yet.
    text: Vec<u8>,
}

impl Open {
    fn new(folder: &Folder, job: &str, new: bool) -> io::Result<Self> {
        let file = folder.open(job, new)?;
        file.try_lock()?;
        Ok(Self { file, entries: 0, text: vec![] })
    }

    fn add<T: Serialize>(&mut self, lines: &[T]) -> io::Result<()> {
        for line in lines {
            serde_json::to_writer(&mut self.text, line)?;
            self.text.push(b'\n');
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_all(&std::mem::take(&mut self.text))
    }
}

/// The records that are being written.
struct Records<'f> {
    folder: &'f Folder,
    open: HashMap<String, Open>,
    new: usize,
}

fn serve(folder: &Folder, shared: &Shared) {
    // Jobs come first. Where the system does not let it be so, they take turns.
    let _ = rustix::process::setpriority_process(None, 10);
    let mut records = Records { folder, open: HashMap::new(), new: 0 };
    let note = |did: io::Result<()>| {
        if let Err(error) = did {
            let mut problem = shared.problem.lock().unwrap_or_else(PoisonError::into_inner);
            problem.get_or_insert_with(|| error.to_string());
        }
    };
    while let Some(orders) = shared.take() {
        let mut reached = vec![];
        for order in orders {
            match order {
                Order::Reached(whom) => reached.push(whom),
                order => note(records.obey(order)),
            }
        }
        records.open.values_mut().for_each(|record| note(record.write()));
        for whom in reached {
            // Nobody has to be there any more.
            let _ = whom.send(());
        }
    }
}

impl Records<'_> {
    fn add(&mut self, job: &str, mut entries: Vec<Entry>, dropped: &AtomicU64) -> io::Result<()> {
        let record = self.open.get_mut(job);
        let room = record.as_ref().map_or(0, |record| MOST_ENTRIES - record.entries);
        dropped.fetch_add(entries.len().saturating_sub(room) as u64, Ordering::Relaxed);
        entries.truncate(room);
        let Some(record) = record else { return Ok(()) };
        record.entries += entries.len();
        record.add(&entries)
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Begin(header) => {
                if self.new.is_multiple_of(PRUNE_AFTER) {
                    self.folder.prune(MOST_RECORDS - PRUNE_AFTER, MOST_BYTES);
                }
                self.new += 1;
                let mut record = Open::new(self.folder, &header.job, true)?;
                record.add(std::slice::from_ref(&header))?;
                self.open.insert(header.job, record);
            }
            Order::Resume(job, at) => match Open::new(self.folder, &job, false) {
                Ok(mut record) => {
                    record.add(&[Entry::Resumed { at }])?;
                    self.open.insert(job, record);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            Order::Add(job, entries, dropped) => self.add(&job, entries, &dropped)?,
            Order::AddNoted(job, site, noted, dropped) => {
                let entries = noted.iter().map(|noted| Entry::noted(&site, noted.clone())).collect();
                self.add(&job, entries, &dropped)?;
            }
            Order::End(job, entries, dropped) => {
                let Some(mut record) = self.open.remove(&job) else { return Ok(()) };
                let count = dropped.load(Ordering::Relaxed);
                if count > 0 {
                    record.add(&[Entry::LeftOut { site: None, count }])?;
                }
                record.add(&entries)?;
                record.write()?;
            }
            Order::Reached(_) => {}
        }
        Ok(())
    }
}
