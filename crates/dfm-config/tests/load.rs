//! Are valid configurations read as they are meant, and invalid ones refused in words that help?

use std::fmt::Write;
use std::path::{Path, PathBuf};

use dfm_config::{Accepts, ArgumentSource, FetchError, Options, Type, load};
use dfm_diag::{Report, render, to_json};
use serde_json::json;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/configs")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(configs().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".dfm.yaml"));
    paths.sort();
    paths
}

/// A report as text, with paths that are the same everywhere.
fn text(report: &Report) -> String {
    let mut text = String::new();
    for diagnostic in &report.diagnostics {
        writeln!(text, "{}\n", render(diagnostic, &report.sources, false)).unwrap();
    }
    text.replace(&format!("{}/", configs().display()), "")
}

#[test]
fn valid_configurations_load() {
    for path in files("valid") {
        let loaded = load(&path, &Options::default());
        let loaded = loaded.unwrap_or_else(|report| panic!("{}:\n{}", path.display(), text(&report)));
        assert!(loaded.report.diagnostics.is_empty(), "{}:\n{}", path.display(), text(&loaded.report));
    }
}

#[test]
fn invalid_configurations_are_explained() {
    for path in files("invalid") {
        let name = path.file_name().unwrap().to_string_lossy().replace(".dfm.yaml", "");
        let Err(report) = load(&path, &Options::default()) else { panic!("{name} was accepted") };
        insta::assert_snapshot!(name, text(&report));
    }
}

#[test]
fn every_construct_means_what_the_format_says() {
    let path = configs().join("valid/everything.dfm.yaml");
    let federation = load(&path, &Options::default()).unwrap().federation;
    assert_eq!(federation.info.code_package, "everything");
    assert_eq!(federation.value_packages, ["shapes"]);

    // Schemas speak of each other by name, whichever way the reference was written.
    let region = &federation.schemas["Region"]["properties"];
    assert_eq!(region["corner"], json!({"$ref": "#/schemas/Point"}));
    assert_eq!(region["parts"]["items"], json!({"$ref": "#/schemas/Region"}));
    assert_eq!(federation.schemas["Tree"]["properties"]["children"]["items"], json!({"$ref": "#/schemas/Tree"}));

    let forecast = &federation.operations["weather.Forecast"].parameters;
    assert_eq!(forecast["place"].of, Type::Schema(json!({"$ref": "#/schemas/Point"})));
    assert_eq!((forecast["place"].required, forecast["place"].description.as_str()), (true, "Where"));
    assert_eq!(forecast["region"].of, Type::Schema(json!({"$ref": "#/schemas/Region"})));
    assert_eq!(forecast["hours"].of, Type::Schema(json!({"type": "integer", "minimum": 1, "maximum": 240})));
    assert_eq!((forecast["hours"].required, &forecast["hours"].default), (false, &Some(json!(24))));
    assert_eq!(forecast["model"].of, Type::Class("everything.lib.models.Model".to_owned()));
    assert_eq!(forecast["model"].accepts, Accepts { literal: false, node: true, place: true, advise: false });
    assert_eq!(federation.operations["weather.Smooth"].parameters["field"].description, "What is smoothed");

    let smooth = &federation.sites["home"].interface["weather.Smooth"];
    let sources: Vec<&ArgumentSource> = smooth.arguments.values().map(|argument| &argument.source).collect();
    let parameter = |name: &str| ArgumentSource::Param(name.to_owned());
    assert_eq!(sources, [&parameter("field"), &parameter("width")]);
    assert!(!smooth.is_async);
    assert_eq!(smooth.compute_cost.compute_throughput, Some(1e6));
    assert_eq!(smooth.max_concurrent, Some(2));
    assert_eq!(federation.sites["home"].send_cost["archive"].bandwidth, None);

    let archive = &federation.sites["archive"];
    let arguments = &archive.interface["weather.Forecast"].arguments;
    assert_eq!(arguments["place"].source, parameter("place"));
    assert_eq!(arguments["retries"].source, ArgumentSource::Const(json!(null)));
    assert_eq!(arguments["source"].source, ArgumentSource::Provider("fast".to_owned(), "url".to_owned()));
    let (name, exposed) = arguments["source"].exposed.as_ref().unwrap();
    assert_eq!((name.as_str(), &exposed.of), ("source", &Type::Schema(json!({"type": "string"}))));
    assert!(!exposed.accepts.advise);
    assert_eq!(archive.providers["fast"].interface["weather.Forecast"].arguments.len(), 5);
    assert_eq!(federation.provision.helm.unwrap().value["chartVersion"], json!("0.1.0"));

    let direct = &federation.provision.direct;
    let of = |name: &str| (direct[name].value.host.as_str(), direct[name].value.ports(), direct[name].value.listen);
    assert_eq!(of("server"), ("fed.example.org", 9100..=9107, Some("fd00::7".parse().unwrap())));
    assert_eq!(of("archive"), ("10.0.0.7", 9100..=9100, None));
}

#[test]
fn an_exposed_argument_may_take_the_place_of_a_parameter() {
    let federation = load(&configs().join("valid/as_others_write.dfm.yaml"), &Options::default()).unwrap().federation;
    let declared = &federation.operations["users.Greet"].parameters;
    let exposed = |argument: &str| {
        let arguments = &federation.sites["home"].interface["users.Greet"].arguments;
        arguments[argument].exposed.clone().unwrap()
    };
    let (name, greeting) = exposed("greeting");
    assert_eq!((name.as_str(), &greeting.of, greeting.required), ("greeting", &declared["greeting"].of, false));
    let (_, times) = exposed("times");
    assert_eq!((&times.of, times.accepts.advise, times.default), (&declared["times"].of, false, None));
    assert!(declared["greeting"].required && declared["tone"].description.starts_with("A class"));
}

#[test]
fn a_required_parameter_that_there_is_not_is_told_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.dfm.yaml");
    let operations = "users.Greet: {parameters: {name: {}}, required: [nmae, name]}\n  users.Leave: {required: [why]}";
    let text = format!("dfm: 1.0.0\ninfo: {{api-version: 0.0.1, code-package: fed}}\noperations:\n  {operations}\n");
    std::fs::write(&path, text).unwrap();
    let loaded = load(&path, &Options::default()).unwrap();
    assert!(loaded.federation.operations["users.Greet"].parameters["name"].required);
    let words = loaded.report.diagnostics.iter().map(|fault| (fault.is_error(), fault.message.as_str()));
    assert_eq!(
        words.collect::<Vec<_>>(),
        ["nmae", "why"]
            .map(|name| (false, format!("the operation has no parameter `{name}`")))
            .each_ref()
            .map(|(error, text)| (*error, text.as_str()))
    );
}

#[test]
fn a_path_that_begins_elsewhere_is_taken_from_where_it_leads_and_that_is_told_once() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    };
    let reference = |path: &str| {
        format!(
            "dfm: 1.0.0\ninfo: {{api-version: 0.0.1, code-package: fed}}\nschemas:\n  A: {{$ref: \"{path}#/A\"}}\n  B: {{$ref: \"{path}#/B\"}}\n"
        )
    };
    let config = root.join("work/fed/configs/f.dfm.yaml");
    write("work/fed/configs/f.dfm.yaml", &reference("fed/configs/types.yaml"));
    write("work/fed/configs/types.yaml", "A: {type: string}\nB: {type: integer}\n");
    write("elsewhere/fed/configs/types.yaml", "A: {type: integer}\nB: {type: integer}\n");
    let with = |registry: &str| Options {
        folder: Some(root.join("work/fed")),
        registry: Some(root.join(registry)),
        ..Options::default()
    };
    let loaded = load(&config, &with("work")).unwrap_or_else(|report| panic!("{}", text(&report)));
    assert_eq!(loaded.federation.schemas["A"], json!({"type": "string"}));
    let [fault] = &loaded.report.diagnostics[..] else { panic!("{}", text(&loaded.report)) };
    assert_eq!((fault.code, fault.help.as_deref()), ("config-ref-base", Some("write `types.yaml`")));

    // Nothing outside of the federation's folders is looked at, and what is beside the file wins.
    let report = load(&config, &with("elsewhere")).unwrap_err();
    assert_eq!(report.diagnostics[0].code, "config-missing-file");
    write("work/fed/configs/fed/configs/types.yaml", "A: {type: boolean}\nB: {type: integer}\n");
    let loaded = load(&config, &with("work")).unwrap();
    assert_eq!(loaded.federation.schemas["A"], json!({"type": "boolean"}));
    assert!(loaded.report.diagnostics.is_empty());

    // The repository's folder is another base.
    std::fs::create_dir(root.join(".git")).unwrap();
    write("work/fed/configs/f.dfm.yaml", &reference("work/fed/configs/types.yaml"));
    let loaded = load(&config, &with("elsewhere")).unwrap_or_else(|report| panic!("{}", text(&report)));
    assert_eq!(loaded.federation.schemas["A"], json!({"type": "string"}));
}

#[test]
fn a_base_image_is_one_with_its_tag_or_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let patch = folder.path().join("patch.yaml");
    let options = Options { patch: Some(patch.clone()), ..Options::default() };
    let path = configs().join("valid/everything.dfm.yaml");
    let accepted = |base: &str| {
        let build = format!("{{context: .., engine: docker, arch: amd64, base: {base:?}}}");
        std::fs::write(&patch, format!("provision: {{docker: {{build: {build}}}}}\n")).unwrap();
        load(&path, &options).map(|loaded| loaded.federation).is_ok()
    };
    let digest = "5f2b6739d332c32bfe82176e7b23757fff718e4b83563f829ee42c761bb15c2d";
    for base in ["python", "python:3.13-slim", "images.example:5000/team/python:3.13"] {
        assert!(accepted(base) && accepted(&format!("{base}@sha256:{digest}")), "{base}");
    }
    for base in ["", "python@", "python@sha256:12", "python AS build", "python\nRUN x", "a:b:c", "python@sha256:$(x)"] {
        assert!(!accepted(base), "{base}");
    }
}

#[test]
fn a_patch_is_merged_and_its_faults_are_in_the_patch() {
    let folder = tempfile::tempdir().unwrap();
    let patch = folder.path().join("patch.yaml");
    let options = Options { patch: Some(patch.clone()), ..Options::default() };
    let path = configs().join("valid/everything.dfm.yaml");
    std::fs::write(&patch, "provision: {docker: {tag: nightly, dockerfile: null}, helm: null}\n").unwrap();
    let provision = load(&path, &options).unwrap().federation.provision;
    let docker = provision.docker.unwrap().value;
    assert_eq!((&docker["image"], &docker["tag"]), (&json!("everything"), &json!("nightly")));
    assert_eq!((docker.get("dockerfile"), provision.helm), (None, None));

    std::fs::write(&patch, "provision:\n  docker:\n    tag: 1\n    build: {arch: arm}\nsites: {}\n").unwrap();
    let report = load(&path, &options).unwrap_err();
    let found: Vec<(&str, usize)> = report
        .diagnostics
        .iter()
        .map(|fault| (fault.code, report.sources.position(fault.span.unwrap()).line))
        .collect();
    assert_eq!(found, [("config-wrong-type", 3), ("config-wrong-value", 4), ("config-unknown-key", 5)]);
    assert!(
        report.diagnostics.iter().all(|fault| report.sources.name(fault.span.unwrap().file).ends_with("patch.yaml"))
    );

    std::fs::write(&patch, "provision:\n  docker:\n    tag: null\n").unwrap();
    let report = load(&path, &options).unwrap_err();
    let fault = &report.diagnostics[0];
    let span = fault.span.unwrap();
    assert_eq!((fault.code, report.sources.position(span).line), ("config-missing-key", 3));
    assert!(report.sources.name(span.file).ends_with("patch.yaml"));
}

#[test]
fn a_server_with_an_answer_to_everything_is_not_asked_for_ever() {
    // Each file leads to two others, which nobody has seen yet.
    fn fetch(_: &str) -> Result<Vec<u8>, FetchError> {
        Ok(b"dfm: 1.0.0\n$ref: [\"a/f.yaml#\", \"b/f.yaml#\"]\nschemas: {$ref: \"c/f.yaml#/schemas\"}\n".to_vec())
    }
    let options = Options { fetch: Some(fetch), ..Options::default() };
    let report = load(Path::new("http://example.test/f.dfm.yaml"), &options).unwrap_err();
    let codes: Vec<&str> = report.diagnostics.iter().map(|fault| fault.code).collect();
    assert!(codes.iter().any(|code| ["config-too-deep", "config-too-large"].contains(code)), "{codes:?}");
}

#[test]
fn of_very_many_faults_the_first_are_told_and_the_others_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.dfm.yaml");
    let head = "dfm: 1.0.0\ninfo: {api-version: 0.0.1, code-package: fed}\nsites:\n";
    let sites: String = (0..3000).map(|number| format!("  s{number}: {{infos: {{}}}}\n")).collect();
    std::fs::write(&path, head.to_owned() + &sites).unwrap();
    let report = load(&path, &Options::default()).unwrap_err();
    let last = report.diagnostics.last().unwrap();
    assert_eq!((report.diagnostics.len(), last.code), (1001, "config-many-faults"));
    assert!(last.message.contains(" 2000 more"), "{}", last.message);

    // Warnings alone are no error, however many there are.
    let sites: String = (0..3000).map(|number| format!("  s{number}: {{info: {{password: abc}}}}\n")).collect();
    std::fs::write(&path, head.to_owned() + &sites).unwrap();
    let report = load(&path, &Options::default()).unwrap().report;
    assert!(report.diagnostics.len() == 1001 && report.diagnostics.iter().all(|fault| !fault.is_error()));
}

#[test]
fn the_examples_load() {
    let folder = configs().join("../../examples");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().filter(|_| path.is_dir()) else { continue };
        let config = path.join(name).join("configs/federation.dfm.yaml");
        let loaded = load(&config, &Options::default()).unwrap_or_else(|report| panic!("{}", text(&report)));
        assert!(loaded.report.diagnostics.is_empty(), "{}", text(&loaded.report));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_makes_it_panic(edits in proptest::collection::vec((0..5000usize, 0..40usize, "[ \\-:{}\\[\\]#&*\"'|>\\t\\n$~<a-z1é]{0,6}"), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.dfm.yaml");
        let mut text: Vec<char> = std::fs::read_to_string(configs().join("valid/everything.dfm.yaml")).unwrap().chars().collect();
        for (start, length, new) in edits {
            let start = start.min(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, new.chars());
        }
        std::fs::write(&path, text.into_iter().collect::<String>()).unwrap();
        if let Err(report) = load(&path, &Options::default()) {
            for diagnostic in &report.diagnostics {
                render(diagnostic, &report.sources, true);
                to_json(diagnostic, &report.sources);
            }
        }
    }
}
