//! Does any text make the reader of network files panic, in which measured costs are passed on, or that of policies?

#![no_main]

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use dfm_config::{Federation, network, policy};
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
        _ => policy(&path).err(),
    };
    if let Some(report) = report {
        for diagnostic in report.diagnostics.iter().take(20) {
            dfm_diag::render(diagnostic, &report.sources, false);
        }
    }
});

const SEEDS: [&str; 2] = [
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
