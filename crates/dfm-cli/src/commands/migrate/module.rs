//! What of the other package's modules has dfm, and under which name?

/// The package whose imports change.
pub const PACKAGE: &str = "nv_dfm_core";

/// The public modules of dfm's package.
const MODULES: &[&str] = &[
    "",
    ".api",
    ".api.discovery",
    ".errors",
    ".exec",
    ".exec.discovery",
    ".http",
    ".session",
    ".telemetry",
    ".testing",
    ".values",
];
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
/// `names` are those that are imported from it, if it stands behind `from`; `imported` says whether it stands behind
/// `import`.
pub fn counterpart<'p>(path: &'p str, names: Option<&[&str]>, imported: bool) -> Result<&'p str, Misfit> {
    let private = path.find("._");
    let public = &path[..private.unwrap_or(path.len())];
    let whole = names.is_some() || imported;
    let first = public.split('.').nth(1).map_or(String::new(), |first| format!(".{first}"));
    // What stands behind a module in an expression may be a name of it.
    if !MODULES.contains(&if whole { public } else { first.as_str() }) {
        let part = if MODULES.contains(&first.as_str()) { public } else { first.as_str() };
        return Err(no_module(&part[1..], PACKAGE));
    }
    let of_root = names.filter(|_| public.is_empty()).unwrap_or_default();
    let is_module = |name: &&&str| name.starts_with("__") || MODULES.contains(&format!(".{name}").as_str());
    if let Some(part) = of_root.iter().find(|name| !name.is_empty() && !is_module(name) && !is_private(name)) {
        return Err(no_module(part, part));
    }
    let Some(names) = names else {
        let name = path.rsplit('.').next().unwrap_or_default();
        return match private {
            Some(_) => Err(private_part(path)),
            None if is_absent(path, name) => Err(no_name(name)),
            None => Ok(path),
        };
    };
    // What is private there is public here, or not at all.
    match names.iter().find(|name| is_absent(public, name)) {
        Some(name) => Err(no_name(name)),
        None if names.iter().any(|name| is_private(name)) => Err(private_part(path)),
        None => Ok(public),
    }
}

fn is_private(name: &str) -> bool {
    name.starts_with('_') && !name.starts_with("__")
}

/// Whether a public module here lacks a name that the other has.
fn is_absent(module: &str, name: &str) -> bool {
    let telemetry = module == ".telemetry" && !TELEMETRY.contains(&name) && !name.is_empty();
    telemetry || ABSENT_NAMES.contains(&name)
}

fn no_module(part: &str, about: &str) -> Misfit {
    Misfit {
        code: "migrate-no-module",
        about: about.to_owned(),
        message: format!("dfm has no module `{part}`"),
        help: "do without it; `docs/moving.md` says what takes its place",
    }
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
