//! Do a federation and its NVFlare project speak of the same sites, in names that NVFlare takes?

use std::path::Path;

use dfm_diag::{Diagnostic, Report, Severity, Span, nearest};
use indexmap::IndexMap;

use crate::fields::{Faults, listed};
use crate::project_names::{
    LONGEST_PROJECT, as_user, is_argument, is_client, is_folder, is_host, is_number, is_user, is_word,
};
use crate::tree::{Data, Entry, Node};
use crate::{Federation, Loaded, SERVER, Site};

/// The versions of projects that NVFlare reads.
const VERSIONS: [u64; 2] = [3, 4];

/// What a participant can be; earlier versions of NVFlare had overseers.
const KINDS: &[&str] = &["server", "client", "admin", "relay", "overseer"];

/// Arguments that provisioning leaves out, by their builders, and why.
const ARGUMENTS_LEFT_OUT: &[(&str, &str, &str)] = &[
    (WORKSPACE, "template_file", "the templates are part of NVFlare now"),
    (STATIC, "overseer_agent", "NVFlare has no overseer any more"),
    (STATIC, "snapshot_persistor", "each kit keeps its storage in its own folder"),
];
const BUILDERS: &str = "nvflare.lighter.impl.";
const WORKSPACE: &str = "nvflare.lighter.impl.workspace.WorkspaceBuilder";
const STATIC: &str = "nvflare.lighter.impl.static_file.StaticFileBuilder";
const CERT: &str = "nvflare.lighter.impl.cert.CertBuilder";
const DOCKER: &str = "nvflare.lighter.impl.docker.DockerBuilder";

/// The argument of `DOCKER` that is a file, which is copied into an image.
const REQUIRED: &str = "requirements_file";

/// What of a participant NVFlare writes into kits as numbers, beside its `capacity`.
const PORTS: &[&str] = &["fed_learn_port", "admin_port", "edge_service_port"];

/// Builders that NVFlare has no more, by the beginnings of their classes, and what to do instead.
const GONE: &[(&str, &str)] = &[
    ("Helm", "remove these lines; `dfm fed gen helm` writes the chart"),
    ("AuthPolicy", "remove these lines, and write the policy into each kit's local/authorization.json"),
    ("LocalCert", "write `path: nvflare.lighter.impl.cert.CertBuilder` instead"),
];

/// Builders that provisioning leaves out, by the ends of their names, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("WorkspaceArchiveBuilder", "dfm completes and packs the kits itself"),
    (".TemplateBuilder", "the templates are part of NVFlare now"),
];

/// Adds what is wrong with a project, and between a federation and its project, to the federation's report.
pub fn check_project(loaded: &mut Loaded, path: &Path) {
    check(&mut loaded.report, Some(&loaded.federation), path);
}

/// Adds what is wrong with the project alone, of a federation that has faults itself.
pub fn check_project_alone(report: &mut Report, path: &Path) {
    check(report, None, path);
}

/// What NVFlare says of the sites of a federation that has no project. The local target takes any name.
pub fn check_without_project(federation: &Federation, severity: Severity) -> Vec<Diagnostic> {
    let help = "give it another name; the local target alone runs it as it is";
    unfit(&federation.sites).map(|fault| Diagnostic { severity, ..fault }.help(help)).collect()
}

fn check(report: &mut Report, federation: Option<&Federation>, path: &Path) {
    let file = match crate::files::read(path, "the NVFlare project", &mut report.sources) {
        Ok(file) => file,
        Err(fault) => {
            let help = "mend `project_path` in the registry, or write the project";
            report.diagnostics.push(Diagnostic { severity: Severity::Warning, ..fault }.help(help));
            return;
        }
    };
    let (root, faults) = crate::tree::parse(report.sources.text(file), file);
    let broken = !faults.is_empty();
    report.diagnostics.extend(faults);
    if broken {
        return;
    }
    let beginning = root.as_ref().map_or(0, |root| root.span.start);
    let start = Span { file, start: beginning, end: beginning };
    let faults = &mut report.diagnostics;
    check_head(root.as_ref(), start, faults);
    let list = root.as_ref().and_then(Node::map).and_then(|root| root.get("participants"));
    let Some(Data::List(items)) = list.map(|entry| &entry.value.data) else {
        let span = list.map_or(start, |entry| entry.value.span);
        faults.push(
            Diagnostic::error("project-no-participants", "the NVFlare project has no list of `participants`")
                .at(span, "expected a server, a client for each other site, and an admin"),
        );
        return;
    };
    let participants: Vec<Participant<'_>> = items.iter().filter_map(|item| Participant::of(item, faults)).collect();
    check_names(&participants, faults);
    check_kinds(&participants, list.map_or(start, |entry| entry.key), faults);
    check_rights(&participants, federation, faults);
    for item in items {
        check_numbers(item, faults);
    }
    check_builders(root.as_ref(), path.parent().unwrap_or(Path::new("")), faults);
    if let Some(federation) = federation {
        check_sites(&federation.sites, &participants, faults);
    }
}

/// What a project says of itself.
fn check_head(root: Option<&Node>, start: Span, faults: &mut Faults) {
    let entry = |key: &str| root.and_then(Node::map).and_then(|root| root.get(key));
    let version = entry("api_version");
    if !version.is_some_and(|entry| entry.value.to_json().as_u64().is_some_and(|number| VERSIONS.contains(&number))) {
        let span = version.map_or(start, |entry| entry.value.span);
        faults.push(
            Diagnostic::error("project-wrong-version", "NVFlare reads projects of version 3")
                .at(span, if version.is_some() { "another version" } else { "has no `api_version`" })
                .help("write `api_version: 3`"),
        );
    }
    let becomes = "it becomes the name of the root certificate, and of the folder of the startup kits";
    let name = entry("name").map(|entry| &entry.value);
    match name.and_then(|name| name.text()) {
        None => faults.push(
            Diagnostic::error("project-no-name", "the NVFlare project needs the text `name`")
                .at(name.map_or(start, |name| name.span), "expected `name: …`")
                .help(becomes),
        ),
        Some(text) if !is_folder(text, LONGEST_PROJECT) => {
            let expected =
                format!("expected at most {LONGEST_PROJECT} letters, digits, `_`, `-` and `.`, the first no sign");
            faults.push(
                Diagnostic::error("project-invalid-name", format!("`{text}` cannot be the name of a project"))
                    .at(name.map_or(start, |name| name.span), expected)
                    .help(becomes),
            );
        }
        Some(_) => {}
    }
}

/// A project needs one server, and somebody who may submit.
fn check_kinds(participants: &[Participant<'_>], list: Span, faults: &mut Faults) {
    let mut servers = participants.iter().filter(|one| one.kind == "server");
    match (servers.next(), servers.next()) {
        (None, _) => faults.push(
            Diagnostic::error("project-no-server", "the NVFlare project has no server")
                .at(list, "none of them has `type: server`")
                .help("add one: {name: server, type: server, org: …, fed_learn_port: 8002, admin_port: 8003}"),
        ),
        (Some(first), Some(second)) => faults.push(
            Diagnostic::error("project-many-servers", "there is a second server, and NVFlare has one only")
                .at(second.span, "again here")
                .related(first.span, "first here")
                .help("keep one server"),
        ),
        _ => {}
    }
    if !participants.iter().any(|one| one.kind == "admin") {
        faults.push(
            Diagnostic::error("project-no-admin", "the NVFlare project has no admin, so nobody could submit")
                .at(list, "none of them has `type: admin`")
                .help("add one: {name: somebody@somewhere.org, type: admin, org: …, role: lead}"),
        );
    }
}

/// What lets an application do more than submit: an admin's rights.
fn check_rights(participants: &[Participant<'_>], sites: Option<&Federation>, faults: &mut Faults) {
    let home = |one: &Participant<'_>| {
        let name = one.name.split('@').next().unwrap_or_default();
        sites.is_some_and(|federation| federation.sites.contains_key(name))
    };
    let users: Vec<&Participant<'_>> = participants.iter().filter(|one| one.kind == "admin").collect();
    let has_application = users.iter().any(|one| home(one) || one.role.is_some_and(|(role, _)| role == "lead"));
    for one in users.iter().filter(|one| home(one) || !has_application) {
        if let Some((ADMIN, span)) = one.role {
            faults.push(
                Diagnostic::warning("project-application-admin", format!("the application `{}` is an admin", one.name))
                    .at(span, "this role operates the whole federation")
                    .help("write `role: lead` for it, and add an admin of another name for `dfm poc` and operators"),
            );
        }
    }
}

/// What of a participant would be written into kits as a number, and is none.
fn check_numbers(participant: &Node, faults: &mut Faults) {
    let Some(participant) = participant.map() else { return };
    let ports = PORTS.iter().filter_map(|key| Some((*key, &participant.get(*key)?.value)));
    let capacity = participant.get("capacity").map(|entry| &entry.value).filter(|capacity| !capacity.is_null());
    if let Some(capacity) = capacity.filter(|capacity| capacity.map().is_none()) {
        faults.push(
            Diagnostic::error("project-no-number", "`capacity` has no numbers by name")
                .at(capacity.span, "expected a number for each name")
                .help("write `capacity: {num_gpus: 0}`, or remove it"),
        );
    }
    let inner = capacity.and_then(|capacity| capacity.map()).into_iter().flatten();
    for (name, value) in ports.chain(inner.map(|(name, entry)| (name.as_str(), &entry.value))) {
        let text = match &value.data {
            Data::Text(text) => text.clone(),
            _ => value.to_json().to_string(),
        };
        if !is_number(&text) {
            faults.push(
                Diagnostic::error("project-no-number", format!("`{name}` is no number"))
                    .at(value.span, "expected digits")
                    .help(
                        "it is written into the kits as it is, and what follows a number there would be part of them",
                    ),
            );
        }
    }
}

/// What of the builders has no effect, is code that is not NVFlare's, or keeps kits from being made.
fn check_builders(root: Option<&Node>, folder: &Path, faults: &mut Faults) {
    let Some(entry) = root.and_then(Node::map).and_then(|root| root.get("builders")) else { return };
    let Data::List(builders) = &entry.value.data else {
        if !entry.value.is_null() {
            faults.push(
                Diagnostic::error("project-wrong-builder", "`builders` is a list")
                    .at(entry.value.span, "expected `- path: …` for each"),
            );
        }
        return;
    };
    let mut kept = vec![];
    for node in builders {
        let path = node.map().and_then(|builder| builder.get("path")).map(|entry| &entry.value);
        let Some((path, name)) = path.and_then(|path| Some((path, path.text()?))) else {
            faults.push(
                Diagnostic::error("project-wrong-builder", "a builder needs the text `path`")
                    .at(node.span, "has no `path`")
                    .help("write `path: package.module.Class`"),
            );
            continue;
        };
        if let Some((_, why)) = LEFT_OUT.iter().find(|(end, _)| name.ends_with(end)) {
            faults.push(
                Diagnostic::warning("project-builder-left-out", format!("the builder `{name}` is left out: {why}"))
                    .at(path.span, "without effect")
                    .help("remove it"),
            );
            continue;
        }
        kept.push((path, name));
        check_builder(path, name, node.map().and_then(|builder| builder.get("args")), folder, faults);
    }
    if builders.is_empty() {
        return;
    }
    for needed in [WORKSPACE, STATIC, CERT] {
        if !kept.iter().any(|(_, name)| *name == needed) {
            let class = needed.rsplit('.').next().unwrap_or(needed);
            faults.push(
                Diagnostic::error("project-wrong-builder", format!("the builder `{class}` is missing"))
                    .at(entry.key, "kits are not made without it")
                    .help(format!("add `- path: {needed}`, or remove `builders` for the usual ones")),
            );
        }
    }
    if let Some((first, _)) = kept.first().filter(|(_, name)| *name != WORKSPACE)
        && kept.iter().any(|(_, name)| *name == WORKSPACE)
    {
        faults.push(
            Diagnostic::error("project-wrong-builder", "`WorkspaceBuilder` has to be the first builder")
                .at(first.span, "this one is before it")
                .help(format!("put `- path: {WORKSPACE}` first")),
        );
    }
}

fn check_builder(path: &Node, name: &str, given: Option<&Entry>, folder: &Path, faults: &mut Faults) {
    if !is_of_nvflare(name) {
        faults.push(
            Diagnostic::warning("project-own-builder", format!("the builder `{name}` is none of NVFlare's"))
                .at(path.span, "code that would run when kits are made, and may give them a policy of its own")
                .help(format!(
                    "read it first: kits are made with it after `--allow-builder {name}` alone; an `authorization.json` \
                     that it writes is kept, so have that say `byoc: none` for every role, else code travels to sites"
                )),
        );
        return;
    }
    let class = name.rsplit('.').next().unwrap_or(name);
    if let Some((_, help)) = GONE.iter().find(|(beginning, _)| class.starts_with(beginning)) {
        faults.push(
            Diagnostic::error("project-wrong-builder", format!("NVFlare has no builder `{name}`"))
                .at(path.span, "an earlier version had it")
                .help(*help),
        );
        return;
    }
    let arguments = given.and_then(|entry| entry.value.map());
    if name == STATIC && arguments.is_none_or(|arguments| arguments.get("scheme").is_none()) {
        faults.push(
            Diagnostic::warning("project-no-scheme", "the scheme is tcp, as none is written")
                .at(path.span, "has no argument `scheme`")
                .help("write `scheme: tcp` under its `args`, or `scheme: grpc`, which was the default before"),
        );
    }
    for (key, argument) in arguments.into_iter().flatten() {
        match ARGUMENTS_LEFT_OUT.iter().find(|(of, one, _)| *of == name && one == key) {
            Some((.., why)) => faults.push(
                Diagnostic::warning("project-argument-left-out", format!("`{key}` is left out: {why}"))
                    .at(argument.key, "without effect")
                    .help("remove it"),
            ),
            None => check_argument(name, &argument.value, faults),
        }
    }
    if name == DOCKER {
        check_required(path, arguments.and_then(|arguments| arguments.get(REQUIRED)), folder, faults);
    }
}

/// Whether a builder is a class in one of NVFlare's own modules of builders.
fn is_of_nvflare(name: &str) -> bool {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let within = name.strip_prefix(BUILDERS).and_then(|rest| rest.split_once('.'));
    within.is_some_and(|(module, class)| word(module) && word(class))
}

/// A text that NVFlare would write into a kit's script, where it could be a program.
fn check_argument(name: &str, value: &Node, faults: &mut Faults) {
    match &value.data {
        Data::List(items) => items.iter().for_each(|item| check_argument(name, item, faults)),
        Data::Map(entries) => {
            // A key is written as well.
            for (key, entry) in entries {
                check_argument(name, &Node::new(entry.key, Data::Text(key.clone())), faults);
                check_argument(name, &entry.value, faults);
            }
        }
        Data::Text(text) if !is_argument(text) => faults.push(
            Diagnostic::warning("project-open-argument", "this text could be a program in the scripts of the kits")
                .at(value.span, "expected letters, digits and `. _ : / @ -` alone, no `-` first")
                .help(format!(
                    "write it so; else read what `{name}` does with it: kits are made after `--allow-builder {name}` alone"
                )),
        ),
        _ => {}
    }
}

/// What an image is made from, which others get: no file of the user's beside the project's.
fn check_required(builder: &Node, given: Option<&Entry>, folder: &Path, faults: &mut Faults) {
    let name = given.map_or("requirements.txt", |entry| entry.value.text().unwrap_or_default());
    let path = folder.join(if name.is_empty() { "requirements.txt" } else { name });
    // NVFlare makes an empty file where the usual one is not there.
    if given.is_none() && !path.is_symlink() {
        return;
    }
    let within = || Some(path.canonicalize().ok()?.starts_with(folder.canonicalize().ok()?));
    if !(path.is_file() && within() == Some(true)) {
        faults.push(
            Diagnostic::warning(
                "project-open-argument",
                "what the image requires is no file in the folder of the project",
            )
            .at(given.map_or(builder.span, |entry| entry.value.span), "expected a file beside the project")
            .help(format!("name one there; to have any copied, kits are made after `--allow-builder {DOCKER}`")),
        );
    }
}

/// The role that operates a federation.
const ADMIN: &str = "project_admin";

struct Participant<'n> {
    name: &'n str,
    span: Span,
    kind: &'n str,
    org: Option<(&'n str, Span)>,
    role: Option<(&'n str, Span)>,
}

impl<'n> Participant<'n> {
    fn of(node: &'n Node, faults: &mut Faults) -> Option<Self> {
        let text = |key: &str| node.map()?.get(key).filter(|entry| entry.value.text().is_some());
        let missing = ["name", "type", "org"].into_iter().find(|key| text(key).is_none());
        if let Some(key) = missing {
            let span = Span { end: node.span.start, ..node.span };
            faults.push(
                Diagnostic::error("project-wrong-participant", format!("a participant needs the text `{key}`"))
                    .at(span, format!("has no `{key}`"))
                    .help("write {name: …, type: server | client | admin, org: …}"),
            );
        }
        let (name, kind, org) = (text("name")?, text("type")?, text("org"));
        let mut meant = kind.value.text()?;
        if !KINDS.contains(&meant) {
            let fault =
                Diagnostic::error("project-unknown-type", format!("NVFlare has no participants of type `{meant}`"))
                    .at(kind.value.span, "expected `server`, `client` or `admin`");
            let near = nearest(meant, KINDS.iter().copied());
            faults.push(match near {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
            meant = near.unwrap_or(meant);
        }
        if meant == "overseer" {
            faults.push(
                Diagnostic::warning("project-overseer", format!("the overseer `{}` is left out", name.value.text()?))
                    .at(kind.value.span, "NVFlare has none any more")
                    .help("remove this participant"),
            );
        }
        let role = text("role").and_then(|entry| Some((entry.value.text()?, entry.value.span)));
        let org = org.and_then(|entry| Some((entry.value.text()?, entry.value.span)));
        Some(Self { name: name.value.text()?, span: name.value.span, kind: meant, org, role })
    }
}

/// NVFlare's own rules.
fn check_names(participants: &[Participant<'_>], faults: &mut Faults) {
    for (index, one) in participants.iter().enumerate() {
        if let Some(first) = participants[..index].iter().find(|other| other.name == one.name) {
            faults.push(
                Diagnostic::error("project-name-clash", format!("two participants are named `{}`", one.name))
                    .at(one.span, "again here")
                    .related(first.span, "first here"),
            );
        }
        let expected = match one.kind {
            "client" | "relay" if !is_client(one.name) => "the letters a to z, digits, `-` and `_`, at most 64 of them",
            "server" if !is_host(one.name) => {
                "a host's name of at most 64 letters, digits, `-`, and dots between these"
            }
            "admin" if !is_user(one.name) => {
                "the form of an address of e-mail, of at most 64 characters and without `_` after the `@`"
            }
            _ => continue,
        };
        let message = format!("NVFlare takes no {} named `{}`", one.kind, one.name);
        // What runs without NVFlare does not need the others' names.
        let fault = match one.kind {
            "client" | "relay" => Diagnostic::error("project-invalid-name", message),
            _ => Diagnostic::warning("project-invalid-name", message),
        };
        let fault = fault.at(one.span, format!("expected {expected}"));
        faults.push(match as_user(one.name).filter(|_| one.kind == "admin") {
            Some(near) => fault.help(format!("write `{near}`")),
            None => fault,
        });
    }
    let words = participants.iter().flat_map(|one| [("organisation", one.org), ("role", one.role)]);
    for (what, word) in words.filter_map(|(what, word)| Some((what, word?))).filter(|(_, word)| !is_word(word.0)) {
        let fault = Diagnostic::warning("project-invalid-name", format!("NVFlare takes no {what} named `{}`", word.0))
            .at(word.1, "expected the letters a to z, digits and `_`, at most 64 of them");
        let near = word.0.replace(['-', '.', ' '], "_");
        faults.push(if is_word(&near) { fault.help(format!("write `{near}`")) } else { fault });
    }
    for one in participants.iter().filter(|one| one.kind == "admin" && one.role.is_none()) {
        faults.push(
            Diagnostic::warning("project-wrong-participant", format!("the admin `{}` needs the text `role`", one.name))
                .at(one.span, "what may this user do?")
                .help("write `role: lead` for who submits jobs, `role: project_admin` for who operates the federation"),
        );
    }
}

fn check_sites(sites: &IndexMap<String, Site>, participants: &[Participant<'_>], faults: &mut Faults) {
    let names: Vec<&str> = sites.keys().map(String::as_str).collect();
    let mut meant = Vec::new();
    for client in participants.iter().filter(|one| one.kind == "client" && !sites.contains_key(one.name)) {
        let fault = Diagnostic::error("project-unknown-site", format!("the federation has no site `{}`", client.name))
            .at(client.span, "this client would have nothing to run");
        let others = names.iter().copied().filter(|name| !participants.iter().any(|one| one.name == *name));
        faults.push(match nearest(client.name, others) {
            Some(near) => {
                meant.push(near);
                fault.help(format!("did you mean `{near}`?"))
            }
            None => fault
                .help(format!("the sites: {}; add it under `sites`, or remove it here", listed(names.iter().copied()))),
        });
    }
    let server = participants.iter().find(|one| one.kind == "server");
    if let (Some(server), false) = (server, sites.contains_key(SERVER)) {
        faults.push(
            Diagnostic::warning("project-no-server-site", "the federation has no site `server`")
                .at(server.span, "NVFlare's server is the site `server`")
                .help("add `server: {}` under `sites`"),
        );
    }
    // One site may be outside: the application's, which no participant runs.
    let outside: Vec<&str> = names
        .into_iter()
        .filter(|name| *name != SERVER && !meant.contains(name))
        .filter(|name| !participants.iter().any(|one| one.kind == "client" && one.name == *name))
        .collect();
    for name in outside.iter().filter(|_| outside.len() > 1) {
        let span = sites[*name].span;
        faults.push(
            Diagnostic::warning("project-missing-client", format!("the NVFlare project has no client `{name}`"))
                .at(span, "only an application can run here")
                .help(format!(
                    "add {{name: {name}, type: client, org: …}} to its participants, unless applications alone use it"
                )),
        );
    }
    let is_taken = |name: &str| participants.iter().any(|one| one.kind == "client" && one.name == name);
    // A client of the server's name has been told as such.
    if let Some(server) = server.filter(|server| server.name != SERVER && !is_taken(server.name))
        && let Some(site) = sites.get(server.name)
    {
        faults.push(
            Diagnostic::error("project-name-clash", format!("the server has the name of the site `{}`", server.name))
                .at(server.span, "NVFlare's server is the site `server`, whatever its host is called")
                .related(site.span, "this is another one")
                .help("name the site differently, or the server"),
        );
    }
    faults.extend(unfit(sites));
}

/// The sites whose names NVFlare does not take.
fn unfit(sites: &IndexMap<String, Site>) -> impl Iterator<Item = Diagnostic> {
    sites.iter().filter(|(name, _)| !is_client(name)).map(|(name, site)| {
        Diagnostic::error("project-invalid-name", format!("NVFlare takes no site named `{name}`"))
            .at(site.span, "expected the letters a to z, digits and `_`, at most 64 of them")
    })
}
