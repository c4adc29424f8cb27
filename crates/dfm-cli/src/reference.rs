//! Are the pages of `docs/reference` what the format, the command line and the codes are? `make reference` writes them.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use dfm_config::format::{CONFIGURATION, Form, Kind, Others, PATCH, Shape};
use dfm_config::{NETWORK, POLICY};
use dfm_diag::CODES;

use crate::args::Args;

/// Compares a page with its file, or writes it where that is asked for.
fn is_current(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("DFM_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/reference/{name} is not current: run `make reference`");
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_page_of_diagnostics_is_current() {
    let mut page = String::from(
        "# Diagnostics\n\nWhat dfm finds wrong has a code, which stands in brackets and keeps its meaning: \
         `error[config-unknown-key]`. `dfm explain CODE` says what is said here. With `--json`, programs get the code, the \
         place and the help apart.\n",
    );
    let mut kind = "";
    for known in CODES {
        let own = known.code.split('-').next().unwrap_or_default();
        if own != kind {
            kind = own;
            write!(page, "\n## {kind}\n").unwrap();
        }
        write!(page, "\n### {}\n\n{}\n\n", known.code, known.meaning).unwrap();
        writeln!(page, "For example: {}\n\n{}", known.example, known.remedy).unwrap();
    }
    is_current("diagnostics.md", &page);
}

#[test]
fn the_page_of_commands_is_current() {
    let mut command = Args::command().max_term_width(100);
    command.build();
    let mut page = String::from(
        "# The command line\n\n## Everywhere\n\nThese options are understood by every command. The exit code is 0 when the work was done, 1 when it failed and 2 \
         when what was asked is wrong.\n\n",
    );
    page.push_str(&arguments(command.get_arguments().filter(|one| one.is_global_set())));
    for inner in command.get_subcommands() {
        describe(inner, "dfm", &mut page);
    }
    is_current("commands.md", &page);
}

/// A command and all below it.
fn describe(command: &Command, above: &str, page: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    if command.has_subcommands() {
        if above == "dfm" {
            write!(page, "\n## {name}\n\n{}\n", ended(&about)).unwrap();
        }
        for inner in command.get_subcommands() {
            describe(inner, &name, page);
        }
        return;
    }
    let level = if above == "dfm" { "##" } else { "###" };
    let usage = command.clone().render_usage().to_string().replace("Usage: ", "");
    write!(page, "\n{level} {name}\n\n{}\n\n```text\n{usage}\n```\n", ended(&about)).unwrap();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|one| !one.is_global_set() && one.get_id() != "help" && !one.is_hide_set())
        .collect();
    if !own.is_empty() {
        write!(page, "\n{}", arguments(own.into_iter())).unwrap();
    }
}

fn ended(sentence: &str) -> String {
    if sentence.ends_with('.') { sentence.to_owned() } else { format!("{sentence}.") }
}

fn arguments<'a>(all: impl Iterator<Item = &'a Arg>) -> String {
    let mut table = String::from("| | |\n|---|---|\n");
    for one in all {
        let value = one.get_value_names().unwrap_or_default().join(" ");
        let takes = one.get_action().takes_values();
        let mut name = match (one.get_short(), one.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}"),
            (None, Some(long)) => format!("--{long}"),
            (Some(short), None) => format!("-{short}"),
            (None, None) => String::new(),
        };
        if takes {
            name = if name.is_empty() { value.to_string() } else { format!("{name} {value}") };
        }
        let mut help = one.get_long_help().or(one.get_help()).map(ToString::to_string).unwrap_or_default();
        let choices: Vec<String> =
            one.get_possible_values().iter().map(|choice| format!("`{}`", choice.get_name())).collect();
        if takes && !choices.is_empty() {
            help = format!("{} One of {}.", ended(&help), choices.join(", "));
        }
        let defaults: Vec<_> = one.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if takes && !defaults.is_empty() {
            help = format!("{} Default: `{}`.", ended(&help), defaults.join(" "));
        }
        writeln!(table, "| `{name}` | {} |", cell(&ended(&help))).unwrap();
    }
    table
}

/// The files, and what each is for.
const FILES: [(&str, &Shape, &str); 4] = [
    ("NAME.dfm.yaml", &CONFIGURATION, "A federation: its operations, and how each site implements them."),
    ("A patch", &PATCH, "What `--patch FILE` merges into a configuration before deployment files are generated."),
    ("policy.yaml", &POLICY, "What a site lets happen; it lies in the folder `local` of the site's kit."),
    ("A network file", &NETWORK, "Costs and failures that `dfm fed plan` and `dfm fed simulate` count with."),
];

/// What each dictionary looks like.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "a configuration",
        "dfm: 1.0.0\ninfo: {api-version: 1.0.0, code-package: shop}\noperations:\n  hello.Greet: {returns: string}\nsites:\n  office: {}",
    ),
    ("`info`", "api-version: 1.0.0\ncode-package: shop\ndescription: What the shop sells"),
    (
        "`provision`",
        "docker: {image: shop, tag: latest}\nhelm: {path: deploy/chart, name: shop, startup_package_source: env}",
    ),
    ("`provision.docker`", "image: shop\ntag: latest\nbuild: {context: .., engine: docker, arch: amd64}"),
    ("`dockerfile`", "dir: deploy\nfile: Dockerfile"),
    ("`build`", "context: ..\nengine: podman\narch: amd64\nbase: docker.io/library/python:3.12-slim"),
    ("`save`", "enabled: true\nfile: shop.tar"),
    ("`push`", "enabled: true\nregistry: {url: registry.example.org, username: $USER_NAME, password: $PASSWORD}"),
    ("`registry`", "url: registry.example.org\nusername: $USER_NAME\npassword: $PASSWORD"),
    ("`provision.helm`", "path: deploy/chart\nname: shop\nstartup_package_source: env"),
    (
        "an operation",
        "description: Greets somebody\nparameters:\n  name: {type: string}\n  tone: {type: string, default: kind}\nrequired: [name]\nreturns: string",
    ),
    ("a parameter", "type: integer\nminimum: 1\ndefault: 3\ndiscoverable: true"),
    (
        "a site",
        "info: {description: The office}\ninterface:\n  \"#/operations/hello.Greet\": {adapter: shop.lib.Greet, args: from-operation}\nsend_cost:\n  store: {fixed_time: 0.01, bandwidth: 1.0e+9}",
    ),
    ("an `impl`", "path: shop.lib.Office\nargs: {floor: 2}"),
    (
        "`cache_config`",
        "protocol: s3\nbase_path: shop-cache/office\nstorage_options: {anon: false}\ngroups: {buyers: [ann@shop.example, bob@shop.example]}",
    ),
    ("`secrets_vault`", "path: shop.lib.Vault\nargs: {file: /run/secrets/shop}"),
    (
        "an adapter binding",
        "adapter: shop.lib.Greet\nargs:\n  name: {from-param: name}\n  key: {from-secrets: api-key}\nmax-concurrent: 4",
    ),
    ("an adapter", "path: shop.lib.Greet\nargs: {unit: celsius}"),
    ("an argument", "const: celsius\nexpose-as: {param: unit, type: string}"),
    ("`expose-as`", "param: unit\ntype: string\ndescription: The unit of what is returned"),
    ("a `compute_cost`", "fixed_time: 0.5\ncompute_throughput: 1.0e+8\nfixed_size: 1000"),
    ("a `state`", "on-disk: true\nper-user: true\nlimit: 1000000"),
    ("a provider", "info: {description: The roof's sensor}\nimpl: shop.lib.Sensor"),
    ("a `send_cost`", "fixed_time: 0.01\nbandwidth: 1.0e+9"),
    ("a participant of `direct`", "host: fed.example.org\nports: 9100-9107"),
    ("`values`", "packages: [shapes]"),
    ("a patch", "provision:\n  docker: {image: shop, tag: test}"),
    ("a policy", "errors: message\nlimits: {sessions-per-user: 4}"),
    (
        "a rule",
        "decision: allow\norganisations: [university]\noperations: [\"stats.*\"]\nparameters:\n  column: {one-of: [age, dose]}",
    ),
    ("a parameter of a rule", "minimum: 2\nmaximum: 20"),
    ("`when`", "days: [monday, friday]\nfrom: \"08:00\"\nto: \"18:00\"\nuntil: 2026-12-31"),
    ("`leaves`", "kinds: [number, dictionary, table]\nrows: 100\nnever-columns: [name, \"ssn*\"]"),
    ("`smallest-group`", "column: n\nat-least: 10"),
    ("`disclosure`", "aggregate: {min-group: 10}"),
    ("`aggregate`", "min-group: 10"),
    (
        "`noise`",
        "epsilon: 0.5\nsensitivities: {stats.Count: 1, stats.TotalAge: 120, \"catalogue.*\": 0}\nbudget: {epsilon: 20}",
    ),
    ("`budget`", "epsilon: 20"),
    ("`reduce`", "associative: true\ncommutative: true"),
    ("`suppress`", "below: 10\ncounts: [n, \"count*\"]"),
    ("`sums`", "at-least: 5\ndishonest: 2"),
    ("`release`", "class: clinic.release.Checked\nargs: {most: 100}"),
    ("`per-day`", "calls: 200\nvalues: 50\nbytes: 1000000"),
    ("`audit`", "parameters: digest\nwhen-full: stop"),
    ("`limits`", "sessions-per-user: 4\nseconds-per-call: 600"),
    (
        "a network file",
        "dfm-network: 1\nsend_cost: {fixed_time: 0.02, bandwidth: 1.0e+7}\nsites:\n  office: {copies: 9}",
    ),
    ("a site of a network file", "copies: 9\nat_once: 2\nlost_at: 30"),
    ("a provider of a network file", "interface:\n  \"#/operations/hello.Greet\": {compute_cost: {fixed_time: 2}}"),
    ("a binding of a network file", "compute_cost: {fixed_time: 2}\nfailing: 0.1"),
];

const INTRODUCTION: &str = "# The files

`dfm fed check NAME` says everything that is wrong in them, and `dfm fed schema` prints the configuration's JSON Schema, with
which editors complete keys and show what is said here. A `-` in a key is as good as a `_`. In place of any value of a configuration,
`$ref: \"file.yaml#/json/pointer\"` takes in what stands there; files may be in the federation's folder and the
repository around it.

";

const OTHER_FILES: &str = "
## project.yaml

NVFlare's own [project](https://nvflare.readthedocs.io), from which `dfm fed gen provision` makes the startup kits. `dfm fed check`
says what NVFlare would refuse, and what has no effect. dfm reads the participants: there is one `server`, a `client` for each
other site of the configuration, and an `admin` for each who operates the federation or submits.

```yaml
api_version: 3
name: shop
participants:
  - {name: server, type: server, org: shop, fed_learn_port: 8002, admin_port: 8003}
  - {name: office, type: client, org: shop}
  - {name: app, type: admin, org: shop, role: lead}
builders:
  - path: nvflare.lighter.impl.workspace.WorkspaceBuilder
  - path: nvflare.lighter.impl.static_file.StaticFileBuilder
    args: {config_folder: config, scheme: tcp}
  - path: nvflare.lighter.impl.cert.CertBuilder
  - path: nvflare.lighter.impl.signature.SignatureBuilder
```

## federations.yaml

The registry of federations, which `dfm fed config` writes: the nearest one from the current folder upwards, else the user's own.
Paths are relative to its own folder.

```yaml
federations:
  shop:
    federation_dir: shop
    config_path: configs/shop.dfm.yaml
    project_path: configs/project.yaml
```
";

#[test]
fn the_page_of_files_is_current() {
    let mut page = String::from(INTRODUCTION);
    let mut told: Vec<&'static str> = vec![];
    for (title, root, about) in FILES {
        write!(page, "\n## {title}\n\n{about}\n").unwrap();
        let mut next = vec![root];
        while let Some(shape) = next.pop() {
            if told.contains(&shape.what) {
                continue;
            }
            told.push(shape.what);
            if !std::ptr::eq(shape, root) {
                let what = shape.what.trim_start_matches("an ").trim_start_matches("a ");
                write!(page, "\n### {what}\n").unwrap();
            }
            table(shape, &mut page);
            let mut inner: Vec<&Shape> = shape.keys.iter().flat_map(|key| shapes(&key.kind)).collect();
            inner.reverse();
            next.extend(inner);
        }
    }
    page.push_str(OTHER_FILES);
    let unused: Vec<_> = EXAMPLES.iter().filter(|(of, _)| !told.contains(of)).collect();
    assert!(unused.is_empty(), "examples of nothing: {unused:?}");
    is_current("configuration.md", &page);
}

fn table(shape: &Shape, page: &mut String) {
    page.push_str("\n| key | value | meaning |\n|---|---|---|\n");
    for key in shape.keys {
        let needed = if key.needed { "**needed** " } else { "" };
        writeln!(page, "| `{}` | {} | {needed}{} |", key.name, cell(&value(&key.kind)), cell(key.doc)).unwrap();
    }
    if shape.others == Others::Allowed {
        page.push_str("\nOther keys may be there.\n");
    }
    let example = EXAMPLES.iter().find(|(of, _)| *of == shape.what);
    let (_, example) = example.unwrap_or_else(|| panic!("there is no example of {}", shape.what));
    for line in example.lines().filter(|line| !line.starts_with(' ')) {
        let key = line.split(':').next().unwrap_or_default();
        assert!(shape.key(key).is_some() || shape.others == Others::Allowed, "{} has no `{key}`", shape.what);
    }
    write!(page, "\n```yaml\n{example}\n```\n").unwrap();
}

/// The dictionaries that a value may be or hold.
fn shapes(kind: &'static Kind) -> Vec<&'static Shape> {
    match kind {
        Kind::Shape(shape) => vec![shape],
        Kind::Named(_, values) => shapes(values),
        Kind::Either(one, other) => [shapes(one), shapes(other)].concat(),
        _ => vec![],
    }
}

/// What a value is, for people.
fn value(kind: &Kind) -> String {
    match kind {
        Kind::Anything => "anything".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Amount => "number from 0 on".to_owned(),
        Kind::Count => "whole number from 0 on".to_owned(),
        Kind::Whole => "whole number from 1 on".to_owned(),
        Kind::Rate => "number above 0".to_owned(),
        Kind::Port => "port".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Free => "dictionary of your own".to_owned(),
        Kind::Choice(choices) => choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or "),
        Kind::Formed(form) => named(*form).to_owned(),
        Kind::Schema => "JSON Schema".to_owned(),
        Kind::TypeName => "type of JSON Schema, or dotted path of a class".to_owned(),
        Kind::Type => "type of JSON Schema, dotted path of a class, or JSON Schema".to_owned(),
        Kind::Shape(shape) => shape.what.to_owned(),
        Kind::Named(form, values) => format!("{} → {}", named(*form), value(values)),
        Kind::Either(one, other) => format!("{}; or {}", value(one), value(other)),
    }
}

fn named(form: Form) -> &'static str {
    match form {
        Form::Any => "text",
        Form::Version => "`X.Y.Z`",
        Form::Identifier | Form::Name => "name",
        Form::DottedName => "name, perhaps with dots",
        Form::Operation => "`namespace.Name`",
        Form::Pointer => "`\"#/operations/NAME\"`",
        Form::ClassPath => "dotted path of a class",
        Form::Property => "`provider.property`",
        Form::Provider => "name without dots",
        Form::Host => "host name or IP address",
        Form::Address => "IP address",
        Form::Ports => "`FIRST-LAST`",
    }
}
