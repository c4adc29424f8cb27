//! What does Python see of what is kept for an application that may come back?

use bytes::Bytes;
use dfm_runtime::{Outline, Packet};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::buffers::Held;
use crate::classes::{Members, classes};
use crate::events::{Unfinished, unfinished};
use crate::site::frame_of;

classes! {
    /// How far a job is.
    Progress {
        /// How many frames have begun.
        frames: u32,
        /// Whether that is all.
        stopped: bool,
        /// How many tokens came from other sites.
        tokens: u64,
        /// How many errors.
        errors: u64,
        /// The sites that are waited for.
        waiting: Vec<String>,
    }

    /// What the homesite orders for a job.
    Order {
        /// An `OrderKind`.
        kind: Py<PyAny>,
        /// The job's number.
        job: u64,
    }
}

/// What may be ordered for a job.
pub static ORDER_KIND: Members<3> = Members::new("OrderKind", ["NET", "PARAMS", "CANCEL"]);

/// A packet that was kept: who sent it, its sealed outline, and the sealed rest, unless its value was had.
type KeptPacket<'py> = (String, Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>);

/// What is kept of a session's jobs. It does not lock: its owner calls it from one thread at a time.
#[pyclass(module = "dfm._native")]
pub struct Keeper {
    keeper: dfm_runtime::Keeper,
}

#[pymethods]
impl Keeper {
    /// It keeps about so many bytes of all jobs at most, see `let_go`.
    #[new]
    fn new(most: usize) -> Self {
        Self { keeper: dfm_runtime::Keeper::new(most) }
    }

    /// Where more is kept than may be, lets go of the job of which most is: its number.
    fn let_go(&mut self) -> Option<u64> {
        self.keeper.let_go()
    }

    /// Takes a packet of home's record: its outline, and how it was sealed, in two parts.
    fn record(&mut self, home: String, outline: &[u8], head: &[u8], body: &Bound<'_, PyAny>) -> PyResult<()> {
        self.keeper.record(outline, packet(home, head, body)?);
        Ok(())
    }

    /// Keeps a packet for home: the number of its job, if that is kept.
    fn take(&mut self, site: String, outline: &[u8], head: &[u8], body: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        Ok(self.keeper.take(outline, packet(site, head, body)?))
    }

    /// The application has had so many tokens in all through a `Yield` in a frame.
    fn acknowledge(&mut self, job: u64, transition: u32, frame: Vec<u32>, had: u64) {
        if let Some(frame) = frame_of(&frame) {
            self.keeper.acknowledge(job, transition, &frame, had);
        }
    }

    /// Lets go of a job.
    fn forget(&mut self, job: u64) {
        self.keeper.forget(job);
    }

    /// The numbers of the jobs that are kept.
    fn jobs(&self) -> Vec<u64> {
        self.keeper.jobs().collect()
    }

    /// How far a job is, if it is kept.
    fn progress(&self, job: u64) -> Option<Progress> {
        let dfm_runtime::Progress { frames, stopped, tokens, errors, waiting } = self.keeper.progress(job)?;
        Some(Progress { frames, stopped, tokens, errors, waiting })
    }

    /// All that was kept of a job, in the order in which it came: first its plan.
    fn history<'py>(&self, py: Python<'py>, job: u64) -> Vec<KeptPacket<'py>> {
        self.keeper.history(job).map(|packet| kept(py, packet)).collect()
    }

    /// What the application has had: (transition, frame, how many tokens).
    fn had<'py>(&self, py: Python<'py>, job: u64) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for ((transition, frame), had) in self.keeper.had(job) {
            list.append((transition, PyTuple::new(py, frame.levels())?, had))?;
        }
        Ok(list)
    }

    /// Sites are asked what a job has not done there: what they answered before is not told any more.
    fn ask(&mut self, job: u64) {
        self.keeper.ask(job);
    }

    /// The packet that asks a site what a job has not done there; `told` has the answers.
    #[staticmethod]
    fn question(py: Python<'_>, job: u64) -> Bound<'_, PyBytes> {
        PyBytes::new(py, &dfm_runtime::Keeper::question(job))
    }

    /// What sites have answered.
    fn told<'py>(&self, py: Python<'py>, job: u64) -> Vec<KeptPacket<'py>> {
        self.keeper.told(job).map(|packet| kept(py, packet)).collect()
    }

    /// The packet with which home has a site forget a job.
    #[staticmethod]
    fn cancellation(py: Python<'_>, job: u64) -> Bound<'_, PyBytes> {
        PyBytes::new(py, &dfm_runtime::Keeper::cancellation(job))
    }
}

/// From so many bytes on, a body is kept as the memory that it came in: it is nearly all of that.
const HELD_FROM: usize = 1 << 20;

fn packet(from: String, head: &[u8], body: &Bound<'_, PyAny>) -> PyResult<Packet> {
    let held = Held::new(body)?;
    let size = held.as_ref().len();
    let body = if size < HELD_FROM { Bytes::copy_from_slice(held.as_ref()) } else { Bytes::from_owner(held) };
    Ok(Packet { from, head: head.to_vec(), body: Some(body) })
}

fn kept<'py>(py: Python<'py>, packet: &Packet) -> KeptPacket<'py> {
    let body = packet.body.as_ref().map(|body| PyBytes::new(py, body));
    (packet.from.clone(), PyBytes::new(py, &packet.head), body)
}

/// What may be seen of a packet between the homesite and another: its outline, the job of which it is to be kept, and
/// whether nothing more of that follows from the site that sends it.
#[pyfunction]
pub fn outline<'py>(
    py: Python<'py>,
    home: &str,
    packet: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyBytes>, Option<u64>, bool)> {
    let outline = Outline::of(home, Held::new(packet)?.as_ref());
    Ok((PyBytes::new(py, &outline.to_bytes()), outline.kept(), outline.is_last()))
}

/// Which of the homesite's orders for a job a packet is; None for all others.
#[pyfunction]
pub fn order(py: Python<'_>, packet: &Bound<'_, PyAny>) -> PyResult<Option<Order>> {
    let Some(order) = dfm_runtime::Order::of(Held::new(packet)?.as_ref()) else { return Ok(None) };
    let (place, job) = match order {
        dfm_runtime::Order::Net(job) => (0, job),
        dfm_runtime::Order::Params(job) => (1, job),
        dfm_runtime::Order::Cancel(job) => (2, job),
    };
    Ok(Some(Order { kind: ORDER_KIND.member(py, place)?, job }))
}

/// A packet that was kept, when it is opened: who sent it, its outline, and itself, unless its value was had.
type Opened<'py> = (String, Vec<u8>, Option<Bound<'py, PyAny>>);
/// A `Yield` in a frame, and how many values of it are not there any more.
type Dropped<'py> = (u32, Bound<'py, PyTuple>, u64);

/// What `Site.replay` needs, and how many values of each series are not there any more.
type Unfolded<'py> = (Vec<(String, Bound<'py, PyBytes>)>, Vec<Dropped<'py>>);

/// Out of all that was kept of a job, what a new home needs; None if more is missing than values that were had.
#[pyfunction]
pub fn unfold<'py>(py: Python<'py>, home: &str, history: Vec<Opened<'py>>) -> PyResult<Option<Unfolded<'py>>> {
    let bytes = |packet: &Bound<'py, PyAny>| PyResult::Ok(Held::new(packet)?.as_ref().to_vec());
    let history = history
        .iter()
        .map(|(from, outline, packet)| Ok((from.clone(), outline.clone(), packet.as_ref().map(bytes).transpose()?)));
    let Some((packets, dropped)) = dfm_runtime::unfold(home, history.collect::<PyResult<_>>()?) else {
        return Ok(None);
    };
    let packets = packets.into_iter().map(|(from, packet)| (from, PyBytes::new(py, &packet))).collect();
    let dropped = dropped
        .into_iter()
        .map(|((transition, frame), count)| Ok((transition, PyTuple::new(py, frame.levels())?, count)));
    Ok(Some((packets, dropped.collect::<PyResult<_>>()?)))
}

/// What a site has answered who asked it in the homesite's name; None if it is no answer.
#[pyfunction]
pub fn read_answer(py: Python<'_>, plan: &[u8], site: &str, answer: &[u8]) -> PyResult<Option<Py<Unfinished>>> {
    let told = dfm_runtime::read_answer(plan, site, answer);
    told.map(|(waits, more)| unfinished(py, waits, more)).transpose()
}
