//! Does any text make the loader of configurations panic, or never end?

#![no_main]

use std::cell::RefCell;
use std::path::Path;

use dfm_config::{FetchError, Options, check_project, load};
use dfm_diag::{Report, render, to_json};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Every file says the same, so references may lead through any number of them.
fn fetch(_: &str) -> Result<Vec<u8>, FetchError> {
    Ok(TEXT.with_borrow(Clone::clone))
}

fuzz_target!(|text: &[u8]| {
    TEXT.set(text.to_vec());
    let patch = text.first().filter(|byte| **byte == b'p').map(|_| "http://f/p".into());
    let options = Options { patch, fetch: Some(fetch), ..Options::default() };
    let report = match load(Path::new("http://f/f.dfm.yaml"), &options) {
        Ok(mut loaded) => {
            check_project(&mut loaded, Path::new("/nowhere"));
            dfm_codegen::fed_info(&loaded.federation);
            let everything = dfm_codegen::Options { api: true, runtime_sites: None };
            dfm_codegen::generate(&loaded.federation, &everything);
            loaded.report
        }
        Err(report) => report,
    };
    shown(&report);
});

/// Drawing is cheap for one and dear for thousands, which few texts have.
fn shown(report: &Report) {
    for diagnostic in report.diagnostics.iter().take(20) {
        render(diagnostic, &report.sources, false);
        to_json(diagnostic, &report.sources);
    }
}
