//! What of the other package's modules has dfm, and under which name?

/// The package whose imports change.
pub const PACKAGE: &str = "nv_dfm_core";

/// Parts of the package that dfm has under no name.
const ABSENT: &[&str] = &["cli", "gen", "poc", "targets"];
/// Parts of its parts.
const ABSENT_INSIDE: &[&str] = &[".api.pydantic"];
/// What dfm's module of telemetry has.
const TELEMETRY: &[&str] = &["Span", "SpanBuilder", "adapter_span"];
/// Names of its other modules that dfm's have not: most are what its engine is made of.
const ABSENT_NAMES: &[&str] = &[
    "Activation",
    "AdviceBuilder",
    "AdvisedValue",
    "ApiVisitor",
    "Atom",
    "Block",
    "BooleanExpression",
    "BooleanExpressionVisitor",
    "ComparisonExpression",
    "ControlPlace",
    "CountingPlace",
    "DfmDataCallbackAsync",
    "DfmDataCallbackSync",
    "EdgeT",
    "Expression",
    "FlowInfo",
    "JobController",
    "Located",
    "ManualCallbackRunner",
    "Net",
    "NetRunner",
    "PanicError",
    "PipelineBuildHelper",
    "Place",
    "QueuePlace",
    "Router",
    "SessionDelegate",
    "Statement",
    "TokenPackage",
    "TransitionTryActivateFunc",
    "activate_when_places_ready",
    "any_object_to_tagged_json_value",
    "assert_valid_runtime_module",
    "call_callbacks",
    "call_callbacks_async",
    "callbacks_kind",
    "load_fed_runtime_module",
    "load_site_runtime_module",
    "make_auto_id",
    "site_name_to_identifier",
    "tagged_json_value_to_object",
];

/// Why something stays as it is.
pub struct Misfit {
    /// Stable.
    pub code: &'static str,
    /// The name that it is about; that of the package for the whole path.
    pub about: String,
    /// What it is.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

/// The path that a dotted path of the package, `.exec._net`, has in dfm's, and nothing where what is meant is not there.
/// `names` are those that are imported from it, if it stands behind `from`.
pub fn counterpart<'p>(path: &'p str, names: Option<&[&str]>) -> Result<&'p str, Misfit> {
    let first = path.split('.').nth(1).unwrap_or_default();
    let of_root = names.filter(|_| path.is_empty()).unwrap_or_default();
    let absent = std::iter::once(&first).chain(of_root).find(|part| ABSENT.contains(part)).copied();
    let inside = ABSENT_INSIDE.iter().find(|inside| path.strip_prefix(**inside).is_some_and(is_end));
    if let Some(part) = absent.or_else(|| inside.map(|inside| &inside[1..])) {
        let about = if of_root.contains(&part) { part } else { PACKAGE };
        return Err(Misfit {
            code: "migrate-no-module",
            about: about.to_owned(),
            message: format!("dfm has no module `{part}`"),
            help: "do without it; `docs/moving.md` says what takes its place",
        });
    }
    let private = path.find("._");
    let Some(names) = names else {
        let name = path.rsplit('.').next().unwrap_or_default();
        return match private {
            Some(_) => Err(private_part(path)),
            None if is_absent(path, name) => Err(no_name(name)),
            None => Ok(path),
        };
    };
    // What is private there is public here, or not at all.
    let public = &path[..private.unwrap_or(path.len())];
    match names.iter().find(|name| is_absent(public, name)) {
        Some(name) => Err(no_name(name)),
        None if names.iter().any(|name| name.starts_with('_') && !name.starts_with("__")) => Err(private_part(path)),
        None => Ok(public),
    }
}

fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// Whether a public module here lacks a name that the other has.
fn is_absent(module: &str, name: &str) -> bool {
    let telemetry = module == ".telemetry" && !TELEMETRY.contains(&name) && !name.is_empty();
    telemetry || ABSENT_NAMES.contains(&name)
}

fn no_name(name: &str) -> Misfit {
    Misfit {
        code: "migrate-engine",
        about: name.to_owned(),
        message: format!("`{name}` belongs to the other engine, and dfm has nothing of that name"),
        help: "adapters and applications need none of it; see `docs/moving.md`",
    }
}

fn private_part(path: &str) -> Misfit {
    Misfit {
        code: "migrate-private",
        about: PACKAGE.to_owned(),
        message: format!("`{PACKAGE}{path}` is private there"),
        help: "import what is needed by its public name, as in `from dfm.session import Session`",
    }
}
