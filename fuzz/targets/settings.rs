//! Does any text make the reader of network files panic, in which measured costs are passed on, that of policies, or that
//! of descriptions of other interfaces?

#![no_main]

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use dfm_config::{Federation, OpenApi, imported, network, openapi, openapi_file, policy, with_imported};
use dfm_diag::{Report, Sources};
use dfm_fuzz::{federation, write_seeds};
use libfuzzer_sys::fuzz_target;

static FEDERATION: LazyLock<Federation> = LazyLock::new(federation);
/// A file without a name, which is written anew for each text.
static TEXT: LazyLock<Mutex<File>> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("dfm-fuzz-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&folder).expect("there is room");
    std::fs::remove_file(folder).expect("it is there");
    Mutex::new(file)
});

fuzz_target!(init: write_seeds("settings", SEEDS.map(|text| text.as_bytes().to_vec())), |text: &[u8]| {
    let Some((what, text)) = text.split_first() else { return };
    let mut file = TEXT.lock().expect("nobody panics");
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text)).expect("there is room");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let report = match *what {
        b'n' => network(&path, &FEDERATION).err(),
        b'o' => described(&path, text),
        _ => policy(&path).err(),
    };
    if let Some(report) = report {
        for diagnostic in report.diagnostics.iter().take(20) {
            dfm_diag::render(diagnostic, &report.sources, false);
        }
    }
});

fn described(path: &Path, text: &[u8]) -> Option<Report> {
    let mut sources = Sources::default();
    let file = openapi_file(path, &mut sources).ok()?;
    let request = OpenApi { namespace: "pets", only: &[], url: Some("http://a.b/c") };
    match openapi(file, sources, &request) {
        Ok((described, report)) => {
            imported(&described, "pets.yaml");
            let config = String::from_utf8_lossy(text);
            with_imported(&config, &described, "pets", "store", "pets.imported.yaml");
            Some(report)
        }
        Err(report) => Some(report),
    }
}

const SEEDS: [&str; 3] = [
    "ndfm-network: 1
send_cost: {fixed_time: 0.1, bandwidth: 1000000}
seed: 7
sites:
  east:
    copies: 2
    at_once: 4
    lost_at: 9
    send_cost: {west: {fixed_time: 0.5, bandwidth: 5}}
    interface:
      \"#/operations/work.Add\": {compute_cost: {fixed_time: 1, size: 10}, failing: 0.5}
",
    "oopenapi: 3.0.0
info: {title: Pets}
servers: [{url: \"/{v}\", variables: {v: {default: v1}}}]
security: [{token: []}]
paths:
  /pets/{id}:
    parameters: [{$ref: \"#/components/parameters/Id\"}, {name: a, in: query, style: deepObject, schema: {}}]
    put:
      operationId: setPet
      requestBody: {content: {application/json: {schema: {$ref: \"#/components/schemas/Pet\"}}}}
      responses: {\"200\": {headers: {Link: {}}}}
components:
  securitySchemes: {token: {type: apiKey, in: query, name: t}}
  parameters: {Id: {name: id, in: path, required: true, schema: {type: string}}}
  schemas: {Pet: {properties: {mother: {$ref: \"#/components/schemas/Pet\"}}}}
",
    "perrors: message
limits:
  sessions-per-user: 2
  jobs-per-session: 3
  frames-per-job: 1
  calls-at-once: 7
  seconds-per-call: 600
  value-bytes: 70000
",
];
