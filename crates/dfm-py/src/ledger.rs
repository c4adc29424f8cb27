//! How does Python write down and count what happens at a site?

use std::io;
use std::path::PathBuf;

use dfm_ledger::{Key, Outcome, Over, PerDay, Whose};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A text, of which what no other program can read is replaced.
struct Text(String);

impl<'py> FromPyObject<'_, 'py> for Text {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(object.cast::<PyString>()?.to_string_lossy().into_owned()))
    }
}

fn as_str(text: Option<&Text>) -> Option<&str> {
    text.map(|text| text.0.as_str())
}

/// What signs: an object with `statement()` and `sign(number, digest)`.
struct PythonKey(Py<PyAny>);

impl Key for PythonKey {
    fn statement(&self) -> io::Result<String> {
        Python::attach(|py| self.0.call_method0(py, "statement")?.extract(py)).map_err(io::Error::other)
    }

    fn sign(&self, number: u64, digest: &str) -> io::Result<String> {
        Python::attach(|py| self.0.call_method1(py, "sign", (number, digest))?.extract(py)).map_err(io::Error::other)
    }
}

/// Whom a site works for, as the attributes of an object.
#[derive(FromPyObject)]
struct Asker {
    user: Text,
    organisation: Text,
    role: Text,
}

/// A site's log, for what happens in one process. Its methods are called on the site's thread.
#[pyclass(module = "dfm._native")]
pub struct Audit {
    audit: dfm_ledger::Audit,
    unwritten: Py<PyAny>,
    missing: Py<PyAny>,
}

impl Audit {
    /// Says what could not be written, or is no more. Where all is refused for it, what is called raises why.
    fn tell(&self, py: Python<'_>, outcome: Outcome) -> PyResult<()> {
        match outcome {
            Outcome::Fine => Ok(()),
            Outcome::Missing(record) => self.missing.call1(py, (record,)).map(drop),
            Outcome::Refuses(error) => self.unwritten.call1(py, (error.to_string(), true)).map(drop),
            Outcome::Loses(error) => self.unwritten.call1(py, (error.to_string(), false)).map(drop),
        }
    }

    /// The same, where nobody waits for it: the next call is told.
    fn tell_later(&self, py: Python<'_>, outcome: Outcome) {
        let _ = self.tell(py, outcome);
    }
}

#[pymethods]
impl Audit {
    /// In a folder that is made when it is needed, in which another log is begun when one has `largest` bytes. `full` keeps
    /// parameters as they are; `goes_on` has the site work while nothing can be written. Where that is so,
    /// `unwritten(why, refuses)` is called, which raises what refuses all that is asked for; `missing(record)` where the
    /// record of this number, which was written here, is no more in the log. Without a key, nothing is signed.
    #[new]
    #[pyo3(signature = (folder, largest, site, session, asker, unwritten, missing, *, full, goes_on, key))]
    #[expect(clippy::too_many_arguments, reason = "Python names those that could be taken for each other")]
    fn new(
        folder: PathBuf,
        largest: u64,
        site: Text,
        session: Text,
        asker: Asker,
        unwritten: Py<PyAny>,
        missing: Py<PyAny>,
        full: bool,
        goes_on: bool,
        key: Option<Py<PyAny>>,
    ) -> Self {
        let Asker { user, organisation, role } = asker;
        let whose =
            Whose { site: site.0, session: session.0, user: user.0, organisation: organisation.0, role: role.0 };
        let key = key.map(|key| Box::new(PythonKey(key)) as Box<dyn Key>);
        Self { audit: dfm_ledger::Audit::new(folder, largest, whose, full, goes_on, key), unwritten, missing }
    }

    /// A job of this application begins, whose net at this site has this digest, which its user has signed.
    fn job(&mut self, job: u64, pipeline: Text, application: Text) {
        self.audit.job(job, &pipeline.0, &application.0);
    }

    /// A call begins, with parameters that are JSON. It is written before anything leaves, and when the site rests.
    fn call(
        &mut self,
        py: Python<'_>,
        job: Option<u64>,
        operation: Text,
        provider: Option<Text>,
        given: Text,
    ) -> PyResult<()> {
        let outcome = self.audit.call(job, &operation.0, as_str(provider.as_ref()), &given.0);
        self.tell(py, outcome)
    }

    /// The call that was told last has this number while it runs.
    fn runs(&mut self, call: u64) {
        self.audit.runs(call);
    }

    /// A call has: `done`, `given up`, or with the class of an error. Written with what follows.
    fn ended(&mut self, call: u64, how: Text) {
        self.audit.ended(call, &how.0);
    }

    /// A value is about to leave.
    #[expect(clippy::too_many_arguments, reason = "they are what is written of it")]
    fn left(
        &mut self,
        py: Python<'_>,
        job: u64,
        to: Text,
        operation: Option<Text>,
        kind: Text,
        size: u64,
        digest: Option<Text>,
    ) -> PyResult<()> {
        let (operation, digest) = (as_str(operation.as_ref()), as_str(digest.as_ref()));
        let outcome = self.audit.left(job, &to.0, operation, &kind.0, size, digest);
        self.tell(py, outcome)
    }

    /// Something was refused.
    fn refused(&mut self, job: Option<u64>, operation: Option<Text>, why: Text) {
        self.audit.refused(job, as_str(operation.as_ref()), &why.0);
    }

    /// A call waits for a person to decide of this request.
    fn asked(&mut self, job: Option<u64>, operation: Text, request: Text) {
        self.audit.asked(job, &operation.0, &request.0);
    }

    /// The call that follows was approved, with this request.
    fn decided(&mut self, job: Option<u64>, operation: Text, request: Text, until: Text) {
        self.audit.decided(job, &operation.0, &request.0, &until.0);
    }

    /// Writes what waits.
    fn settle(&mut self, py: Python<'_>) {
        let outcome = self.audit.settle();
        self.tell_later(py, outcome);
    }

    /// Writes what waits, and signs all that is there.
    fn sign(&mut self, py: Python<'_>) {
        let outcome = self.audit.sign();
        self.tell_later(py, outcome);
    }

    /// The same, and closes the files.
    fn close(&mut self, py: Python<'_>) {
        let outcome = self.audit.close();
        self.tell_later(py, outcome);
    }
}

/// How much one user may ask for in a day, as the attributes of an object.
#[derive(FromPyObject)]
struct Most {
    calls: Option<u64>,
    questions: Option<u64>,
    values: Option<u64>,
    bytes: Option<u64>,
}

impl From<Most> for PerDay {
    fn from(Most { calls, questions, values, bytes }: Most) -> Self {
        Self { calls, questions, values, bytes }
    }
}

/// What there is no more of today, as the policy names it, and how much there may be.
type Told = Option<(&'static str, u64)>;

fn told(over: Option<Over>) -> Told {
    over.map(|Over { what, most }| (what, most))
}

/// Counts what one user asks for, up to what a site's policy allows in a day.
#[pyclass(module = "dfm._native")]
pub struct Counting(dfm_ledger::Counting);

#[pymethods]
impl Counting {
    /// In a folder that is there; without one, this process counts alone.
    #[new]
    fn new(user: Text, folder: Option<PathBuf>, most: Most) -> PyResult<Self> {
        Ok(Self(dfm_ledger::Counting::new(&user.0, folder, most.into())?))
    }

    /// The site's policy says from now on that it is so much.
    fn allow(&mut self, most: Most) -> PyResult<()> {
        Ok(self.0.allow(most.into())?)
    }

    /// Whether different questions are counted.
    fn wants_questions(&self) -> bool {
        self.0.wants_questions()
    }

    /// Counts a call that begins, or says that it is one too many.
    fn call(&mut self) -> PyResult<Told> {
        Ok(told(self.0.call()?))
    }

    /// Counts a question whose parameters are JSON, if nobody has asked it today, or says that it is one too many.
    fn question(&mut self, operation: Text, provider: Option<Text>, parameters: Text) -> PyResult<Told> {
        Ok(told(self.0.question(&operation.0, as_str(provider.as_ref()), &parameters.0)?))
    }

    /// Counts a value of so many bytes that leaves, or says that it is one too many.
    fn leave(&mut self, size: u64) -> PyResult<Told> {
        Ok(told(self.0.leave(size)?))
    }

    /// No call is made for now.
    fn rest(&mut self) -> PyResult<()> {
        Ok(self.0.rest()?)
    }

    /// The same, and closes the file.
    fn close(&mut self) -> PyResult<()> {
        Ok(self.0.close()?)
    }
}
