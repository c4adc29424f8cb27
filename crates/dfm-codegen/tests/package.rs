//! What is generated for a small federation, and for one that uses everything?

mod federations;

use dfm_codegen::{File, MARKER, Options, generate};
use federations::{examplefed, rich};

const ALL: Options = Options { api: true, runtime_sites: None };

fn paths(files: &[File]) -> Vec<&str> {
    files.iter().filter_map(|file| file.path.to_str()).collect()
}

fn shown(files: &[File]) -> String {
    files.iter().map(|file| format!("==> {} <==\n{}\n", file.path.display(), file.text)).collect()
}

#[test]
fn a_small_federation() {
    insta::assert_snapshot!(shown(&generate(&examplefed(), &ALL)));
}

#[test]
fn a_rich_federation() {
    insta::assert_snapshot!(shown(&generate(&rich(), &ALL)));
}

#[test]
fn only_the_runtime_of_some_sites() {
    let options = Options { api: false, runtime_sites: Some(vec!["reception".to_owned()]) };
    assert_eq!(
        paths(&generate(&examplefed(), &options)),
        [
            "examplefed/fed/__init__.py",
            "examplefed/fed/fed_info.json",
            "examplefed/fed/runtime/__init__.py",
            "examplefed/fed/runtime/reception/__init__.py",
            "examplefed/fed/runtime/reception/site.json",
        ]
    );
    let none = Options { api: false, runtime_sites: Some(Vec::new()) };
    assert_eq!(paths(&generate(&examplefed(), &none)), ["examplefed/fed/__init__.py", "examplefed/fed/fed_info.json"]);
}

#[test]
fn a_site_holds_nothing_of_another_one() {
    let files = generate(&rich(), &ALL);
    let holders = |text: &str| -> Vec<String> {
        let held = files.iter().filter(|file| file.text.contains(text));
        held.map(|file| file.path.display().to_string()).collect()
    };
    assert_eq!(holders("rich.lib.OfSouth"), ["rich/fed/runtime/south_2/site.json"]);
    assert_eq!(holders("only for south"), ["rich/fed/runtime/south_2/site.json"]);
    assert_eq!(holders("API_KEY"), ["rich/fed/runtime/north/site.json"]);
}

#[test]
fn each_python_file_says_who_made_it() {
    for file in generate(&rich(), &ALL) {
        let is_python = file.path.extension().is_some_and(|extension| extension == "py");
        assert_eq!(file.text.starts_with(MARKER), is_python, "{}", file.path.display());
        assert!(file.text.ends_with('\n') && !file.text.ends_with("\n\n"), "{}", file.path.display());
    }
}

#[test]
fn the_planner_reads_all_of_fed_info() {
    for federation in [examplefed(), rich()] {
        let files = generate(&federation, &ALL);
        let file = files.iter().find(|file| file.path.ends_with("fed_info.json")).unwrap();
        let info: dfm_plan::FedInfo = serde_json::from_str(&file.text).unwrap();
        let again: serde_json::Value = serde_json::to_value(info).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(&file.text).unwrap());
    }
}
