//! Is a network file read as it is meant, and a wrong one refused in words that help?

use std::fmt::Write;
use std::path::Path;

use dfm_config::{Federation, Network, Options, load, network};
use dfm_diag::{Report, render};

fn federation() -> Federation {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/configs/valid/everything.dfm.yaml");
    load(&path, &Options::default()).expect("it is valid").federation
}

fn read(text: &str) -> Result<Network, Report> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("network.yaml");
    std::fs::write(&path, text).expect("a temporary file");
    network(&path, &federation())
}

fn told(text: &str) -> String {
    let report = read(text).expect_err("it is wrong");
    let mut told = String::new();
    for diagnostic in &report.diagnostics {
        let text = render(diagnostic, &report.sources, false);
        let lines = text.lines().map(|line| match line.split_once("--> ") {
            Some((before, after)) => format!("{before}--> {}", after.rsplit('/').next().unwrap_or(after)),
            None => line.to_owned(),
        });
        let _ = writeln!(told, "{}\n", lines.collect::<Vec<_>>().join("\n"));
    }
    told
}

#[test]
fn a_network_file_says_what_is_different() {
    let network = read(
        r##"
dfm-network: 1
seed: 3
send_cost: {fixed_time: 0.02, bandwidth: 1e7}
sites:
  quiet: {lost_at: 12.5}
  home:
    copies: 500
    at-once: 4
    send_cost: {archive: {fixed_time: 0.1}}
    interface:
      "#/operations/weather.Smooth": {compute_cost: {fixed_time: 2}, failing: 0.01}
  archive:
    providers:
      fast: {interface: {"#/operations/weather.Forecast": {failing: 1}}}
"##,
    )
    .unwrap_or_else(|report| panic!("{:?}", report.diagnostics));
    assert_eq!(network.seed, 3);
    assert_eq!(network.send_cost.map(|cost| (cost.fixed_time, cost.bandwidth)), Some((0.02, Some(1e7))));
    assert_eq!(network.sites["quiet"].lost_at, Some(12.5));
    let home = &network.sites["home"];
    assert_eq!((home.copies, home.at_once), (500, Some(4)));
    assert_eq!(home.send_cost["archive"].fixed_time, 0.1);
    let binding = &home.bindings[0];
    assert_eq!((binding.operation.as_str(), binding.failing), ("weather.Smooth", 0.01));
    assert_eq!(binding.compute_cost.as_ref().map(|cost| cost.fixed_time), Some(2.0));
    assert_eq!(network.sites["archive"].bindings[0].provider.as_deref(), Some("fast"));
}

#[test]
fn everything_that_is_wrong_is_told_with_its_place() {
    insta::assert_snapshot!(told(
        r##"
dfm-network: 2
sites:
  hme: {copies: 3}
  home:
    copies: many
    at_once: 0
    lost_at: -1
    send_cost: {archiv: {fixed_time: 1}, archive: {bandwith: 1}}
    interface:
      "#/operations/weather.Forecast": {}
      "#/operations/weather.Smooth": {failing: 2}
    providers: {slow: {}}
"##
    ));
}

#[test]
fn what_is_no_network_file_is_told() {
    for (text, words) in [("", "is empty"), ("[1", "error"), ("sites: {}", "needs `dfm-network`")] {
        let report = read(text).expect_err("it is wrong");
        let told: String =
            report.diagnostics.iter().map(|one| render(one, &report.sources, false).to_string()).collect();
        assert!(told.contains(words), "{told}");
    }
    assert!(network(Path::new("/nowhere/network.yaml"), &federation()).is_err());
}
