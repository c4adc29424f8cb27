//! What is a federation, once its configuration has been found valid?

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use dfm_diag::{Span, Spanned};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

/// A whole federation: what it offers and how each site implements it.
#[derive(Clone, Debug, PartialEq)]
pub struct Federation {
    /// Its names and version.
    pub info: Info,
    /// Name → JSON Schema; each becomes a typed model in the generated API.
    pub schemas: IndexMap<String, Value>,
    /// `namespace.Name` → operation.
    pub operations: IndexMap<String, Operation>,
    /// Name → site.
    pub sites: IndexMap<String, Site>,
    /// Python packages beside the federation's own, objects of whose classes travel.
    pub value_packages: Vec<String>,
    /// How deployment files are made, checked for its shape.
    pub provision: Provision,
    /// The dotted paths that a `type` or `returns` names, and where.
    pub type_paths: Vec<Spanned<String>>,
}

/// The federation's names and version.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// `X.Y.Z`.
    pub api_version: String,
    /// The Python package that the code is generated into.
    pub code_package: String,
    /// For users.
    pub description: String,
}

/// Something a pipeline can ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Where its name is declared.
    pub span: Span,
    /// For users.
    pub description: String,
    /// Name → parameter, required and optional ones in the order of the file.
    pub parameters: IndexMap<String, Parameter>,
    /// What it returns, where the file says so.
    pub returns: Option<Type>,
    /// What its results tell of the data that they are made of, where the file says so.
    pub disclosure: Option<Disclosure>,
    /// How it may be applied to parts of what it puts together, where the file says so.
    pub reduce: Option<Reduce>,
}

/// That an operation's result for some parts may take their place among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reduce {
    /// Whether the order of the parts makes no difference.
    pub commutative: bool,
}

/// What results tell of the data that they are made of, as whoever declares an operation answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disclosure {
    /// `records`, `aggregate`, `model` or `public`.
    pub kind: String,
    /// The least number of records that each group of an aggregate is made of.
    pub min_group: Option<u64>,
}

/// A type that the file names.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// A JSON Schema, with local `$ref`s resolved; a bare type name is `{"type": name}`. A reference to one of the
    /// federation's `schemas` stays `{"$ref": "#/schemas/<name>"}`.
    Schema(Value),
    /// A dotted Python class path.
    Class(String),
}

/// One parameter of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Where its name is declared.
    pub span: Span,
    /// For users.
    pub description: String,
    /// Its type.
    pub of: Type,
    /// Whether a pipeline has to give it.
    pub required: bool,
    /// What it is when not given.
    pub default: Option<Value>,
    /// What a pipeline may give.
    pub accepts: Accepts,
}

/// What a pipeline may give for a parameter; all of it unless the file says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// A value of its type.
    pub literal: bool,
    /// Another node's result.
    pub node: bool,
    /// A `PlaceParam`.
    pub place: bool,
    /// An `Advise()`.
    pub advise: bool,
}

/// One site.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Where its name is declared.
    pub span: Span,
    /// Free facts about it.
    pub info: Map<String, Value>,
    /// Its own `dfm.exec.Site` subclass.
    pub implementation: Option<Class>,
    /// Where its cache is.
    pub cache: Cache,
    /// Where its secrets are.
    pub vault: Vault,
    /// Operation → its own adapter.
    pub interface: IndexMap<String, Binding>,
    /// Name → provider.
    pub providers: IndexMap<String, Provider>,
    /// Other site → the cost of sending there.
    pub send_cost: IndexMap<String, SendCost>,
    /// Users and sites whose pickles it opens.
    pub pickle_from: Vec<String>,
    /// The interpreter that runs it on this machine, as it is written.
    pub python: Option<String>,
}

impl Site {
    /// The interpreter that runs it on this machine, if that is one of its own, for a federation in this folder.
    #[must_use]
    pub fn python_in(&self, federation: &Path) -> Option<PathBuf> {
        self.python.as_ref().map(|python| federation.join(python))
    }
}

/// A Python class and constructor arguments of the site's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Dotted path.
    pub path: Spanned<String>,
    /// Extra constructor arguments.
    pub args: Map<String, Value>,
}

/// An fsspec file system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cache {
    /// Its fsspec name.
    pub protocol: String,
    /// Its fsspec options.
    pub storage_options: Map<String, Value>,
    /// The folder; `None` for the user's cache folder for this federation.
    pub base_path: Option<String>,
    /// Whether all users find what the site's own runs have kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Groups by name, each with the names of the users who find and keep values together.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub groups: IndexMap<String, Vec<String>>,
}

/// A vault for secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vault {
    /// Dotted path of its class; `None` for the environment.
    pub path: Option<String>,
    /// Its constructor's arguments.
    pub args: Map<String, Value>,
}

/// Another implementation of operations at the same site.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Free facts about it.
    pub info: Map<String, Value>,
    /// Its own `dfm.exec.Provider` subclass.
    pub implementation: Option<Class>,
    /// Operation → adapter.
    pub interface: IndexMap<String, Binding>,
}

/// How a site, or one of its providers, implements an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Where the operation is named.
    pub span: Span,
    /// The adapter.
    pub adapter: Class,
    /// Overrides the operation's.
    pub description: Option<String>,
    /// Overrides the operation's.
    pub returns: Option<Type>,
    /// Whether `body` runs on the event loop; otherwise it runs on a thread.
    pub is_async: bool,
    /// The adapter's argument → where its value comes from. `from-operation` is written out here.
    pub arguments: IndexMap<String, Argument>,
    /// For choosing a site.
    pub compute_cost: ComputeCost,
    /// How many of its calls a session runs at the same time, if that is bounded.
    pub max_concurrent: Option<u64>,
    /// Who shares one object of the adapter's class.
    pub lifetime: Lifetime,
    /// What becomes of its state.
    pub state: State,
}

/// Who shares one object of an adapter's class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifetime {
    /// The calls of a job.
    Job,
    /// The calls of a session.
    #[default]
    Session,
    /// All of a site's bindings of that class with the same arguments.
    Site,
}

/// What an adapter keeps from call to call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// Whether it outlasts the session.
    pub on_disk: bool,
    /// The folder; `None` for the user's own.
    pub base_path: Option<String>,
    /// Whether each user has one of their own.
    pub per_user: bool,
    /// What the bindings call it that share it; `None` for the operation's name.
    pub name: Option<String>,
    /// How many bytes it may have, if the file says so.
    pub limit: Option<u64>,
}

/// One argument of an adapter's `body`.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Where it is written.
    pub span: Span,
    /// Where its value comes from.
    pub source: ArgumentSource,
    /// For readers of the file.
    pub doc: Option<String>,
    /// The optional parameter of the site's own version of the operation that overrides the source.
    pub exposed: Option<(String, Parameter)>,
}

/// Where an adapter argument's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgumentSource {
    /// The operation's parameter of this name.
    Param(String),
    /// The vault's secret of this name.
    Secret(String),
    /// The file.
    Const(Value),
    /// A provider's property: (provider, property).
    Provider(String, String),
    /// The site's property.
    Site(String),
}

/// The cost of running an operation once.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ComputeCost {
    /// Seconds.
    pub fixed_time: f64,
    /// Bytes of input a second; `None` for unlimited.
    pub compute_throughput: Option<f64>,
    /// Bytes of the result.
    pub fixed_size: f64,
    /// Bytes of the result for each byte of input.
    pub output_factor: f64,
}

/// The cost of sending to another site.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SendCost {
    /// Seconds.
    pub fixed_time: f64,
    /// Bytes a second; `None` for unlimited.
    pub bandwidth: Option<f64>,
}

/// The site that is the federation's server, whatever its host is called.
pub const SERVER: &str = "server";

/// How deployment files are made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provision {
    /// Where the section's key is written, if it is.
    pub span: Option<Span>,
    /// `provision.docker`, checked for its shape; its span is that of its key.
    pub docker: Option<Spanned<Map<String, Value>>>,
    /// `provision.helm`, checked for its shape; its span is that of its key.
    pub helm: Option<Spanned<Map<String, Value>>>,
    /// `server` or a site → where others may connect to it; its span is that of its key.
    pub direct: IndexMap<String, Spanned<Direct>>,
}

/// Where a participant takes direct connections of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct {
    /// The host name or IP address at which others reach it.
    pub host: String,
    /// The first of its ports, of which each session takes one.
    pub first: u16,
    /// The last of them.
    pub last: u16,
    /// The address of the interface on which it listens; `None` for all.
    pub listen: Option<IpAddr>,
}

impl Direct {
    /// All its ports.
    #[must_use]
    pub fn ports(&self) -> std::ops::RangeInclusive<u16> {
        self.first..=self.last
    }
}
