//! What does the page of `dfm ui` get to see, and by whom?

mod guard;
pub mod http;
mod pipelines;
mod shown;
mod submitted;

use std::sync::Mutex;

pub use guard::Guard;
pub use http::Answer;
use http::Request;
use shown::Seen;
use submitted::Submitted;

use crate::context::Context;

const HTML: &str = include_str!("ui/page/index.html");
const CSS: &str = include_str!("ui/page/page.css");
const JS: &str = include_str!("ui/page/page.js");
const DRAWING: &str = include_str!("ui/page/drawing.js");
const FORM: &str = include_str!("ui/page/form.js");

/// The page of one run of `dfm ui`.
pub struct Page {
    context: Context,
    guard: Guard,
    seen: Mutex<Seen>,
    submitted: Submitted,
}

impl Page {
    /// One that knows what a command knows, and tells it to those whom the guard lets in.
    pub fn new(context: Context, guard: Guard) -> Self {
        Self { context, guard, seen: Mutex::default(), submitted: Submitted::default() }
    }

    /// Answers a request.
    pub fn answer(&self, request: &Request) -> Answer {
        if let Err(refused) = self.guard.check(request) {
            return refused;
        }
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        match (request.method.as_str(), &path[..]) {
            ("GET", [""]) => Answer::file("text/html", HTML),
            ("GET", ["page.css"]) => Answer::file("text/css", CSS),
            ("GET", ["page.js"]) => Answer::file("text/javascript", JS),
            ("GET", ["drawing.js"]) => Answer::file("text/javascript", DRAWING),
            ("GET", ["form.js"]) => Answer::file("text/javascript", FORM),
            ("GET", ["api", "federations"]) => shown::federations(&self.context),
            ("GET", ["api", "jobs"]) => shown::jobs(&self.context, &self.seen),
            ("GET", ["api", "jobs", federation, job]) => shown::job(&self.context, federation, job, &request.query),
            ("GET", ["api", "jobs", federation, job, "drawings"]) => shown::drawings(&self.context, federation, job),
            ("GET", ["api", "pipelines"]) => pipelines::all(&self.context),
            ("GET", ["api", "submitted"]) => self.submitted.shown(),
            ("POST", ["api", "submit"]) => self.submitted.submit(&self.context, &request.body),
            ("POST", ["api", "submitted", id, "cancel"]) => self.submitted.cancel(id),
            ("POST", ["api", "jobs", federation, job, "cancel"]) => {
                submitted::cancel_job(&self.context, federation, job)
            }
            _ => Answer::refused(404, "there is nothing here"),
        }
    }

    /// Ends what the page has begun.
    pub fn end(&self) {
        self.submitted.end();
    }
}
