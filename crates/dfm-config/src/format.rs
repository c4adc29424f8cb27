//! What may stand where in a configuration? The one table that decoding, and the JSON Schema for editors, are made of.

use crate::decode_direct::{interface, is_host, is_ports};
use crate::fields::same;
use crate::names;

/// What happens to keys that a dictionary does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They are errors.
    Refused,
    /// They mean something else, or nothing.
    Allowed,
}

/// A dictionary whose keys are known.
#[derive(Debug)]
pub struct Shape {
    /// What it is, for messages: "a site".
    pub what: &'static str,
    /// What happens to keys that it does not have.
    pub others: Others,
    /// Its keys.
    pub keys: &'static [Key],
}

impl Shape {
    /// The key that is written like this.
    pub fn key(&self, written: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| same(key.name, written))
    }

    /// The canonical spellings of its keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

/// One key of a dictionary.
#[derive(Debug)]
pub struct Key {
    /// Its canonical spelling; a hyphen is as good as an underscore.
    pub name: &'static str,
    /// Whether it must be there.
    pub needed: bool,
    /// What its value is.
    pub kind: Kind,
    /// For those who write it.
    pub doc: &'static str,
}

/// What a value is.
#[derive(Debug)]
pub enum Kind {
    /// Anything, `null` included.
    Anything,
    /// A text.
    Text,
    /// True or false.
    Flag,
    /// A number of at least 0.
    Amount,
    /// A whole number of at least 0.
    Count,
    /// A whole number of at least 1.
    Whole,
    /// A number above 0.
    Rate,
    /// A port of a host, from 1 on.
    Port,
    /// A list of texts.
    Texts,
    /// A dictionary of the user's own.
    Free,
    /// One of a few texts.
    Choice(&'static [&'static str]),
    /// A text of a certain form.
    Formed(Form),
    /// A JSON Schema.
    Schema,
    /// What a JSON Schema's `type` may say, or the dotted path of a class.
    TypeName,
    /// The name of a type of JSON Schema, the dotted path of a class, or a JSON Schema.
    Type,
    /// A dictionary whose keys are known.
    Shape(&'static Shape),
    /// A dictionary whose keys are names of a form.
    Named(Form, &'static Kind),
    /// One of two.
    Either(&'static Kind, &'static Kind),
}

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Any,
    /// `X.Y.Z`.
    Version,
    /// A Python name, which a keyword has the form of too.
    Identifier,
    /// A Python name that is no keyword.
    Name,
    /// Names with dots between them.
    DottedName,
    /// `namespace.Name`.
    Operation,
    /// `"#/operations/<name>"`.
    Pointer,
    /// The dotted path of a Python class.
    ClassPath,
    /// `provider.property`.
    Property,
    /// A provider's name, which has no dot.
    Provider,
    /// A host name or an IP address.
    Host,
    /// An IP address.
    Address,
    /// `FIRST-LAST`.
    Ports,
}

impl Form {
    /// Whether a text has the form.
    pub fn fits(self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Version => {
                let parts: Vec<&str> = text.split('.').collect();
                let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                parts.len() == 3 && parts.iter().all(number)
            }
            Self::Identifier => names::is_identifier(text),
            Self::Name => names::is_name(text),
            Self::DottedName => text.split('.').all(names::is_name),
            Self::Operation => {
                text.split_once('.').is_some_and(|(namespace, own)| names::is_name(namespace) && names::is_name(own))
            }
            Self::Pointer => text.starts_with("#/operations/"),
            Self::ClassPath => names::is_class_path(text),
            Self::Property => text.split_once('.').is_some_and(|(_, property)| names::is_identifier(property)),
            Self::Provider => !text.is_empty() && !text.contains('.'),
            Self::Host => is_host(text),
            Self::Address => interface(text).is_some(),
            Self::Ports => is_ports(text),
        }
    }
}

/// A key that may be there.
pub const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, needed: false, kind, doc }
}

/// A key that must be there.
pub const fn needed(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, needed: true, kind, doc }
}

/// The version of the format.
pub const VERSION: &str = "1.0.0";

/// A whole configuration.
pub static CONFIGURATION: Shape = Shape {
    what: "a configuration",
    others: Others::Refused,
    keys: &[
        needed("dfm", Kind::Choice(&[VERSION]), "The version of the format, 1.0.0."),
        needed("info", Kind::Shape(&INFO), "The federation's names and version."),
        key("provision", Kind::Shape(&PROVISION), "How deployment files are made."),
        key(
            "schemas",
            Kind::Named(Form::DottedName, &Kind::Schema),
            "Name → JSON Schema; each becomes a typed model in the generated API.",
        ),
        key(
            "operations",
            Kind::Named(Form::Operation, &Kind::Shape(&OPERATION)),
            "`namespace.Name` → what a pipeline can ask for.",
        ),
        key("sites", Kind::Named(Form::Name, &Kind::Shape(&SITE)), "Name → site."),
        key("values", Kind::Shape(&VALUES), "Which values travel between sites."),
    ],
};

/// `values` of the configuration.
pub static VALUES: Shape = Shape {
    what: "`values`",
    others: Others::Refused,
    keys: &[key(
        "packages",
        Kind::Texts,
        "Python packages beside the federation's own, objects of whose classes travel and are rebuilt.",
    )],
};

/// A patch of a configuration.
pub static PATCH: Shape = Shape {
    what: "a patch",
    others: Others::Refused,
    keys: &[needed("provision", Kind::Shape(&PROVISION), "What is merged into the configuration's.")],
};

/// `info` of the configuration.
pub static INFO: Shape = Shape {
    what: "`info`",
    others: Others::Allowed,
    keys: &[
        needed("api-version", Kind::Formed(Form::Version), "The API's version, `X.Y.Z`."),
        needed("code-package", Kind::Formed(Form::Name), "The Python package that the code is generated into."),
        key("description", Kind::Text, "For users."),
    ],
};

/// An operation.
pub static OPERATION: Shape = Shape {
    what: "an operation",
    others: Others::Allowed,
    keys: &[
        key("description", Kind::Text, "For users."),
        key("type", Kind::Choice(&["object"]), "Optional, and only `object`."),
        key(
            "parameters",
            Kind::Named(Form::Identifier, &Kind::Shape(&PARAMETER)),
            "Name → JSON Schema, and what a pipeline may give for it.",
        ),
        key(
            "properties",
            Kind::Named(Form::Identifier, &Kind::Shape(&PARAMETER)),
            "Another word for `parameters`, as operations have it that are written as JSON Schemas.",
        ),
        key("required", Kind::Texts, "The parameters that a pipeline has to give."),
        key("returns", Kind::Type, "A type of JSON Schema, or the dotted path of a Python class."),
        key(
            "disclosure",
            Kind::Either(&Kind::Choice(DISCLOSURES), &Kind::Shape(&DISCLOSURE)),
            "What its results tell of the data: `records`, single ones; `aggregate`, groups of them; `model`, what was \
             learnt from them; `public`, nothing. A site's policy may hold to it; what says nothing is `records` there.",
        ),
        key(
            "reduce",
            Kind::Shape(&REDUCE),
            "That it puts together what sites made, and may do so with some of it on its way to the others.",
        ),
    ],
};

/// `reduce` of an operation.
pub static REDUCE: Shape = Shape {
    what: "`reduce`",
    others: Others::Refused,
    keys: &[
        needed(
            "associative",
            Kind::Flag,
            "Only `true`: what it makes of some parts may take their place among the others.",
        ),
        key("commutative", Kind::Flag, "Whether the order of the parts makes no difference; `false` if not given."),
    ],
};

/// What results may tell of the data that they are made of.
pub const DISCLOSURES: &[&str] = &["records", "aggregate", "model", "public"];

/// `disclosure` of an operation that says how large its groups are.
pub static DISCLOSURE: Shape = Shape {
    what: "`disclosure`",
    others: Others::Refused,
    keys: &[needed("aggregate", Kind::Shape(&AGGREGATE), "Groups of records, of which more is said.")],
};

/// `aggregate` of that.
pub static AGGREGATE: Shape = Shape {
    what: "`aggregate`",
    others: Others::Refused,
    keys: &[needed("min-group", Kind::Whole, "The least number of records that a group is made of.")],
};

const LITERAL: Key = key("accepts-literal-input", Kind::Flag, "Whether a pipeline may give a value of its type.");
const NODE: Key = key("accepts-node-input", Kind::Flag, "Whether a pipeline may give another node's result.");
const PLACE: Key = key("accepts-place-input", Kind::Flag, "Whether a pipeline may give a `PlaceParam`.");
const ADVISE: Key = key("discoverable", Kind::Flag, "Whether a pipeline may give `Advise()`.");
const DESCRIPTION: Key = key("description", Kind::Text, "For users.");

/// A parameter, which is a JSON Schema too.
pub static PARAMETER: Shape = Shape {
    what: "a parameter",
    others: Others::Allowed,
    keys: &[
        LITERAL,
        NODE,
        PLACE,
        ADVISE,
        DESCRIPTION,
        key("default", Kind::Anything, "What it is when a pipeline does not give it."),
    ],
};

/// A parameter that a binding adds.
pub static EXPOSED: Shape = Shape {
    what: "`expose-as`",
    others: Others::Refused,
    keys: &[
        needed("param", Kind::Formed(Form::Identifier), "The parameter's name."),
        key("type", Kind::TypeName, "A type of JSON Schema, or the dotted path of a Python class."),
        DESCRIPTION,
        LITERAL,
        NODE,
        PLACE,
        ADVISE,
    ],
};

/// A site.
pub static SITE: Shape = Shape {
    what: "a site",
    others: Others::Refused,
    keys: &[
        key("info", Kind::Free, "Free facts about it; its `description` is shown to users."),
        key("impl", CLASS, "Its own `dfm.exec.Site` subclass: a dotted path, or `{path, args}`."),
        key("cache_config", Kind::Shape(&CACHE), "Where its cache is."),
        key("secrets_vault", Kind::Shape(&VAULT), "Where its secrets are."),
        key("interface", INTERFACE, "`\"#/operations/<name>\"` → how the site implements it."),
        key(
            "providers",
            Kind::Named(Form::Provider, &Kind::Shape(&PROVIDER)),
            "Name → another implementation of operations at the same site.",
        ),
        key("send_cost", Kind::Named(Form::Any, &Kind::Shape(&SEND_COST)), "Other site → the cost of sending there."),
        key(
            "pickle_from",
            Kind::Texts,
            "Users, as their certificates name them, and sites, whose pickles it opens, and so whose code it runs; \
             default: nobody's.",
        ),
        key(
            "python",
            Kind::Text,
            "The Python that runs it on this machine, on the local target and in a POC, if its packages are not those of \
             its neighbours; begins in the federation's folder.",
        ),
    ],
};

const INTERFACE: Kind = Kind::Named(Form::Pointer, &Kind::Shape(&BINDING));
const CLASS: Kind = Kind::Either(&Kind::Formed(Form::ClassPath), &Kind::Shape(&IMPLEMENTATION));

/// A class and its arguments, for a site or provider.
pub static IMPLEMENTATION: Shape = Shape { what: "an `impl`", others: Others::Refused, keys: CLASS_KEYS };

/// A class and its arguments, for an adapter.
pub static ADAPTER: Shape = Shape { what: "an adapter", others: Others::Refused, keys: CLASS_KEYS };

static CLASS_KEYS: &[Key] = &[
    needed("path", Kind::Formed(Form::ClassPath), "The dotted path of the class."),
    key("args", Kind::Free, "Extra constructor arguments."),
];

/// A cache.
pub static CACHE: Shape = Shape {
    what: "`cache_config`",
    others: Others::Refused,
    keys: &[
        key("protocol", Kind::Text, "The fsspec file system; default `file`."),
        key("storage_options", Kind::Free, "Its fsspec options."),
        key("base_path", Kind::Text, "The folder; default the user's cache folder for this federation."),
        key("shared", Kind::Flag, "Whether all users find what the site's own runs have kept; default `false`."),
        key(
            "groups",
            Kind::Named(Form::Any, &Kind::Texts),
            "A group's name → its users, as their certificates name them, who find what each other's runs have kept.",
        ),
    ],
};

/// A vault.
pub static VAULT: Shape = Shape {
    what: "`secrets_vault`",
    others: Others::Refused,
    keys: &[
        key(
            "path",
            Kind::Formed(Form::ClassPath),
            "The dotted path of its class; default the environment's variables.",
        ),
        key("args", Kind::Free, "Its constructor's arguments."),
    ],
};

/// A provider.
pub static PROVIDER: Shape = Shape {
    what: "a provider",
    others: Others::Refused,
    keys: &[
        key("info", Kind::Free, "Free facts about it."),
        key("impl", CLASS, "Its own `dfm.exec.Provider` subclass: a dotted path, or `{path, args}`."),
        key("interface", INTERFACE, "`\"#/operations/<name>\"` → how the provider implements it."),
    ],
};

/// The cost of sending to a site.
pub static SEND_COST: Shape = Shape {
    what: "a `send_cost`",
    others: Others::Refused,
    keys: &[
        key("fixed_time", Kind::Amount, "Seconds."),
        key("bandwidth", Kind::Rate, "Bytes a second; `null` for unlimited."),
    ],
};

/// A binding.
pub static BINDING: Shape = Shape {
    what: "an adapter binding",
    others: Others::Refused,
    keys: &[
        needed(
            "adapter",
            Kind::Either(&Kind::Formed(Form::ClassPath), &Kind::Shape(&ADAPTER)),
            "The dotted path of the adapter's class, or `{path, args}`.",
        ),
        key("description", Kind::Text, "Overrides the operation's."),
        key("returns", Kind::Type, "Overrides the operation's."),
        key(
            "is-async",
            Kind::Flag,
            "Whether `body` is a coroutine, on the event loop (default); otherwise it runs on a thread.",
        ),
        key(
            "args",
            Kind::Either(
                &Kind::Choice(&["from-operation", "from_operation"]),
                &Kind::Named(Form::Identifier, &Kind::Either(&Kind::Text, &Kind::Shape(&ARGUMENT))),
            ),
            "`from-operation`, or the adapter's argument → where its value comes from.",
        ),
        key("compute_cost", Kind::Shape(&COMPUTE_COST), "For choosing a site."),
        key(
            "max-concurrent",
            Kind::Whole,
            "How many of its calls a session runs at the same time; more wait for their turn.",
        ),
        key(
            "scope",
            Kind::Choice(&["job", "session", "site"]),
            "Who shares one object of the adapter's class: the calls of a job, those of a session (default), or all of \
             the site's bindings of this class with the same arguments.",
        ),
        key("state", Kind::Shape(&STATE), "What becomes of its `site.state`."),
    ],
};

/// What an adapter keeps from call to call.
pub static STATE: Shape = Shape {
    what: "a `state`",
    others: Others::Refused,
    keys: &[
        key("on-disk", Kind::Flag, "Whether it outlasts the session; otherwise it ends with the site's process."),
        key("base_path", Kind::Text, "The folder; default the user's folder for the state of this federation's site."),
        key("per-user", Kind::Flag, "Whether each user of the federation has one of their own."),
        key("name", Kind::Text, "What the site's bindings call it that share it; default the operation's name."),
        key("limit", Kind::Whole, "How many bytes it may have; default 1 GiB."),
    ],
};

/// The sources of an argument, of which it has exactly one.
pub const SOURCES: &[&str] = &["from-param", "from-secrets", "const", "from-provider", "from-site"];

/// An argument of an adapter.
pub static ARGUMENT: Shape = Shape {
    what: "an argument",
    others: Others::Refused,
    keys: &[
        key("from-param", Kind::Text, "The operation's parameter of this name."),
        key("from-secrets", Kind::Text, "The vault's secret of this name."),
        key("const", Kind::Anything, "This value."),
        key("from-provider", Kind::Formed(Form::Property), "A provider's property, `provider.property`."),
        key("from-site", Kind::Formed(Form::Identifier), "The site's property."),
        key("doc", Kind::Text, "For readers of the file."),
        key(
            "expose-as",
            Kind::Either(&Kind::Formed(Form::Identifier), &Kind::Shape(&EXPOSED)),
            "The optional parameter of the site's own version of the operation that overrides the source.",
        ),
    ],
};

/// The cost of running an operation once.
pub static COMPUTE_COST: Shape = Shape {
    what: "a `compute_cost`",
    others: Others::Refused,
    keys: &[
        key("fixed_time", Kind::Amount, "Seconds."),
        key("compute_throughput", Kind::Rate, "Bytes of input a second; `null` for unlimited."),
        key("fixed_size", Kind::Amount, "Bytes of the result."),
        key("output_factor", Kind::Amount, "Bytes of the result for each byte of input."),
    ],
};

/// `provision`.
pub static PROVISION: Shape = Shape {
    what: "`provision`",
    others: Others::Refused,
    keys: &[
        key("docker", Kind::Shape(&DOCKER), "How the container image is made."),
        key("helm", Kind::Shape(&HELM), "How the Helm chart is made."),
        key(
            "direct",
            Kind::Named(Form::Any, &Kind::Shape(&DIRECT)),
            "`server` or a site → where others may connect to it, beside NVFlare.",
        ),
    ],
};

/// One of `provision.direct`.
pub static DIRECT: Shape = Shape {
    what: "a participant of `direct`",
    others: Others::Refused,
    keys: &[
        needed("host", Kind::Formed(Form::Host), "The host name or IP address at which others reach it."),
        needed(
            "ports",
            Kind::Either(&Kind::Port, &Kind::Formed(Form::Ports)),
            "Its port, or the first and the last of at most 64, as `9100-9107`: so many sessions have direct connections \
             there at a time.",
        ),
        key("listen", Kind::Formed(Form::Address), "The IP address of the interface on which it listens; default all."),
    ],
};

/// `provision.docker`.
pub static DOCKER: Shape = Shape {
    what: "`provision.docker`",
    others: Others::Refused,
    keys: &[
        needed("image", Kind::Text, "The image's name."),
        needed("tag", Kind::Text, "The image's tag."),
        key(
            "dockerfile",
            Kind::Either(&Kind::Text, &Kind::Shape(&DOCKERFILE)),
            "Where the Dockerfile goes: a path, or `{dir, file}`.",
        ),
        key("build", Kind::Shape(&BUILD), "How the image is built."),
    ],
};

/// `provision.docker.dockerfile`.
pub static DOCKERFILE: Shape = Shape {
    what: "`dockerfile`",
    others: Others::Refused,
    keys: &[key("dir", Kind::Text, "Its folder."), key("file", Kind::Text, "Its name.")],
};

/// `provision.docker.build`.
pub static BUILD: Shape = Shape {
    what: "`build`",
    others: Others::Refused,
    keys: &[
        needed("context", Kind::Text, "The folder that is built from."),
        needed("engine", Kind::Choice(&["docker", "podman"]), "What builds it."),
        needed("arch", Kind::Choice(&["amd64", "arm64"]), "The processor that it is built for."),
        key("base", Kind::Text, "The image with Python that it is built on, best as `NAME@sha256:…`."),
        key("save", Kind::Shape(&SAVE), "Whether it is saved as a file."),
        key("push", Kind::Shape(&PUSH), "Whether it is pushed to a registry."),
    ],
};

/// `provision.docker.build.save`.
pub static SAVE: Shape = Shape {
    what: "`save`",
    others: Others::Refused,
    keys: &[key("enabled", Kind::Flag, "Whether it is saved."), key("file", Kind::Text, "The file.")],
};

/// `provision.docker.build.push`.
pub static PUSH: Shape = Shape {
    what: "`push`",
    others: Others::Refused,
    keys: &[
        key("enabled", Kind::Flag, "Whether it is pushed."),
        key("registry", Kind::Shape(&REGISTRY), "Where to, and as whom."),
    ],
};

/// `provision.docker.build.push.registry`.
pub static REGISTRY: Shape = Shape {
    what: "`registry`",
    others: Others::Refused,
    keys: &[
        key("url", Kind::Text, "Where the registry is."),
        key("username", Kind::Text, "A literal, or `$NAME` for an environment variable."),
        key("password", Kind::Text, "`$NAME` for an environment variable; a literal would be known to every reader."),
    ],
};

/// `provision.helm`.
pub static HELM: Shape = Shape {
    what: "`provision.helm`",
    others: Others::Refused,
    keys: &[
        needed("path", Kind::Text, "The chart's folder."),
        needed("name", Kind::Text, "The chart's name."),
        key("chartVersion", Kind::Text, "Default: the API's version."),
        key("appVersion", Kind::Text, "Default: the API's version."),
        needed(
            "startup_package_source",
            Kind::Choice(&["env", "workspace"]),
            "Where the startup packages come from: environment variables, or the provisioned workspace.",
        ),
    ],
};
