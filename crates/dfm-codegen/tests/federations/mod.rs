//! Which federations are the tests about?

use dfm_config::{
    Accepts, Argument, ArgumentSource, Binding, Cache, Class, ComputeCost, Federation, Info, Lifetime, Operation,
    Parameter, Provider, Provision, SendCost, Site, State, Type, Vault,
};
use dfm_diag::{Span, Spanned};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

const ANY: Accepts = Accepts { literal: true, node: true, place: true, advise: true };

/// The greeting federation.
pub fn examplefed() -> Federation {
    let format = |text: &str| argument(ArgumentSource::Const(json!(text)));
    let greeting = optional(json!({"type": "string"}), "How to greet, with a place for {name}.");
    let exposed = Argument {
        exposed: Some(("greeting".to_owned(), greeting)),
        ..format("Hello from the local app, {name}! How are you?")
    };
    let greeter = "examplefed.lib.customer_service.GreetMe";
    let name = ("name", argument(ArgumentSource::Param("name".to_owned())));
    let concierge = binding(greeter, [name.clone(), ("greet_fmt", exposed)]);
    let server = binding(greeter, [name.clone(), ("greet_fmt", format("Hello from the server, {name}! How are you?"))]);
    let venue = ("venue", argument(ArgumentSource::Site("federation_name".to_owned())));
    let reception = binding("examplefed.lib.customer_service.GreetMeReception", [name, venue]);
    Federation {
        type_paths: Vec::new(),
        value_packages: Vec::new(),
        info: info("examplefed", "0.0.1", "Greets people."),
        schemas: IndexMap::new(),
        operations: named([(
            "users.GreetMe",
            Operation {
                span: Span::default(),
                description: "Greets a person.".to_owned(),
                parameters: named([("name", required(json!({"type": "string"}), "Whom to greet."))]),
                returns: Some(Type::Schema(json!({"type": "string"}))),
                disclosure: None,
                reduce: None,
            },
        )]),
        sites: named([
            (
                "concierge",
                Site {
                    send_cost: named([("server", SendCost { fixed_time: 0.1, bandwidth: Some(1e6) })]),
                    ..site([("users.GreetMe", concierge)])
                },
            ),
            ("server", site([("users.GreetMe", server)])),
            ("reception", site([("users.GreetMe", reception)])),
        ]),
        provision: Provision::default(),
    }
}

/// Everything that can be generated, with names that are hard on Python.
pub fn rich() -> Federation {
    let north = Site {
        info: object(json!({"description": "Far up.", "region": "eu"})),
        implementation: Some(class("rich.lib.NorthSite", json!({"level": 3}))),
        cache: Cache {
            protocol: "s3".to_owned(),
            storage_options: object(json!({"anon": true})),
            base_path: Some("bucket/cache".to_owned()),
            shared: true,
            groups: named([("study", vec!["ann@x".to_owned(), "bob@y".to_owned()])]),
        },
        vault: Vault { path: Some("rich.lib.Vault".to_owned()), args: object(json!({"prefix": "N_"})) },
        providers: named([
            (
                "gfs",
                Provider {
                    info: object(json!({"url": "https://example.com"})),
                    implementation: Some(class("rich.lib.Gfs", json!({}))),
                    interface: named([("weather.Forecast", with_url("gfs", "limit", json!({"type": "integer"})))]),
                },
            ),
            (
                "era-5",
                Provider {
                    info: Map::new(),
                    implementation: None,
                    interface: named([
                        ("weather.Forecast", with_url("era-5", "limit", json!({"type": "string"}))),
                        ("weather.raw.Load", binding("rich.lib.Load", [])),
                    ]),
                },
            ),
        ]),
        ..site([("weather.Forecast", binding("rich.lib.Forecast", []))])
    };
    let loaders = [
        ("one", Provider { info: Map::new(), implementation: None, interface: loads() }),
        ("two", Provider { info: Map::new(), implementation: None, interface: loads() }),
    ];
    let south = Binding {
        description: Some("Forecasts the south alone.".to_owned()),
        returns: Some(Type::Class("rich.lib.types.Grid".to_owned())),
        is_async: false,
        max_concurrent: None,
        lifetime: Lifetime::Session,
        state: State::default(),
        compute_cost: ComputeCost {
            fixed_time: 2.0,
            compute_throughput: Some(5e8),
            fixed_size: 10.0,
            output_factor: 0.5,
        },
        ..binding("rich.lib.OfSouth", [("note", argument(ArgumentSource::Const(json!("only for south"))))])
    };
    Federation {
        type_paths: Vec::new(),
        value_packages: vec!["shapes".to_owned()],
        info: info("rich", "1.2.3", "Everything that a configuration can say."),
        schemas: schemas(),
        operations: operations(),
        sites: named([
            ("north", north),
            ("south-2", Site { providers: named(loaders), ..site([("weather.Forecast", south)]) }),
            ("import", site([])),
        ]),
        provision: Provision::default(),
    }
}

fn schemas() -> IndexMap<String, Value> {
    named([
        (
            "Region",
            json!({
                "type": "object",
                "description": "A part of the map, possibly with parts of its own.",
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "corner": {
                        "type": "object",
                        "description": "The lower left corner.",
                        "properties": {"lat": {"type": "number"}, "lon": {"type": "number", "default": 0}},
                        "required": ["lat"],
                    },
                    "parts": {"type": "array", "items": {"$ref": "#/schemas/Region"}},
                    "from": {"$ref": "#/schemas/moment", "description": "When it came to be."},
                    "copy": {"type": "boolean", "default": false},
                    "until": {"$ref": "#/schemas/moment"},
                    "day": {"$ref": "#/schemas/day"},
                    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                },
                "required": ["name", "corner", "copy"],
            }),
        ),
        ("moment", json!({"anyOf": [{"$ref": "#/schemas/day"}, {"type": "null"}], "description": "A day, or never."})),
        ("day", json!({"type": "string", "format": "date"})),
        (
            "level-kind",
            json!({"enum": ["surface", "pressure", "height above ground", "entire atmosphere", "mean sea level"]}),
        ),
        ("open", json!({"type": "object", "properties": {}, "additionalProperties": true})),
        ("tree", json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/schemas/tree"}}]})),
    ])
}

fn operations() -> IndexMap<String, Operation> {
    let long = "A description that is so long that it has to be broken, since nobody wants to scroll to the right \
                to read what it says about the \"parameter\" and its C:\\path.\n\n  - a list\n  - of \"\"\"things\"\"\"";
    named([
        (
            "weather.Forecast",
            Operation {
                span: Span::default(),
                description: long.to_owned(),
                parameters: named([
                    ("region", required(json!({"$ref": "#/schemas/Region"}), "")),
                    ("kind", required(json!({"$ref": "#/schemas/level-kind"}), "")),
                    ("grid", parameter(Type::Class("rich.lib.types.Grid".to_owned()), "Made by \"regrid\"")),
                    ("date", optional(json!({"type": "string", "format": "date", "default": "2025-01-01"}), long)),
                    ("until", optional(json!({"type": ["string", "null"], "format": "date-time"}), "")),
                    ("days", optional(json!({"type": "integer", "minimum": 1, "maximum": 10, "default": 3}), "")),
                    (
                        "variables",
                        required(
                            json!({"type": "array", "minItems": 1, "items": {"type": "string",
                                "enum": ["temperature", "wind_speed", "precipitation", "relative_humidity"]}}),
                            "What to forecast.",
                        ),
                    ),
                    ("site", required(json!({"type": "string", "pattern": "^[a-z]+\\d$"}), "Not dfm's site.")),
                    ("from", optional(json!({"type": "number", "default": 0.5, "exclusiveMinimum": 0}), "")),
                    ("class", optional(json!({"const": "economy"}), "")),
                    ("list", optional(json!({"type": "array", "default": [1, 2]}), "")),
                    ("any_object", optional(json!({"type": "object"}), "")),
                    ("quote", optional(json!({"type": "string", "default": "say \"hi\"\n"}), "")),
                    (
                        "max-wind",
                        optional(json!({"anyOf": [{"type": "integer"}, {"type": "boolean"}], "default": true}), ""),
                    ),
                    ("limits", optional(json!({"type": "object", "additionalProperties": {"type": "number"}}), "")),
                    ("level", optional(json!({"enum": [1, 2, 2.5, null]}), "")),
                    ("only_node", restricted(Accepts { literal: false, place: false, advise: false, ..ANY })),
                    ("only_literal", restricted(Accepts { node: false, place: false, advise: false, ..ANY })),
                    ("nothing", restricted(Accepts { literal: false, node: false, place: false, advise: false })),
                ]),
                returns: Some(Type::Schema(json!({"$ref": "#/schemas/Region"}))),
                disclosure: None,
                reduce: None,
            },
        ),
        (
            "weather.Node",
            Operation {
                span: Span::default(),
                description: String::new(),
                parameters: IndexMap::new(),
                returns: None,
                disclosure: None,
                reduce: None,
            },
        ),
        (
            "weather.raw.Load",
            Operation {
                span: Span::default(),
                description: "Loads".to_owned(),
                parameters: named([("path", required(json!({}), ""))]),
                returns: None,
                disclosure: None,
                reduce: None,
            },
        ),
    ])
}

fn loads() -> IndexMap<String, Binding> {
    named([("weather.raw.Load", binding("rich.lib.Load", []))])
}

fn with_url(provider: &str, exposed: &str, of: Value) -> Binding {
    let source = ArgumentSource::Provider(provider.to_owned(), "url".to_owned());
    let key = ArgumentSource::Secret("API_KEY".to_owned());
    let limit = Argument {
        exposed: Some((exposed.to_owned(), optional(of, "How many."))),
        ..argument(ArgumentSource::Const(json!(7)))
    };
    binding("rich.lib.Remote", [("url", argument(source)), ("key", argument(key)), ("limit", limit)])
}

fn info(package: &str, version: &str, description: &str) -> Info {
    Info { api_version: version.to_owned(), code_package: package.to_owned(), description: description.to_owned() }
}

fn site<const N: usize>(interface: [(&str, Binding); N]) -> Site {
    Site {
        span: Span::default(),
        info: Map::new(),
        implementation: None,
        cache: Cache {
            protocol: "file".to_owned(),
            storage_options: Map::new(),
            base_path: None,
            shared: false,
            groups: named([]),
        },
        vault: Vault { path: None, args: Map::new() },
        interface: named(interface),
        providers: IndexMap::new(),
        send_cost: IndexMap::new(),
        pickle_from: vec![],
        python: None,
    }
}

fn binding<const N: usize>(adapter: &str, arguments: [(&str, Argument); N]) -> Binding {
    Binding {
        span: Span::default(),
        adapter: class(adapter, json!({})),
        description: None,
        returns: None,
        is_async: true,
        max_concurrent: None,
        lifetime: Lifetime::Session,
        state: State::default(),
        arguments: named(arguments),
        compute_cost: ComputeCost::default(),
    }
}

fn argument(source: ArgumentSource) -> Argument {
    Argument { span: Span::default(), source, doc: None, exposed: None }
}

fn required(schema: Value, description: &str) -> Parameter {
    Parameter { required: true, ..optional(schema, description) }
}

fn optional(schema: Value, description: &str) -> Parameter {
    let default = schema.get("default").cloned();
    Parameter { default, required: false, ..parameter(Type::Schema(schema), description) }
}

fn restricted(accepts: Accepts) -> Parameter {
    Parameter { accepts, ..optional(json!({"type": "string"}), "") }
}

fn parameter(of: Type, description: &str) -> Parameter {
    Parameter {
        span: Span::default(),
        description: description.to_owned(),
        of,
        required: true,
        default: None,
        accepts: ANY,
    }
}

fn class(path: &str, args: Value) -> Class {
    Class { path: Spanned { value: path.to_owned(), span: Span::default() }, args: object(args) }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

fn named<T, const N: usize>(entries: [(&str, T); N]) -> IndexMap<String, T> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
