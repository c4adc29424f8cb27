//! What does Python see of what a site has to tell?

use std::iter::once;
use std::sync::Arc;

use dfm_net::{Asked, NodeId, Token};
use dfm_runtime::{Event, Wait, Why};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use pyo3::{IntoPyObjectExt, PyTypeInfo};

use crate::classes::{any_of, classes};
use crate::history::{Happened, Notes};
use crate::measurement::Measurement;
use crate::object::Object;
use crate::site::AskedOf;

classes! {
    /// First of all, at a site that is not home: what it is.
    Setup {
        /// JSON.
        text: String,
    }

    /// Home asks whether these calls can be made; `Site.checked` answers.
    Check {
        /// The question's number.
        request: u64,
        /// The calls.
        calls: Vec<AskedOf>,
        /// Values that would leave, each by the operations of whose results there may be something in it.
        leaving: Vec<Vec<String>>,
    }

    /// At home: a site's answer to `Site.check`.
    Checked {
        /// The site that answers.
        site: String,
        /// The question's number.
        request: u64,
        /// What is wrong with each call, empty for nothing.
        problems: Vec<String>,
    }

    /// At home: a site's answer to `Site.ask`.
    Answered {
        /// The site that answers.
        site: String,
        /// The question's number.
        request: u64,
        /// What is not done there.
        unfinished: Py<Unfinished>,
    }

    /// A job began here.
    Opened {
        /// Its number.
        job: u64,
        /// Its name.
        name: String,
    }

    /// At home: a value for the application.
    Yielded {
        /// Where it comes from.
        series: Py<Series>,
        /// The value.
        value: Py<PyAny>,
    }

    /// At home: items of a stream that follow each other; `Site.consumed` once the application has them.
    Items {
        /// Where they come from.
        series: Py<Series>,
        /// The items.
        values: Py<PyList>,
    }

    /// At home: the errors that stand in the place of a value, or of what would follow in a stream.
    Failed {
        /// Where they come from.
        series: Py<Series>,
        /// All of them.
        failures: Vec<Py<Failure>>,
    }

    /// At home: nothing more of a stream follows.
    StreamEnded {
        /// Which one.
        series: Py<Series>,
    }

    /// At home: an error arose, which is told once.
    Reported {
        /// Its job.
        job: u64,
        /// The error.
        failure: Py<Failure>,
    }

    /// At home, before its end: what was measured of a job.
    Measured {
        /// Its number.
        job: u64,
        /// Of all sites.
        measurement: Py<Measurement>,
    }

    /// At home: a call waits at its site for a person to decide; with an empty request, it waits no more.
    Asks {
        /// The job's number.
        job: u64,
        /// The call's node.
        node: Py<NodeAt>,
        /// The frame's numbers.
        frame: Py<PyTuple>,
        /// The name of the request.
        request: String,
    }

    /// At home, before its end: a site's part of a job's receipt.
    Receipt {
        /// The job's number.
        job: u64,
        /// The site that gave it.
        site: String,
        /// What it has given.
        text: String,
    }

    /// What a site has noted of a job: at home of all sites, elsewhere of this one, where it notes all jobs.
    Noted {
        /// The job's number.
        job: u64,
        /// How far the site is.
        notes: Py<Notes>,
        /// What it has noted.
        happened: Py<Happened>,
    }

    /// At home, of a job that is kept: a packet that began it or came from elsewhere, or what a call has come to.
    Kept {
        /// The job's number.
        job: u64,
        /// The site that said it.
        site: String,
        /// What it said, with what came beside it.
        packet: Py<PyBytes>,
    }

    /// At a site that notes all jobs: its application has this job in a trace.
    Traced {
        /// The job's number.
        job: u64,
        /// The trace.
        trace: Py<Trace>,
    }

    /// To which trace a job belongs.
    Trace {
        /// The trace's id, its first half first; not all zero.
        id: (u64, u64),
        /// The id of the span that the application has for the job; not zero.
        span: u64,
        /// Whether it is recorded there.
        sampled: bool,
    }

    /// At home: every site has done what there was to do for a job.
    Ended {
        /// Its number.
        job: u64,
    }

    /// Nothing of a job is called here any more.
    Over {
        /// Its number.
        job: u64,
    }

    /// Calls that are not wanted any more.
    Abandoned {
        /// Their numbers.
        calls: Vec<u64>,
    }

    /// A stream that waited may go on.
    GoOn {
        /// The number of its call.
        call: u64,
    }

    /// The user should hear of a value that was sent from here.
    Warned {
        /// The sentence.
        text: String,
    }

    /// A link has ended, and what was behind it is gone; at home, answer with `Site.lose` once the cause is known.
    Closed {
        /// The site that it led to.
        site: String,
    }

    /// At home: a site has forgotten a cancelled job.
    Cancelled {
        /// The site.
        site: String,
        /// The job's number.
        job: u64,
    }

    /// The session ends.
    Bye {}

    /// Where tokens for the application come from: a `Yield` in one frame.
    Series {
        /// The job's number.
        job: u64,
        /// The site that makes them.
        site: String,
        /// The `Yield`'s node.
        node: Py<PyAny>,
        /// The place that the application knows.
        place: String,
        /// The frame's numbers.
        frame: Py<PyTuple>,
        /// The number of the `Yield`'s transition, and the frame's.
        key: Py<PyTuple>,
    }

    /// One original error.
    Failure {
        /// The site where it happened, or that was lost.
        site: String,
        /// The node that failed; None where a whole site did.
        node: Option<Py<PyAny>>,
        /// The operation that it was to run, if it was one.
        operation: Option<String>,
        /// The frame's numbers; None where it concerns all of them.
        frame: Option<Py<PyTuple>>,
        /// The kind of error, such as the exception's class.
        kind: String,
        /// What happened, for the user.
        message: String,
        /// The adapter's own traceback; empty where no adapter raised.
        stack_trace: String,
    }

    /// What is not done of a job at a site.
    Unfinished {
        /// The first of it, each a `Runs` or a `Needs`.
        waits: Vec<Py<PyAny>>,
        /// How much more there is.
        more: u64,
    }

    /// A node's call that has not ended.
    Runs {
        /// Which node.
        node: Py<NodeAt>,
        /// The frame's numbers.
        frame: Py<PyTuple>,
        /// Seconds since its first try.
        seconds: f64,
        /// Whether it is a generator that rests until its consumers have caught up.
        rests: bool,
    }

    /// A node that has not got all that it needs.
    Needs {
        /// Which node.
        node: Py<NodeAt>,
        /// The frame's numbers.
        frame: Py<PyTuple>,
        /// The first of those that have not put out yet what it needs.
        nodes: Vec<Py<NodeAt>>,
        /// How many more inputs are missing.
        more: u64,
    }

    /// A node of the pipeline, at the site that works for it.
    NodeAt {
        /// The site.
        site: String,
        /// The node's number or name.
        node: Py<PyAny>,
        /// Its operation, or what else it is.
        label: String,
    }
}

/// The choices between the events, by their names: what may be of a job for its application, what only the homesite
/// acts on, what is the business of who made the site, of who drives it, and all.
pub fn choices(py: Python<'_>) -> PyResult<[(&'static str, Bound<'_, PyAny>); 5]> {
    let job = any_of(&[
        Opened::type_object(py),
        Yielded::type_object(py),
        Items::type_object(py),
        Failed::type_object(py),
        StreamEnded::type_object(py),
        Reported::type_object(py),
        Measured::type_object(py),
        Receipt::type_object(py),
        Asks::type_object(py),
        Noted::type_object(py),
        Kept::type_object(py),
        Ended::type_object(py),
    ])?;
    let home =
        job.bitor(any_of(&[Checked::type_object(py), Answered::type_object(py), Cancelled::type_object(py)])?)?;
    let outer = home.bitor(any_of(&[
        Setup::type_object(py),
        Warned::type_object(py),
        Closed::type_object(py),
        Bye::type_object(py),
    ])?)?;
    let own = any_of(&[
        Check::type_object(py),
        Over::type_object(py),
        Traced::type_object(py),
        Abandoned::type_object(py),
        GoOn::type_object(py),
    ])?;
    let all = outer.bitor(&own)?;
    Ok([("JobEvent", job), ("HomeEvent", home), ("OuterEvent", outer), ("OwnEvent", own), ("Event", all)])
}

/// What happened, in its order. A stream's items that follow each other are one event.
pub fn seen(py: Python<'_>, events: Vec<Event<Object>>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    let mut stream: Option<(dfm_runtime::Yielded, Bound<'_, PyList>)> = None;
    for event in events {
        if let Event::Item(of, value) = event {
            if let Some((_, items)) = stream.as_ref().filter(|(before, _)| *before == of) {
                items.append(value.0)?;
                continue;
            }
            let items = PyList::new(py, [value.0])?;
            list.append(Items { series: series(py, of.clone())?, values: items.clone().unbind() })?;
            stream = Some((of, items));
        } else {
            stream = None;
            list.append(one(py, event)?)?;
        }
    }
    Ok(list)
}

fn one(py: Python<'_>, event: Event<Object>) -> PyResult<Bound<'_, PyAny>> {
    match event {
        Event::Setup(text) => Setup { text }.into_bound_py_any(py),
        Event::Check(request, calls, leaving) => {
            let calls =
                calls.into_iter().map(|Asked { operation, provider, given, open }| (operation, provider, given, open));
            Check { request, calls: calls.collect(), leaving }.into_bound_py_any(py)
        }
        Event::Checked(site, request, problems) => Checked { site, request, problems }.into_bound_py_any(py),
        Event::Unfinished(site, request, waits, more) => {
            Answered { site, request, unfinished: unfinished(py, waits, more)? }.into_bound_py_any(py)
        }
        Event::Opened(job, name) => Opened { job, name }.into_bound_py_any(py),
        Event::Yielded(of, Token::Value(value)) => {
            Yielded { series: series(py, of)?, value: value.0 }.into_bound_py_any(py)
        }
        Event::Item(of, value) => {
            let values = PyList::new(py, [value.0])?.unbind();
            Items { series: series(py, of)?, values }.into_bound_py_any(py)
        }
        Event::Yielded(of, Token::End) => StreamEnded { series: series(py, of)? }.into_bound_py_any(py),
        Event::Yielded(of, token) => {
            let failures = match &token {
                Token::Error(failures) => failures.as_slice(),
                Token::Missing(failure) => std::slice::from_ref(failure),
                _ => &[],
            };
            let failures = failures.iter().map(|one| failure(py, one)).collect::<PyResult<_>>()?;
            Failed { series: series(py, of)?, failures }.into_bound_py_any(py)
        }
        Event::Reported(job, one) => Reported { job, failure: failure(py, &one)? }.into_bound_py_any(py),
        Event::Measured(job, calls, begun) => {
            Measured { job, measurement: Py::new(py, Measurement { calls, begun })? }.into_bound_py_any(py)
        }
        Event::Asks(job, node, frame, request) => {
            let (node, frame) = (node_at(py, node)?, levels(py, &frame)?);
            Asks { job, node, frame, request }.into_bound_py_any(py)
        }
        Event::Receipt(job, site, text) => Receipt { job, site, text }.into_bound_py_any(py),
        Event::Noted(job, site, noted, counts) => {
            let notes = Py::new(py, Notes { site, counts })?;
            Noted { job, notes, happened: Py::new(py, Happened(Arc::new(noted)))? }.into_bound_py_any(py)
        }
        Event::Kept(job, site, packet) => {
            Kept { job, site, packet: PyBytes::new(py, &packet).unbind() }.into_bound_py_any(py)
        }
        Event::Ended(job) => Ended { job }.into_bound_py_any(py),
        Event::Traced(job, dfm_net::Trace { id, span, sampled }) => {
            Traced { job, trace: Py::new(py, Trace { id, span, sampled })? }.into_bound_py_any(py)
        }
        Event::Over(job) => Over { job }.into_bound_py_any(py),
        Event::Abandoned(calls) => Abandoned { calls }.into_bound_py_any(py),
        Event::Room(call) => GoOn { call }.into_bound_py_any(py),
        Event::Warned(text) => Warned { text }.into_bound_py_any(py),
        Event::Closed(site) => Closed { site }.into_bound_py_any(py),
        Event::Cancelled(site, job) => Cancelled { site, job }.into_bound_py_any(py),
        Event::Bye => Bye {}.into_bound_py_any(py),
    }
}

impl Failure {
    /// The same without its traceback, as the runtime has it.
    pub fn told(&self, py: Python<'_>) -> PyResult<dfm_net::Failure> {
        let node = self.node.as_ref().map(|node| {
            let node = node.bind(py);
            node.extract().map(NodeId::Number).or_else(|_| node.extract().map(NodeId::Name))
        });
        let levels = self.frame.as_ref().map(|frame| frame.extract::<Vec<u32>>(py)).transpose()?;
        let frame = levels.and_then(|levels| {
            let (first, inner) = levels.split_first()?;
            Some(inner.iter().fold(dfm_net::Frame::of_param_set(*first), |frame, level| frame.child(*level)))
        });
        Ok(dfm_net::Failure {
            site: self.site.clone(),
            node: node.transpose()?,
            operation: self.operation.clone(),
            frame,
            kind: self.kind.clone(),
            message: self.message.clone(),
            stack_trace: String::new(),
        })
    }
}

/// What is not done at a site.
pub fn unfinished(py: Python<'_>, waits: Vec<Wait>, more: u64) -> PyResult<Py<Unfinished>> {
    let waits = waits.into_iter().map(|wait| {
        let (node, frame) = (node_at(py, wait.node)?, levels(py, &wait.frame)?);
        match wait.why {
            Why::Runs { seconds, rests } => Runs { node, frame, seconds, rests }.into_py_any(py),
            Why::Needs { nodes, more } => {
                let nodes = nodes.into_iter().map(|node| node_at(py, node)).collect::<PyResult<_>>()?;
                Needs { node, frame, nodes, more }.into_py_any(py)
            }
        }
    });
    Py::new(py, Unfinished { waits: waits.collect::<PyResult<_>>()?, more })
}

/// One original error.
pub fn failure(py: Python<'_>, failure: &dfm_net::Failure) -> PyResult<Py<Failure>> {
    let dfm_net::Failure { site, node, operation, frame, kind, message, stack_trace } = failure.clone();
    let node = node.map(|node| named(py, node)).transpose()?;
    let frame = frame.map(|frame| levels(py, &frame)).transpose()?;
    Py::new(py, Failure { site, node, operation, frame, kind, message, stack_trace })
}

fn series(py: Python<'_>, of: dfm_runtime::Yielded) -> PyResult<Py<Series>> {
    let dfm_runtime::Yielded { job, site, node, place, frame, transition } = of;
    let key = PyTuple::new(py, once(&transition).chain(frame.levels()).collect::<Vec<_>>())?.unbind();
    Py::new(py, Series { job, site, node: named(py, node)?, place, frame: levels(py, &frame)?, key })
}

fn node_at(py: Python<'_>, at: dfm_runtime::NodeAt) -> PyResult<Py<NodeAt>> {
    Py::new(py, NodeAt { site: at.site, node: named(py, at.node)?, label: at.label })
}

/// A node's id as Python has it.
pub fn named(py: Python<'_>, node: NodeId) -> PyResult<Py<PyAny>> {
    match node {
        NodeId::Number(number) => number.into_py_any(py),
        NodeId::Name(name) => Ok(PyString::new(py, &name).into_any().unbind()),
    }
}

/// A frame's numbers as Python has them.
pub fn levels(py: Python<'_>, frame: &dfm_net::Frame) -> PyResult<Py<PyTuple>> {
    Ok(PyTuple::new(py, frame.levels())?.unbind())
}
