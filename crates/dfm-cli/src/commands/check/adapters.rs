//! Do a federation's adapters fit their bindings, and are the classes there that its types name?
//!
//! Python imports them, in a process of its own: what it imports may print, hang, or end the process.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dfm_codegen::type_name;
use dfm_config::{ArgumentSource, Binding, Class, Federation, Operation, Site};
use dfm_diag::{Diagnostic, Span};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::supervise;
use crate::application::{found_python, search_path};
use crate::context::{Context, Failure};
use crate::{child, program};

/// A class that Python looks at.
struct Task<'f> {
    path: &'f str,
    span: Span,
    /// `adapter`, `site`, `provider`, `vault` or `type`.
    kind: &'static str,
    /// What it is constructed with.
    args: Option<&'f Map<String, Value>>,
    /// For an adapter, with its operation.
    binding: Option<(&'f Binding, Option<&'f Operation>)>,
    /// The site's own interpreter, which finds other packages.
    python: Option<PathBuf>,
}

impl Task<'_> {
    fn module(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(module, _)| module)
    }

    fn to_json(&self) -> Value {
        let of = self.binding.map(|(binding, _)| binding);
        let args: Vec<&String> = self.args.into_iter().flat_map(Map::keys).collect();
        let arguments: Vec<&String> = of.map(|of| of.arguments.keys().collect()).unwrap_or_default();
        json!({"path": self.path, "kind": self.kind, "args": args, "arguments": arguments, "optional": self.optional(),
            "is_async": of.is_none_or(|of| of.is_async), "types": self.types()})
    }

    /// The arguments that a call may lack: a parameter's that nobody has to give, and that has no default.
    fn optional(&self) -> Vec<&String> {
        let Some((binding, Some(operation))) = self.binding else { return vec![] };
        let may_lack = |source: &ArgumentSource| {
            let ArgumentSource::Param(param) = source else { return false };
            operation.parameters.get(param).is_some_and(|of| !of.required && of.default.is_none())
        };
        let arguments = binding.arguments.iter().filter(|(_, argument)| may_lack(&argument.source));
        arguments.map(|(name, _)| name).collect()
    }

    /// What JSON type each argument is delivered as, where that is known.
    fn types(&self) -> Map<String, Value> {
        let Some((binding, operation)) = self.binding else { return Map::new() };
        let known = binding.arguments.iter().filter_map(|(name, argument)| {
            let kind = match &argument.source {
                ArgumentSource::Param(param) => type_name(&operation?.parameters.get(param)?.of)?,
                ArgumentSource::Const(value) => kind_of(value)?.to_owned(),
                ArgumentSource::Secret(_) | ArgumentSource::Provider(..) | ArgumentSource::Site(_) => return None,
            };
            Some((name.clone(), kind.into()))
        });
        known.collect()
    }
}

fn kind_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        Value::String(_) => Some("string"),
        Value::Array(_) => Some("array"),
        Value::Object(_) => Some("object"),
    }
}

/// What Python finds wrong with a class.
#[derive(Deserialize)]
struct Problem {
    kind: String,
    message: String,
    help: String,
    argument: Option<String>,
}

/// Looks at all of them; `limit` is the seconds for importing one.
///
/// # Errors
/// Python cannot be started, or does not have dfm.
pub fn check(
    context: &Context,
    federation: &Federation,
    folder: &Path,
    limit: f64,
) -> Result<Vec<Diagnostic>, Failure> {
    if limit <= 0.0 || Duration::try_from_secs_f64(limit).is_err() {
        let message = format!("--import-timeout takes a number of seconds above 0, not {limit}");
        return Err(Failure::wrong(Diagnostic::error("check-timeout", message)));
    }
    let holds_package = |around: &&Path| around.join(&federation.info.code_package).is_dir();
    let around = folder.ancestors().skip(1).find(holds_package).unwrap_or(folder);
    let mut faults = Faults::default();
    let mut tasks = tasks(federation, folder);
    tasks.sort_by(|one, other| one.python.cmp(&other.python));
    for same in tasks.chunk_by(|one, other| one.python == other.python) {
        match same.first().and_then(|task| task.python.as_ref()).filter(|python| !python.is_file()) {
            Some(python) => faults.0.push(unasked(python)),
            None => ask_all(context, same.iter().collect(), around, limit, &mut faults)?,
        }
    }
    Ok(faults.0)
}

fn unasked(python: &Path) -> Diagnostic {
    let message =
        format!("{} is not there, so the adapters of the sites whose `python` it is are not checked", python.display());
    Diagnostic::warning("check-python-of-site", message)
        .help("make that environment here, with dfm in it, or check where it is")
}

/// Asks one interpreter about them.
fn ask_all<'f>(
    context: &Context,
    mut tasks: Vec<&Task<'f>>,
    around: &Path,
    limit: f64,
    faults: &mut Faults,
) -> Result<(), Failure> {
    // A process that an import ended is followed by one for what comes after it.
    while !tasks.is_empty() {
        let asked = ask(context, &tasks, around, limit).map_err(|error| {
            let message = format!("Python cannot be asked about the adapters: {error}");
            Failure::failed(Diagnostic::error("check-python", message))
        })?;
        let answers = asked?;
        for (task, problems) in tasks.iter().zip(&answers.problems) {
            problems.iter().for_each(|problem| faults.add(task, problem));
        }
        let Some(ended) = answers.ended else { break };
        let rest = tasks.split_off(answers.problems.len());
        let module = rest.first().map_or("", |task| task.module()).to_owned();
        let (same, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|task| task.module() == module);
        let message = format!("importing `{module}` {ended}");
        let help = "a module that is imported should define things, not run".to_owned();
        let problem = Problem { kind: "import".to_owned(), message, help, argument: None };
        same.iter().for_each(|task| faults.add(task, &problem));
        tasks = others;
    }
    Ok(())
}

fn tasks<'f>(federation: &'f Federation, folder: &Path) -> Vec<Task<'f>> {
    let sites = || federation.sites.values();
    let class = |kind, site: &Site, of: &'f Class| Task {
        path: &of.path.value,
        span: of.path.span,
        kind,
        args: Some(&of.args),
        binding: None,
        python: site.python_in(folder),
    };
    let adapters = sites().flat_map(|site| {
        let provided = site.providers.values().flat_map(|provider| &provider.interface);
        site.interface.iter().chain(provided).map(move |(name, of)| {
            let operation = federation.operations.get(name);
            Task { binding: Some((of, operation)), ..class("adapter", site, &of.adapter) }
        })
    });
    let own = sites().filter_map(|site| Some(class("site", site, site.implementation.as_ref()?)));
    let provided = sites().flat_map(|site| {
        let classes = site.providers.values().filter_map(|provider| provider.implementation.as_ref());
        classes.map(move |of| class("provider", site, of))
    });
    let vaults = sites().filter_map(|site| {
        let (path, args) = (site.vault.path.as_deref()?, Some(&site.vault.args));
        Some(Task { path, span: site.span, kind: "vault", args, binding: None, python: site.python_in(folder) })
    });
    let types = federation.type_paths.iter().map(|path| Task {
        path: &path.value,
        span: path.span,
        kind: "type",
        args: None,
        binding: None,
        python: None,
    });
    types.chain(own).chain(provided).chain(vaults).chain(adapters).collect()
}

/// Diagnostics of which each says something else.
#[derive(Default)]
struct Faults(Vec<Diagnostic>);

impl Faults {
    fn add(&mut self, task: &Task<'_>, problem: &Problem) {
        const SHOWN: usize = 3;
        let code = match (problem.kind.as_str(), task.kind) {
            ("import", "adapter") => "adapter-not-importable",
            ("import", "type") => "type-not-importable",
            ("import", _) => "class-not-importable",
            ("constructor", "site" | "provider" | "vault") => "class-constructor",
            ("no-body", _) => "adapter-without-body",
            ("unknown-argument", _) => "adapter-unknown-argument",
            ("missing-argument", _) => "adapter-missing-argument",
            ("optional-argument", _) => "adapter-optional-argument",
            ("is-async", _) => "adapter-is-async",
            ("annotation", _) => "adapter-annotation",
            _ => "adapter-constructor",
        };
        if let Some(first) =
            self.0.iter_mut().find(|first| problem.kind == "import" && first.message == problem.message)
        {
            if first.related.len() < SHOWN && first.span != Some(task.span) {
                first.related.push((task.span, "and here".to_owned()));
            }
            return;
        }
        let argument = problem.argument.as_ref().and_then(|name| task.binding?.0.arguments.get(name));
        let (span, label) = match argument {
            Some(argument) if code == "adapter-annotation" => (argument.span, ""),
            Some(argument) if code == "adapter-optional-argument" => (argument.span, "not in every call"),
            Some(argument) => (argument.span, "not an argument of `body`"),
            None => (task.span, ""),
        };
        // It works all the same: how a body runs is seen from the body, an annotation binds nobody, and pipelines may
        // well give what they need not.
        let binds = !["adapter-is-async", "adapter-annotation", "adapter-optional-argument"].contains(&code);
        let new = if binds { Diagnostic::error } else { Diagnostic::warning };
        self.0.push(new(code, problem.message.clone()).at(span, label).help(problem.help.clone()));
    }
}

/// What Python said.
struct Answers {
    /// For each task from the first on.
    problems: Vec<Vec<Problem>>,
    /// What ended it in the task after those, in words.
    ended: Option<String>,
}

fn ask(context: &Context, tasks: &[&Task<'_>], around: &Path, limit: f64) -> io::Result<Result<Answers, Failure>> {
    let mut asked = tempfile::tempfile()?;
    let mut answered = tempfile::tempfile()?;
    let mut said = tempfile::tempfile()?;
    asked.write_all(Value::from_iter(tasks.iter().map(|task| task.to_json())).to_string().as_bytes())?;
    asked.rewind()?;
    let own = tasks.first().and_then(|task| task.python.as_ref());
    let python = own.map_or_else(|| found_python(context), |own| Ok(own.clone()));
    let mut python = match python.map(|python| program::module(python, "dfm._command.check")) {
        Ok(python) => python,
        Err(failure) => return Ok(Err(failure)),
    };
    match search_path(around) {
        Ok(path) => python.env("PYTHONPATH", path),
        Err(failure) => return Ok(Err(failure)),
    };
    python.arg(limit.to_string());
    // Each import has its limit, and all together have one too.
    let mut supervisor = supervise::command(context, &python, limit * (tasks.len() + 1) as f64);
    supervisor.stdin(asked).stdout(answered.try_clone()?).stderr(said.try_clone()?);
    let exit = child::run(&mut supervisor)?;
    let answers = read(&mut answered, exit, || last_line(&mut said));
    let interrupted = [130, 143].contains(&exit) && answers.ended.is_some();
    if interrupted || (answers.problems.is_empty() && answers.ended.is_none() && exit != 0) {
        let report = match program::has_no_dfm(&text(&mut said)) {
            _ if interrupted => Default::default(),
            Some(diagnostic) => diagnostic.into(),
            None => Diagnostic::error("check-python", format!("Python cannot import dfm: {}", last_line(&mut said)))
                .help("use the dfm command of an environment that the Python package dfm is installed in")
                .into(),
        };
        return Ok(Err(Failure { exit: if interrupted { exit } else { 1 }, report }));
    }
    Ok(Ok(answers))
}

fn read(answered: &mut File, exit: u8, said: impl FnOnce() -> String) -> Answers {
    let text = text(answered);
    let mut problems = Vec::new();
    let mut began = false;
    let mut traceback = text.lines().skip_while(|line| !line.starts_with("Timeout (")).skip(1);
    for line in text.lines() {
        match serde_json::from_str::<Option<Vec<Problem>>>(line) {
            Ok(None) => began = true,
            Ok(Some(found)) => {
                problems.push(found);
                began = false;
            }
            Err(_) => break,
        }
    }
    let ended = began.then(|| {
        let place = traceback.find(|line| line.contains("File \"") && !line.contains("<frozen"));
        match (text.contains("\nTimeout ("), place) {
            (true, Some(place)) => format!("takes too long; it was at{}", place.replace("  File", "")),
            (true, None) => "takes too long".to_owned(),
            (false, _) => match said() {
                said if said.is_empty() => format!("ended the process with exit code {exit}"),
                said => format!("ended the process with exit code {exit}; its last words: {said}"),
            },
        }
    });
    Answers { problems, ended }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read was not said.
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn last_line(file: &mut File) -> String {
    text(file)
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}
