//! How is a record written, so that no job waits for it?

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dfm_net::Noted;
use serde::Serialize;

use crate::folder::{Folder, MOST_BYTES, MOST_RECORDS};
use crate::format::{Entry, Header};
use crate::left_out::LeftOut;

/// The most entries of one job that are written; what is more is counted.
pub const MOST_ENTRIES: usize = 20_000;

/// The most entries that wait to be written; what is more is counted.
const MOST_WAITING: usize = 65_536;

/// For so long orders gather before they are done, so that who gives them wakes the thread once for many, and the thread does
/// its work when a short job is over.
const GATHER: Duration = Duration::from_millis(50);

/// A record that has numbers at its end is written no more often than that.
const REWRITE: Duration = Duration::from_millis(500);

/// After so many new records the old ones are looked at again.
const PRUNE_AFTER: usize = 16;

enum Order {
    Begin(Header, Arc<LeftOut>),
    Resume(String, f64, Arc<LeftOut>),
    Add(String, Vec<Entry>),
    /// What that site has noted: it becomes entries where no job waits for it.
    AddNoted(String, String, Arc<Vec<Noted>>),
    End(String, Vec<Entry>),
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

    /// Waits for orders, where something is `due` no longer than until that can be written; gathers them, and takes them.
    /// `None` when there will be none.
    fn take(&self, due: bool) -> Option<Vec<Order>> {
        let idle = |queue: &mut Queue| queue.orders.is_empty() && !queue.over;
        let wait = if due { REWRITE } else { Duration::MAX };
        let waited = self.wake.wait_timeout_while(self.queue(), wait, idle).unwrap_or_else(PoisonError::into_inner);
        let queue = waited.0;
        let calm = |queue: &mut Queue| !queue.hurry && !queue.over;
        let gathered = self.wake.wait_timeout_while(queue, GATHER, calm).unwrap_or_else(PoisonError::into_inner);
        let mut queue = gathered.0;
        (queue.entries, queue.hurry) = (0, false);
        let orders = std::mem::take(&mut queue.orders);
        (!orders.is_empty() || !queue.over).then_some(orders)
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

    /// Begins the record of a new job, of which what it has no room for goes to `left_out`.
    pub fn begin(&self, header: Header, left_out: &Arc<LeftOut>) {
        self.say(self.0.queue(), Order::Begin(header, Arc::clone(left_out)));
    }

    /// Goes on with the record of a job that another application has left, if there is one.
    pub fn resume(&self, job: &str, at: f64, left_out: &Arc<LeftOut>) {
        self.say(self.0.queue(), Order::Resume(job.to_owned(), at, Arc::clone(left_out)));
    }

    /// Adds to a job's record. If too much waits to be written, these are left out.
    pub fn add(&self, job: &str, entries: Vec<Entry>, left_out: &LeftOut) {
        let count = entries.len();
        if !self.say_many(count, Order::Add(job.to_owned(), entries)) {
            left_out.add(count as u64);
        }
    }

    /// Adds what a site has noted of a job, as `add`.
    pub fn add_noted(&self, job: &str, site: &str, noted: Arc<Vec<Noted>>, left_out: &LeftOut) {
        left_out.hear(site, &noted);
        let order = Order::AddNoted(job.to_owned(), site.to_owned(), Arc::clone(&noted));
        if !self.say_many(noted.len(), order) {
            noted.iter().for_each(|one| left_out.add_noted(site, one));
        }
    }

    /// Ends a job's record with these.
    pub fn end(&self, job: &str, entries: Vec<Entry>) {
        self.say(self.0.queue(), Order::End(job.to_owned(), entries));
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

    /// Whether there is room for so many entries to wait.
    fn say_many(&self, count: usize, order: Order) -> bool {
        let mut queue = self.0.queue();
        let room = queue.entries + count <= MOST_WAITING;
        if room {
            queue.entries += count;
            self.say(queue, order);
        }
        room
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
    left_out: Arc<LeftOut>,
    /// Where the file goes on. What is there are the numbers of what was left out, which grow: they are written over.
    at: u64,
    /// When they were written.
    numbers: Option<Instant>,
}

impl Open {
    fn new(folder: &Folder, job: &str, new: bool, left_out: Arc<LeftOut>) -> io::Result<Self> {
        let file = folder.open(job, new)?;
        file.try_lock()?;
        let at = file.metadata()?.len();
        Ok(Self { file, entries: 0, text: vec![], left_out, at, numbers: None })
    }

    fn add<T: Serialize>(&mut self, lines: &[T]) -> io::Result<()> {
        for line in lines {
            serde_json::to_writer(&mut self.text, line)?;
            self.text.push(b'\n');
        }
        Ok(())
    }

    /// Adds entries as far as there is room; how many.
    fn add_some(&mut self, entries: &[Entry]) -> io::Result<usize> {
        let room = entries.len().min(MOST_ENTRIES - self.entries);
        self.entries += room;
        self.add(&entries[..room])?;
        Ok(room)
    }

    fn is_due(&self) -> bool {
        !self.text.is_empty() || self.left_out.has_news()
    }

    /// Writes what is not in the file yet, if it is time for that or somebody waits for it.
    fn write(&mut self, hurry: bool) -> io::Result<()> {
        let is_early = self.numbers.is_some_and(|at| at.elapsed() < REWRITE);
        if !self.is_due() || is_early && !hurry {
            return Ok(());
        }
        let kept = self.text.len();
        let numbers = self.left_out.take();
        if !numbers.is_empty() {
            self.numbers = Some(Instant::now());
            self.add(&numbers)?;
        }
        self.write_text(kept)
    }

    /// Writes all that is left, and these behind it.
    fn end(&mut self, entries: &[Entry]) -> io::Result<()> {
        let numbers = self.left_out.take();
        self.add(&numbers)?;
        let count = self.left_out.count();
        if count > 0 {
            self.add(&[Entry::LeftOut { site: None, count }])?;
        }
        self.add(entries)?;
        self.write_text(self.text.len())
    }

    /// Writes the text, of which so many bytes stay as they are.
    fn write_text(&mut self, kept: usize) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        self.file.write_all_at(&text, self.at)?;
        self.at += kept as u64;
        Ok(())
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
    let mut due = false;
    while let Some(orders) = shared.take(due) {
        let mut reached = vec![];
        for order in orders {
            match order {
                Order::Reached(whom) => reached.push(whom),
                order => note(records.obey(order)),
            }
        }
        records.open.values_mut().for_each(|record| note(record.write(!reached.is_empty())));
        due = records.open.values().any(Open::is_due);
        for whom in reached {
            // Nobody has to be there any more.
            let _ = whom.send(());
        }
    }
}

impl Records<'_> {
    fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Begin(header, left_out) => {
                if self.new.is_multiple_of(PRUNE_AFTER) {
                    self.folder.prune(MOST_RECORDS - PRUNE_AFTER, MOST_BYTES);
                }
                self.new += 1;
                let mut record = Open::new(self.folder, &header.job, true, left_out)?;
                record.add(std::slice::from_ref(&header))?;
                self.open.insert(header.job, record);
            }
            Order::Resume(job, at, left_out) => match Open::new(self.folder, &job, false, left_out) {
                Ok(mut record) => {
                    record.add(&[Entry::Resumed { at }])?;
                    self.open.insert(job, record);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            Order::Add(job, entries) => {
                let Some(record) = self.open.get_mut(&job) else { return Ok(()) };
                let room = record.add_some(&entries)?;
                record.left_out.add((entries.len() - room) as u64);
            }
            Order::AddNoted(job, site, noted) => {
                let Some(record) = self.open.get_mut(&job) else { return Ok(()) };
                let one_by_one = || noted.iter().filter(|noted| !matches!(noted, Noted::More { .. }));
                let entries: Vec<Entry> = one_by_one().map(|noted| Entry::noted(&site, noted.clone())).collect();
                let room = record.add_some(&entries)?;
                one_by_one().skip(room).for_each(|noted| record.left_out.add_noted(&site, noted));
            }
            Order::End(job, entries) => {
                if let Some(mut record) = self.open.remove(&job) {
                    record.end(&entries)?;
                }
            }
            Order::Reached(_) => {}
        }
        Ok(())
    }
}
