//! What does Python see of a site that runs in this process?
//!
//! A [`Site`] belongs to the thread of its event loop: its methods may call Python code that encodes or decodes a
//! value, but never an adapter, and are never called from another thread meanwhile.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use dfm_net::{Asked, Frame, Line, Outcome, Step, Wrong};
use dfm_runtime::{Holder, Link};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::buffers::Held as HeldBytes;
use crate::calls::{self, Call};
use crate::carried::Carried;
use crate::events::{self, Trace, Unfinished};
use crate::host::PythonHost;
use crate::object::{Object, wrong};
use crate::plan::Plan;
use crate::recording::{self, CameTo};

/// A call as far as its pipeline says it: operation and provider, the parameters that it gives, as JSON, and those that
/// are open.
pub type AskedOf = (String, Option<String>, Option<String>, Vec<String>);

/// That a number cannot be a descriptor's.
pub fn no_descriptor(fd: i32) -> PyErr {
    PyValueError::new_err(format!("{fd} is no descriptor"))
}

/// A call's node, its frame, and the places that its result goes to as it comes.
type StreamsTo = (Py<PyAny>, Vec<u32>, Vec<Option<String>>);

/// A node, its operation and its provider.
type Called = (Py<PyAny>, String, Option<String>);

/// A transition and a frame.
type Firing = (u32, Py<PyTuple>);

/// A node, and its operation if it has one.
type Named = (Py<PyAny>, Option<String>);

/// A job, a node and a frame.
type Origin = (u64, Py<PyAny>, Py<PyTuple>);

/// One site of a session, in this process.
#[pyclass(module = "dfm._native")]
pub struct Site {
    site: dfm_runtime::Site<PythonHost>,
}

#[pymethods]
impl Site {
    #[new]
    #[pyo3(signature = (name, home=None))]
    fn new(name: String, home: Option<String>) -> Self {
        dfm_runtime::raise_descriptors();
        let host = PythonHost {
            holder: Holder::new(u64::MAX),
            judge: None,
            digests: false,
            receipt: None,
            opens: HashSet::new(),
        };
        Self { site: dfm_runtime::Site::new(name, home, host) }
    }

    /// Takes over the socket `fd`, which leads to `site`.
    fn add_link(&mut self, site: &str, fd: i32) -> PyResult<()> {
        if fd < 0 {
            return Err(no_descriptor(fd));
        }
        // SAFETY: it can be a descriptor's number, and the caller gives it away, as the method's contract says.
        #[allow(unsafe_code)]
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(self.site.add_link(site, socket)?)
    }

    /// Makes a link to `site` and returns the descriptor of its other end, which the caller owns.
    fn connect(&mut self, site: &str) -> PyResult<i32> {
        let (here, there) = Link::pair()?;
        self.site.add_link(site, here)?;
        Ok(there.into_raw_fd())
    }

    /// Makes a link to `site` whose packets the caller carries.
    fn add_pipe(&mut self, site: &str) {
        self.site.add_pipe(site);
    }

    /// Has each value judged that is sent from here: `judge(value, job, to, operation, makers)` before it is encoded,
    /// which gives what is sent for it, and `judge(value, job, to, operation, makers, size, digest)` when it is, where the
    /// digest of its bytes is None unless `digests` are wanted. What that raises is why it does not leave.
    fn guard(&mut self, judge: Py<PyAny>, digests: bool) {
        let host = self.site.host();
        host.judge = Some(judge);
        host.digests = digests;
    }

    /// Has this site's part of a job's receipt made by `receipt(job, contribution)`, which is given as JSON, and gives the
    /// text that the application gets, or None for none.
    fn give_receipts(&mut self, receipt: Py<PyAny>) {
        self.site.host().receipt = Some(receipt);
    }

    /// Has pickles opened in what comes from these sites; before the first job.
    fn open_pickles(&mut self, of: HashSet<String>) {
        self.site.host().opens = of;
    }

    /// Says how much the session may ask for: the limits of a site's policy, and which operations run how many calls
    /// at the same time, each with its provider. Before the first job.
    fn limit(&mut self, limits: SiteLimits, operations: Vec<(String, Option<String>, usize)>) {
        self.site.host().holder.most = limits.buffered_bytes;
        let limits = dfm_runtime::Limits {
            jobs: limits.jobs_per_session,
            frames_per_job: limits.frames_per_job,
            calls_per_job: limits.calls_per_job,
            items_per_call: limits.items_per_call,
            calls_at_once: limits.calls_at_once,
            buffered_bytes: limits.buffered_bytes,
        };
        let operations = operations.into_iter().map(|(name, provider, most)| ((name, provider), most));
        self.site.limit(limits, operations);
    }

    /// How many calls run, and whether more wait for their turn.
    fn calls(&self) -> (usize, bool) {
        self.site.calls()
    }

    /// The calls that have been running for more than so many seconds.
    fn overdue(&self, seconds: f64) -> Vec<u64> {
        self.site.overdue(seconds)
    }

    /// The operation of a running call, if it is one of an operation.
    fn operation(&self, call: u64) -> Option<String> {
        self.site.step(call).and_then(|step| step.operation()).map(str::to_owned)
    }

    /// Says that a call waits for a person to decide of this request or, with an empty name, that it waits no more.
    fn asks(&mut self, call: u64, request: String) {
        self.site.asks(call, request);
    }

    /// A job's name, and its net at this site as JSON, which is always the same of the same net.
    fn pipeline(&self, job: u64) -> Option<(String, String)> {
        let net = self.site.net(job)?;
        Some((self.site.job_name(job)?.to_owned(), serde_json::to_string(&**net).ok()?))
    }

    /// The operations of this site whose results decide what a job does here: in conditions, loops and rounds.
    fn deciding(&mut self, job: u64) -> Vec<String> {
        self.site.deciding(job)
    }

    /// Counts one more try of a call; `False` if its job has had too many, and is refused.
    fn again(&mut self, call: u64) -> bool {
        self.site.again(call)
    }

    /// From now on, of what goes to several sites at the same time only one packet has the large parts.
    fn share_parts(&mut self) {
        self.site.share_parts();
    }

    /// The packets to carry.
    fn take_packets(&mut self, py: Python<'_>) -> PyResult<Vec<Carried>> {
        self.site.take_packets().into_iter().map(|packet| Carried::of(py, packet)).collect()
    }

    /// Acts on a packet that was carried here from `site`.
    fn receive_packet(&mut self, site: &str, packet: &Bound<'_, PyAny>) -> PyResult<()> {
        self.site.receive_packet(site, HeldBytes::new(packet)?.as_ref());
        Ok(())
    }

    /// Ends the link to a site that cannot be reached any more.
    fn close_link(&mut self, site: &str) {
        self.site.close_link(site);
    }

    /// Links two other sites with each other.
    fn introduce(&mut self, a: &str, b: &str) -> PyResult<()> {
        let (to_b, to_a) = Link::pair()?;
        self.site.introduce(a, b, to_b);
        self.site.introduce(b, a, to_a);
        Ok(())
    }

    /// The sockets to wait on, by site: (the link's number, the descriptor).
    fn sockets(&self) -> HashMap<String, (u64, i32)> {
        self.site.sockets().map(|(site, number, socket)| (site.to_owned(), (number, socket.as_raw_fd()))).collect()
    }

    /// Reads what the link to `site` holds and acts on it.
    fn readable(&mut self, site: &str) {
        self.site.readable(site);
    }

    /// Writes what the sockets take; the sites whose sockets take no more for now. `None` if links were at their end:
    /// what follows from that is due first.
    fn flush(&mut self) -> Option<Vec<String>> {
        self.site.flush()
    }

    /// The next call that is due.
    fn next_call(&mut self, py: Python<'_>) -> PyResult<Option<Call>> {
        while let Some(call) = self.site.next_call() {
            let net = self.site.net(call.job).ok_or_else(|| PyRuntimeError::new_err("a call without its job"))?;
            match calls::asked(py, call.id, call.job, &net.transitions[call.transition as usize].step, &call.inputs) {
                Ok(call) => return Ok(Some(call)),
                // A literal of the pipeline that this site does not accept, or a value that nobody comes to the end of.
                Err(error) => {
                    let Wrong { kind, message } = wrong(py, &error);
                    self.site.fail_call(call.id, kind, message, String::new());
                }
            }
        }
        Ok(None)
    }

    /// Takes a call's result; that of a look-up in the cache is a `Found` or a `NotFound`.
    fn complete(&mut self, py: Python<'_>, call: u64, value: Py<PyAny>) -> PyResult<()> {
        let outcome = calls::outcome(py, self.site.step(call), value)?;
        self.site.complete(call, outcome);
        Ok(())
    }

    /// Takes the end of a call's items; `items` is the list of them, if `gathers` asked for one.
    #[pyo3(signature = (call, items=None))]
    fn streamed(&mut self, call: u64, items: Option<Py<PyAny>>) {
        self.site.complete(call, Outcome::Streamed(items.map(|items| Object(items, None))));
    }

    /// Takes a call's error.
    fn fail(&mut self, call: u64, kind: String, message: String, stack_trace: String) {
        self.site.fail_call(call, kind, message, stack_trace);
    }

    /// Takes what runs for a call has logged or printed, which home may hear or not.
    fn said(&mut self, call: u64, at: f64, level: String, logger: String, text: String, for_home: bool) {
        self.site.said(call, Line { at, level, logger, text }, for_home);
    }

    /// Tells home what was noted of jobs, where it is time for that.
    fn tell_noted(&mut self) {
        self.site.tell_noted();
    }

    /// Of a running call: its node, its frame, and where its result goes as it comes, which is the place of a `Yield` or,
    /// for a loop, `None`.
    fn streams_to(&self, py: Python<'_>, call: u64) -> PyResult<Option<StreamsTo>> {
        let Some((node, frame, places)) = self.site.streams_to(call) else { return Ok(None) };
        let places = places.into_iter().map(|place| place.map(str::to_owned)).collect();
        Ok(Some((events::named(py, node.clone())?, frame.levels().to_vec(), places)))
    }

    /// Whether a call's items are also needed as a list.
    fn gathers(&self, call: u64) -> bool {
        self.site.gathers(call)
    }

    /// Takes an item of a call's generator.
    fn item(&mut self, py: Python<'_>, call: u64, value: Py<PyAny>) -> PyResult<Py<PyAny>> {
        calls::room(py, self.site.item(call, &Object(value, None)))
    }

    /// What happened since the last time.
    fn events<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        events::seen(py, self.site.take_events())
    }

    /// At home: begins a job. `absent` has the reasons why sites cannot be reached, as far as they are known.
    fn open(&mut self, job: u64, name: &str, plan: &Plan, absent: HashMap<String, String>) {
        self.site.open(job, name, plan.nets().to_vec(), &absent);
    }

    /// At home: has a job measured, before its first frame.
    fn measure(&mut self, job: u64) {
        self.site.measure(job);
    }

    /// At home: has a job's sites keep account of what they contribute to it; said before it is opened.
    fn want_receipt(&mut self, job: u64) {
        self.site.want_receipt(job);
    }

    /// At home: has a job's sites note what happens in it, and tell it while it runs; and to which trace it belongs.
    #[pyo3(signature = (job, trace=None))]
    fn note(&mut self, job: u64, trace: Option<PyRef<'_, Trace>>) {
        let trace = trace.map(|of| dfm_net::Trace { id: of.id, span: of.span, sampled: of.sampled });
        self.site.note(job, trace);
    }

    /// Has every job noted from now on, whether home wants to hear of it or not.
    fn note_all(&mut self) {
        self.site.note_all();
    }

    /// How many calls wait for their turn.
    fn waiting(&self) -> usize {
        self.site.waiting()
    }

    /// The operations that a job has called here: by node, with the provider.
    fn operations(&self, py: Python<'_>, job: u64) -> PyResult<Vec<Called>> {
        let Some(net) = self.site.net(job) else { return Ok(vec![]) };
        let called = net.transitions.iter().filter_map(|transition| match &transition.step {
            Step::Call { node, operation, provider, .. } => {
                Some(events::named(py, node.clone()).map(|node| (node, operation.clone(), provider.clone())))
            }
            _ => None,
        });
        called.collect()
    }

    /// Whose running call this is: its job, its node and its frame.
    fn origin(&self, py: Python<'_>, call: u64) -> PyResult<Option<Origin>> {
        let Some((job, node, frame)) = self.site.origin(call) else { return Ok(None) };
        Ok(Some((job, events::named(py, node.clone())?, events::levels(py, frame)?)))
    }

    /// At home: begins the next frame of a job.
    fn start(&mut self, job: u64, params: HashMap<String, Py<PyAny>>) {
        self.site.start(job, &params.into_iter().map(|(name, value)| (name, Object(value, None))).collect());
    }

    /// At home: ends a job's input.
    fn stop(&mut self, job: u64) {
        self.site.stop(job);
    }

    /// At home: forgets a job everywhere; the sites that will say `cancelled`.
    fn cancel(&mut self, job: u64) -> Vec<String> {
        self.site.cancel(job)
    }

    /// At home: gives up on what a site still owes.
    fn lose(&mut self, site: &str, message: &str) {
        self.site.lose(site, message);
    }

    /// At home: says hello to a site that was just started.
    fn set_up(&mut self, site: &str, text: &str) {
        self.site.set_up(site, text);
    }

    /// At home: asks a site whether these calls can be made, and whether values may leave it in which there may be
    /// something of the results of these operations.
    fn check(&mut self, site: &str, request: u64, calls: Vec<AskedOf>, leaving: Vec<Vec<String>>) {
        let asked = |(operation, provider, given, open)| Asked { operation, provider, given, open };
        self.site.check(site, request, calls.into_iter().map(asked).collect(), leaving);
    }

    /// Answers `check`: what is wrong with each call, empty for nothing.
    fn checked(&mut self, request: u64, problems: Vec<String>) {
        self.site.checked(request, problems);
    }

    /// At home: asks the sites of a job what it has not done there. Returns what it has not done here, and the sites
    /// that answer with an `Answered`.
    fn ask(&mut self, py: Python<'_>, request: u64, job: u64) -> PyResult<(Py<Unfinished>, Vec<String>)> {
        let (waits, more, asked) = self.site.ask(request, job);
        Ok((events::unfinished(py, waits, more)?, asked))
    }

    /// At home: the application has had `count` items of a stream in all.
    fn consumed(&mut self, job: u64, transition: u32, frame: Vec<u32>, count: u64) {
        if let Some(frame) = frame_of(&frame) {
            self.site.consumed(job, transition, &frame, count);
        }
    }

    /// At home: from now on `take_packets` also has what a keeper needs, as packets for this site itself.
    fn keep_record(&mut self) {
        self.site.keep_record();
    }

    /// At home: takes up a job from what was kept of it. Returns the sites that are gone, for `lose`.
    fn replay(&mut self, history: Vec<(String, Bound<'_, PyAny>)>) -> PyResult<Vec<String>> {
        let history: Vec<_> = history
            .iter()
            .map(|(from, packet)| Ok((from.as_str(), HeldBytes::new(packet)?)))
            .collect::<PyResult<_>>()?;
        Ok(self.site.replay(history.iter().map(|(from, packet)| (*from, packet.as_ref()))))
    }

    /// At home: has a job kept, before it is opened: `Kept` events have what `repeat` needs of it.
    fn keep_job(&mut self, job: u64) {
        self.site.keep_job(job);
    }

    /// At home: does what a packet says that was kept: begins its job, or takes what another site has sent. Calls of this
    /// site are due again.
    fn repeat(&mut self, site: &str, packet: &[u8]) {
        self.site.repeat(site, packet);
    }

    /// At home: what a call here had come to, if that is what a packet says that was kept.
    fn came_to(&mut self, py: Python<'_>, packet: &[u8]) -> PyResult<Option<CameTo>> {
        let came = self.site.came_to(packet).map_err(|why| PyValueError::new_err(why.to_string()))?;
        came.map(|came| recording::came_to(py, came)).transpose()
    }

    /// At home: the parameters of a frame, if that is what a packet says that was kept.
    fn parameters(&mut self, packet: &[u8]) -> PyResult<Option<HashMap<String, Py<PyAny>>>> {
        let params = self.site.parameters(packet).map_err(|why| PyValueError::new_err(why.to_string()))?;
        Ok(params.map(|params| params.into_iter().map(|(name, value)| (name, value.0)).collect()))
    }

    /// What a running call is of: its transition and its frame.
    fn firing(&self, py: Python<'_>, call: u64) -> PyResult<Option<Firing>> {
        let Some((transition, frame)) = self.site.firing(call) else { return Ok(None) };
        Ok(Some((transition, events::levels(py, frame)?)))
    }

    /// Which node a transition of a job here is of, if it has one, with its operation.
    fn node(&self, py: Python<'_>, job: u64, transition: u32) -> PyResult<Option<Named>> {
        let net = self.site.net(job);
        let Some(of) = net.and_then(|net| net.transitions.get(transition as usize)) else { return Ok(None) };
        Ok(Some((events::named(py, of.step.node().clone())?, of.step.operation().map(str::to_owned))))
    }

    /// At home: forgets a job here, and lets the other sites go on with it.
    fn leave(&mut self, job: u64) {
        self.site.leave(job);
    }

    /// At home: ends the session at a site.
    fn say_bye(&mut self, site: &str) {
        self.site.say_bye(site);
    }
}

/// What [`Site::limit`] takes, by the names that `dfm.exec` has for it.
#[derive(FromPyObject)]
struct SiteLimits {
    jobs_per_session: u64,
    frames_per_job: u64,
    calls_at_once: u64,
    calls_per_job: u64,
    items_per_call: u64,
    buffered_bytes: u64,
}

/// The frame with these numbers; `None` if there are none.
pub fn frame_of(levels: &[u32]) -> Option<Frame> {
    let (first, inner) = levels.split_first()?;
    Some(inner.iter().fold(Frame::of_param_set(*first), |frame, index| frame.child(*index)))
}
