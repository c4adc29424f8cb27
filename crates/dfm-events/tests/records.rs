//! Records as they are written and read again, also those that somebody else has written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dfm_events::{
    Edge, Entry, Flow, Folder, Header, Kind, LeftOut, MOST_ENTRIES, MOST_RECORDS, More, Node, Outline, Record, Step,
    Summary, Told, Unreadable, VERSION, Writer, compare, made_fail, parse, read, timeline_chrome, timeline_svg,
    timeline_text,
};
use dfm_net::{Counted, Failure, Frame, NodeId, Noted};
use proptest::prelude::*;

const SOON: Duration = Duration::from_secs(60);

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> Folder {
        Folder::at(self.dir.path().join("history/small"))
    }

    fn path(&self, job: &str) -> PathBuf {
        self.folder().record(job).unwrap()
    }

    /// A file in the place of a record.
    fn with(&self, job: &str, text: impl AsRef<[u8]>) -> Result<Record, Unreadable> {
        fs::create_dir_all(self.path(job).parent().unwrap()).unwrap();
        fs::write(self.path(job), text).unwrap();
        read(&self.path(job))
    }
}

fn header(job: &str) -> Header {
    let node = |node, operation: &str, site: &str| Node {
        node: NodeId::Number(node),
        operation: operation.into(),
        site: site.into(),
        provider: None,
    };
    Header {
        dfm_events: VERSION,
        job: job.into(),
        federation: "small".into(),
        pipeline: "greet".into(),
        target: "local".into(),
        homesite: "home".into(),
        at: 1000.0,
        reached: None,
        params: vec!["name".into()],
        nodes: [node(0, "work.Greet", "east"), node(1, "work.Sign", "west")].into(),
        plan: Some(Arc::new(outline())),
    }
}

/// One greets, one signs that, and the application gets it.
fn outline() -> Outline {
    let step =
        |node, label: &str, site: &str, kind| Step { node, label: label.into(), site: site.into(), kind, levels: 1 };
    let edge = |from, to, signal| Edge { from, to, signal };
    Outline {
        steps: vec![
            step(NodeId::Number(0), "work.Greet", "east", Kind::Call),
            step(NodeId::Number(1), "work.Sign", "west", Kind::Call),
            step(NodeId::Name("out".into()), "yield out", "home", Kind::Yield),
        ],
        edges: vec![edge(0, 1, false), edge(1, 2, false), edge(0, 2, true)],
    }
}

fn fired(at: f64, failed: bool) -> Entry {
    let (site, node, frame) = ("east".into(), NodeId::Number(0), Frame::of_param_set(0));
    Entry::Fired { site, node, frame, at, seconds: 0.25, waited: 0.5, failed }
}

fn ended(status: &str) -> Entry {
    Entry::Ended { at: 1002.0, status: status.into(), frames: 1, tokens: 1, errors: 0 }
}

/// One entry of each kind.
fn entries() -> Vec<Entry> {
    let frame = Frame::of_param_set(0);
    let failure = Failure {
        site: "east".into(),
        node: Some(NodeId::Number(0)),
        operation: Some("work.Greet".into()),
        frame: Some(frame.clone()),
        kind: "ValueError".into(),
        message: "no name".into(),
        stack_trace: "with the adapter's own lines".into(),
    };
    vec![
        Entry::Started { frame: frame.clone(), at: 1000.5 },
        fired(1001.0, true),
        Entry::Sent {
            site: "east".into(),
            node: NodeId::Number(0),
            frame: frame.clone(),
            to: "west".into(),
            at: 1001.25,
            bytes: 17,
        },
        Entry::error(failure, Some("greet.py:7".into()), true, 1001.5),
        Entry::LeftOut { site: Some("west".into()), count: 3 },
        Entry::Came { node: NodeId::Name("out".into()), frame, at: 1001.75 },
    ]
}

fn written(place: &Place, job: &str, entries: Vec<Entry>, end: Option<Entry>) {
    let (writer, left_out) = (Writer::new(place.folder()).unwrap(), Arc::new(LeftOut::default()));
    writer.begin(header(job), &left_out);
    writer.add(job, entries, &left_out);
    if let Some(end) = end {
        writer.end(job, vec![end]);
    }
    writer.flush(SOON);
    assert_eq!(writer.problem(), None);
}

#[test]
fn the_written_form_is_this_one() {
    let place = Place::new();
    written(&place, "a-1", entries(), Some(ended("FAILED")));
    insta::assert_snapshot!(fs::read_to_string(place.path("a-1")).unwrap());
    let record = read(&place.path("a-1")).unwrap();
    assert_eq!(record.header, header("a-1"));
    assert_eq!(record.entries[..6], entries());
    insta::assert_json_snapshot!(Summary::new(&record));
}

#[test]
fn only_the_user_can_read_what_is_written_whatever_was_there_before() {
    let place = Place::new();
    let folder = place.path("x").parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    written(&place, "a-1", entries(), None);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&place.path("a-1"))), (0o700, 0o600));
}

#[test]
fn a_record_is_written_through_no_link_and_over_no_file() {
    let place = Place::new();
    let folder = place.path("x").parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let other = place.dir.path().join("other");
    fs::write(&other, "mine").unwrap();
    std::os::unix::fs::symlink(&other, place.path("a-1")).unwrap();
    fs::write(place.path("a-2"), "mine").unwrap();
    let (writer, left_out) = (Writer::new(place.folder()).unwrap(), Arc::new(LeftOut::default()));
    for job in ["a-1", "a-2", "../up", ""] {
        writer.begin(header(job), &left_out);
        writer.add(job, entries(), &left_out);
        writer.resume(job, 1.0, &left_out);
    }
    writer.flush(SOON);
    assert!(writer.problem().is_some());
    assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
    assert!(fs::read_to_string(place.path("a-2")).unwrap().starts_with("mine"));
    assert!(!place.dir.path().join("history/up.jsonl").exists());
}

#[test]
fn what_is_sent_by_no_operation_is_told_by_what_the_plan_calls_it() {
    let place = Place::new();
    let mut header = header("a-1");
    let mut plan = outline();
    plan.steps.push(Step {
        node: NodeId::Number(7),
        label: "for each".into(),
        site: "east".into(),
        kind: Kind::Other,
        levels: 1,
    });
    header.plan = Some(Arc::new(plan));
    let frame = Frame::of_param_set(0);
    let sent = Noted::Sent { node: NodeId::Number(7), frame, to: "west".into(), at: 1001.0, bytes: 4 };
    let lines = [serde_json::to_string(&header).unwrap(), serde_json::to_string(&Entry::noted("east", sent)).unwrap()];
    let summary = Summary::new(&place.with("a-1", lines.join("\n") + "\n").unwrap());
    let told = summary.nodes.iter().find(|node| node.sent == 4).unwrap();
    assert_eq!((told.operation.as_str(), told.site.as_str(), told.calls), ("for each", "east", 0));
}

#[test]
fn a_job_runs_as_long_as_its_record_is_open_and_is_unknown_if_that_was_all() {
    let place = Place::new();
    let (writer, left_out) = (Writer::new(place.folder()).unwrap(), Arc::new(LeftOut::default()));
    let status = |job: &str| Summary::new(&read(&place.path(job)).unwrap()).status;
    writer.begin(header("a-1"), &left_out);
    writer.begin(header("a-2"), &left_out);
    writer.flush(SOON);
    assert_eq!(status("a-1"), "RUNNING");
    writer.end("a-1", vec![ended("FINISHED")]);
    writer.flush(SOON);
    assert_eq!((status("a-1"), status("a-2")), ("FINISHED".into(), "RUNNING".into()));
    writer.resume("a-1", 1003.0, &left_out);
    writer.flush(SOON);
    assert_eq!(status("a-1"), "RUNNING");
    // As if the application were killed: its thread ends with the writer.
    drop(writer);
    let mut waits = 0;
    while status("a-2") == "RUNNING" {
        waits += 1;
        assert!(waits < 1_000_000);
        std::thread::yield_now();
    }
    assert_eq!((status("a-1"), status("a-2")), ("UNKNOWN".into(), "UNKNOWN".into()));
}

#[test]
fn what_is_more_than_a_record_holds_is_counted_in_it() {
    let place = Place::new();
    let many = vec![fired(1001.0, false); MOST_ENTRIES + 5];
    written(&place, "a-1", many, Some(ended("FINISHED")));
    let summary = Summary::new(&read(&place.path("a-1")).unwrap());
    assert_eq!((summary.nodes[0].calls, summary.left_out), (MOST_ENTRIES as u64, 5));
    assert!(summary.whole);
}

#[test]
fn what_is_only_counted_is_told_once_however_often_it_is_written() {
    let place = Place::new();
    let (writer, left_out) = (Writer::new(place.folder()).unwrap(), Arc::new(LeftOut::default()));
    writer.begin(header("a-1"), &left_out);
    let node = || NodeId::Number(0);
    let lines = || fs::read_to_string(place.path("a-1")).unwrap().lines().count();
    for count in 1..4 {
        let more = Noted::More { of: Counted::Done(node()), count, bytes: 0 };
        let sent = Noted::More { of: Counted::Sent(node(), "west".into()), count, bytes: 10 * count };
        writer.add_noted("a-1", "east", Arc::new(vec![more, sent]), &left_out);
        writer.add("a-1", vec![started(count as u32)], &left_out);
        writer.flush(SOON);
        let flow = Flow::new(&read(&place.path("a-1")).unwrap()).unwrap();
        assert_eq!((flow.steps[0].done, flow.edges[0].moved, flow.edges[0].bytes), (count, Some(count), 10 * count));
        assert_eq!(lines(), 3 + count as usize);
    }
    // Nor where another application goes on.
    writer.end("a-1", vec![ended("UNKNOWN")]);
    let left_out = Arc::new(LeftOut::default());
    writer.resume("a-1", 1003.0, &left_out);
    for count in 1..4 {
        let more = Noted::More { of: Counted::Done(node()), count, bytes: 0 };
        writer.add_noted("a-1", "east", Arc::new(vec![more]), &left_out);
        writer.flush(SOON);
    }
    writer.end("a-1", vec![ended("FINISHED")]);
    writer.flush(SOON);
    let record = read(&place.path("a-1")).unwrap();
    assert_eq!((lines(), Flow::new(&record).unwrap().steps[0].done), (10, 6));
    let summary = Summary::new(&record);
    assert_eq!((summary.nodes[0].calls, summary.nodes[0].timed, summary.nodes[0].sent), (6, 0, 30));
    assert!(summary.whole && summary.status == "FINISHED");
}

#[test]
fn what_a_record_has_no_room_for_is_counted_by_its_kind_and_node() {
    let place = Place::new();
    let (writer, left_out) = (Writer::new(place.folder()).unwrap(), Arc::new(LeftOut::default()));
    let fired = |failed| Noted::Fired {
        node: NodeId::Number(0),
        frame: Frame::of_param_set(0),
        waited: 0.0,
        begin: 1.0,
        seconds: 1.0,
        failed,
    };
    let noted = |lots: usize| Arc::new([vec![fired(false); 900 * lots], vec![fired(true); 100 * lots]].concat());
    writer.begin(header("a-1"), &left_out);
    // More at once than may wait, and then more than it holds.
    writer.add_noted("a-1", "east", noted(70), &left_out);
    assert_eq!(left_out.count(), 70_000);
    for _ in 0..30 {
        writer.add_noted("a-1", "east", noted(1), &left_out);
    }
    writer.end("a-1", vec![ended("FINISHED")]);
    writer.flush(SOON);
    let record = read(&place.path("a-1")).unwrap();
    let flow = Flow::new(&record).unwrap();
    assert_eq!((flow.steps[0].done, flow.steps[0].failed), (90_000, 10_000));
    let summary = Summary::new(&record);
    assert_eq!((summary.nodes[0].calls, summary.nodes[0].failed, summary.nodes[0].timed), (100_000, 10_000, 20_000));
    assert_eq!(summary.left_out, 80_000);
}

#[test]
fn who_adds_never_waits_and_what_is_too_much_is_counted() {
    let place = Place::new();
    let (writer, left_out) = (Writer::new(place.folder()).unwrap(), Arc::new(LeftOut::default()));
    writer.begin(header("a-1"), &left_out);
    // More at once than may wait is not taken, whether the thread is quick or not.
    writer.add("a-1", vec![fired(1001.0, false); 70_000], &left_out);
    assert_eq!(left_out.count(), 70_000);
    writer.end("a-1", vec![ended("FINISHED")]);
    writer.flush(SOON);
    let summary = Summary::new(&read(&place.path("a-1")).unwrap());
    assert_eq!((summary.left_out, summary.status.as_str()), (70_000, "FINISHED"));
}

#[test]
fn the_oldest_records_go_first_and_none_of_a_job_that_runs() {
    let place = Place::new();
    let (writer, left_out) = (Writer::new(place.folder()).unwrap(), Arc::new(LeftOut::default()));
    writer.begin(header("runs-0"), &left_out);
    for number in 0..MOST_RECORDS * 2 {
        let job = format!("a-{number}");
        writer.begin(header(&job), &left_out);
        writer.end(&job, vec![ended("FINISHED")]);
    }
    writer.flush(SOON);
    let jobs = place.folder().jobs();
    assert!(jobs.len() <= MOST_RECORDS, "{}", jobs.len());
    assert!(jobs.contains(&"runs-0".to_owned()) && jobs.contains(&format!("a-{}", MOST_RECORDS * 2 - 1)));
}

#[test]
fn a_record_is_there_once_something_is_in_it() {
    let place = Place::new();
    let _ = place.with("a-1", "");
    assert!(place.folder().jobs().is_empty());
    place.with("a-1", lines()).unwrap();
    assert_eq!(place.folder().jobs(), ["a-1"]);
}

fn lines() -> String {
    let mut lines = serde_json::to_string(&header("a-1")).unwrap();
    for entry in entries() {
        lines.push('\n');
        lines.push_str(&serde_json::to_string(&entry).unwrap());
    }
    lines + "\n"
}

#[test]
fn a_record_that_is_cut_short_is_read_as_far_as_it_goes() {
    let (place, lines) = (Place::new(), lines());
    let record = place.with("a-1", &lines[..lines.len() - 3]).unwrap();
    assert_eq!((record.entries.len(), record.cut.end, record.cut.lines), (5, true, 0));
    assert!(!Summary::new(&record).whole);
    for text in ["", "{}", "{\"dfm_events\": 1}", "nonsense\n", "\u{1b}[2J", "[", "{\"dfm_events\": 1e400}"] {
        assert!(matches!(place.with("a-1", text), Err(Unreadable::NoRecord)), "{text}");
    }
    assert!(matches!(read(&place.path("none")), Err(Unreadable::Missing)));
    assert!(matches!(read(place.dir.path()), Err(Unreadable::NoRecord | Unreadable::Io(_))));
}

#[test]
fn a_record_of_a_newer_format_is_refused_and_a_line_of_no_known_kind_is_counted() {
    let (place, lines) = (Place::new(), lines());
    let newer = lines.replacen("\"dfm_events\":1", "\"dfm_events\":2", 1);
    let error = place.with("a-1", newer).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"its record has version 2 of the format, and this dfm reads version 1");
    let strange = lines + "{\"what\":\"dreamed\",\"at\":1}\n{\"what\":\"resumed\",\"at\":1e300}\n\u{0}\u{0}\n";
    let record = place.with("a-1", strange).unwrap();
    assert_eq!((record.entries.len(), record.cut.lines), (6, 3));
}

#[test]
fn a_huge_record_costs_no_more_than_is_read_of_it() {
    let (place, mut text) = (Place::new(), lines().into_bytes());
    text.extend(vec![b'x'; 20 << 20]);
    let record = place.with("a-1", text).unwrap();
    assert_eq!((record.entries.len(), record.cut.end), (6, true));
}

#[test]
fn a_long_message_is_cut() {
    let failure = Failure {
        site: "east".into(),
        node: None,
        operation: None,
        frame: None,
        kind: "é".repeat(5000),
        message: "ü".repeat(1_000_000),
        stack_trace: "ö".repeat(100_000) + "the end",
    };
    let Entry::Error { error: Told { kind, message, trace, .. }, .. } = Entry::error(failure, None, true, 1.0) else {
        panic!("it is an error")
    };
    assert_eq!((kind.chars().count(), message.chars().count()), (1001, 1001));
    let trace = trace.unwrap();
    assert!(trace.chars().count() == 4001 && trace.ends_with("the end"));
}

/// How far a job of that plan is, by what has happened.
fn flow(entries: Vec<Entry>) -> Flow {
    let mut record =
        parse(serde_json::to_vec(&header("a-1")).map(|text| [text, b"\n".to_vec()].concat()).unwrap().as_slice());
    let record = record.as_mut().unwrap();
    record.entries = entries;
    Flow::new(record).unwrap()
}

fn started(frame: u32) -> Entry {
    Entry::Started { frame: Frame::of_param_set(frame), at: 1000.0 }
}

fn call(site: &str, node: u64, frame: u32, failed: bool) -> Entry {
    let (site, node, frame) = (site.into(), NodeId::Number(node), Frame::of_param_set(frame));
    Entry::Fired { site, node, frame, at: 1000.0, seconds: 0.0, waited: 0.0, failed }
}

fn sent(site: &str, node: u64, frame: u32, to: &str) -> Entry {
    let (site, node, frame) = (site.into(), NodeId::Number(node), Frame::of_param_set(frame));
    Entry::Sent { site, node, frame, to: to.into(), at: 1000.0, bytes: 10 }
}

/// Of each step how often it was done, how often it could be done now, and what it waits for.
fn told(flow: &Flow) -> Vec<(u64, Option<u64>, &[usize])> {
    flow.steps.iter().map(|step| (step.done, step.ready, step.waits_for.as_slice())).collect()
}

#[test]
fn a_token_is_followed_from_step_to_step() {
    let mut entries = vec![];
    assert_eq!(told(&flow(entries.clone())), [(0, Some(0), &[][..]), (0, Some(0), &[]), (0, Some(0), &[])]);
    entries.extend([started(0), started(1)]);
    assert_eq!(told(&flow(entries.clone())), [(0, Some(2), &[][..]), (0, Some(0), &[0]), (0, Some(0), &[1, 2])]);
    entries.extend([call("east", 0, 0, false), sent("east", 0, 0, "west")]);
    let now = flow(entries.clone());
    assert_eq!(told(&now), [(1, Some(1), &[][..]), (0, Some(1), &[]), (0, Some(0), &[1])]);
    assert_eq!((now.edges[0].moved, now.edges[0].bytes, now.edges[0].rest), (Some(1), 10, Some(1)));
    entries.extend([call("west", 1, 0, false), sent("west", 1, 0, "home")]);
    entries.push(Entry::Came { node: NodeId::Name("out".into()), frame: Frame::of_param_set(0), at: 1000.0 });
    let now = flow(entries.clone());
    assert_eq!(told(&now), [(1, Some(1), &[][..]), (1, Some(0), &[0]), (1, Some(0), &[1, 2])]);
    assert_eq!(now.edges[0].rest, Some(0));
}

#[test]
fn what_an_error_has_made_impossible_is_not_waited_for() {
    let now = flow(vec![started(0), started(1), call("east", 0, 0, true), call("east", 0, 1, false)]);
    let lost: Vec<(u64, u64)> = now.steps.iter().map(|step| (step.failed, step.without)).collect();
    assert_eq!(lost, [(1, 0), (0, 1), (0, 1)]);
    assert_eq!(told(&now), [(1, Some(0), &[][..]), (0, Some(0), &[0]), (0, Some(0), &[1])]);
}

#[test]
fn an_error_is_told_with_what_it_made_fail() {
    let error = |site: &str, node, frame| Told {
        site: site.into(),
        node: Some(NodeId::Number(node)),
        operation: None,
        frame: Some(Frame::of_param_set(frame)),
        kind: String::new(),
        message: String::new(),
        line: None,
        trace: None,
    };
    let place = Place::new();
    let mut record = place.with("a-1", lines()).unwrap();
    record.entries = vec![started(0), started(1), call("east", 0, 0, true), call("east", 0, 1, false)];
    record.entries.push(call("west", 1, 1, true));
    let errors = [error("east", 0, 0), error("west", 1, 1), error("west", 0, 0), error("east", 7, 0)];
    assert_eq!(made_fail(&record, &errors), [vec![1, 2], vec![2], vec![], vec![]]);
    // What comes then is the error.
    record.entries.push(Entry::Came { node: NodeId::Name("out".into()), frame: Frame::of_param_set(0), at: 1.0 });
    assert_eq!(made_fail(&record, &errors[..1]), [vec![1, 2]]);
    assert_eq!(Flow::new(&record).unwrap().steps[2].done, 0);
}

#[test]
fn a_step_that_is_only_counted_may_have_been_done_whatever_failed() {
    let error = Told {
        site: "east".into(),
        node: Some(NodeId::Number(0)),
        operation: None,
        frame: Some(Frame::of_param_set(7)),
        kind: String::new(),
        message: String::new(),
        line: None,
        trace: None,
    };
    let place = Place::new();
    let mut record = place.with("a-1", lines()).unwrap();
    let more = |of| Entry::More { site: "west".into(), of, count: u64::MAX };
    record.entries = vec![call("east", 0, 7, true), more(More::Done { node: NodeId::Number(1) })];
    assert_eq!(made_fail(&record, std::slice::from_ref(&error)), [vec![2]]);
    // No number breaks anything, and of what is counted it is known what waits.
    record.entries.extend([more(More::Started), more(More::Started), started(0)]);
    record.entries.push(Entry::LeftOut { site: Some("west".into()), count: 9 });
    let flow = Flow::new(&record).unwrap();
    assert_eq!((flow.steps[1].done, flow.steps[0].failed, flow.steps[0].ready), (u64::MAX, 1, Some(u64::MAX - 1)));
    assert_eq!(flow.steps[2].waits_for, [1, 2]);
}

#[test]
fn nothing_is_said_to_be_missing_where_the_record_has_left_something_out() {
    let now = flow(vec![started(0), Entry::LeftOut { site: None, count: 1 }]);
    assert!(now.steps.iter().all(|step| step.waits_for.is_empty() && step.ready.is_none()));
}

#[test]
fn a_plan_that_leads_back_or_nowhere_or_is_too_large_is_no_plan() {
    let place = Place::new();
    let with = |plan: Outline| {
        let text = serde_json::to_string(&Header { plan: Some(Arc::new(plan)), ..header("a-1") }).unwrap();
        place.with("a-1", text + "\n")
    };
    assert!(with(outline()).is_ok());
    let edge = |from, to| Edge { from, to, signal: false };
    let one = outline().steps.remove(0);
    for (steps, edges) in [
        (outline().steps, vec![edge(0, 1), edge(1, 0)]),
        (outline().steps, vec![edge(1, 1)]),
        (outline().steps, vec![edge(0, 3)]),
        (outline().steps, vec![edge(usize::MAX, 0)]),
        (outline().steps, vec![edge(0, 1); 5001]),
        (vec![one.clone(); 1001], vec![]),
        (vec![Step { label: "x".repeat(200_000), ..one }], vec![]),
    ] {
        assert!(matches!(with(Outline { steps, edges }), Err(Unreadable::NoRecord)));
    }
}

/// Four calls at two sites, two of them at the same time.
fn drawn() -> Record {
    let place = Place::new();
    let call = |site: &str, node, frame, at, seconds, waited, failed| Entry::Fired {
        site: site.into(),
        node: NodeId::Number(node),
        frame: Frame::of_param_set(frame),
        at,
        seconds,
        waited,
        failed,
    };
    let mut entries = entries();
    entries.extend([
        call("east", 0, 1, 1001.1, 0.4, 0.0, false),
        call("west", 1, 0, 1001.4, 0.001, 0.1, false),
        call("west", 1, 1, 1001.5, 0.3, 0.0, true),
    ]);
    written(&place, "a-1", entries, Some(ended("FAILED")));
    read(&place.path("a-1")).unwrap()
}

fn draws_numbers(record: &Record) -> bool {
    let svg = timeline_svg(record);
    timeline_text(record);
    timeline_chrome(record);
    !svg.contains("NaN") && !svg.contains("inf")
}

#[test]
fn a_jobs_timeline_is_drawn_told_and_written_for_viewers() {
    let record = drawn();
    insta::assert_snapshot!(timeline_svg(&record));
    insta::assert_snapshot!(timeline_text(&record).join("\n"));
    insta::assert_json_snapshot!(timeline_chrome(&record));
}

#[test]
fn what_stands_in_a_record_is_only_text_in_a_drawing() {
    let (place, lines) = (Place::new(), lines());
    let evil = "<script>alert(1)</script>&\\u001b]0;";
    let record = place.with("a-1", lines.replace("east", evil).replace("work.Greet", evil).replace("no name", evil));
    let svg = timeline_svg(&record.unwrap());
    assert!(!svg.contains("<script") && !svg.contains('\u{1b}') && svg.contains("&lt;script&gt;"));
}

#[test]
fn calls_without_room_are_told_of_and_not_drawn() {
    let mut record = drawn();
    record.entries = vec![fired(1001.0, false); 6000];
    let svg = timeline_svg(&record);
    assert!(svg.contains(">5940 more calls</text>"));
    assert!(svg.len() < 2_000_000, "{}", svg.len());
}

#[test]
fn two_jobs_are_set_beside_each_other_by_their_operations() {
    let a = Summary::new(&drawn());
    let mut b = a.clone();
    b.nodes[0].site = "north".into();
    b.nodes[1].operation = "work.Other".into();
    let both = compare(a, b);
    let told: Vec<_> =
        both.nodes.iter().map(|pair| (pair.operation.as_str(), pair.a.is_some(), pair.b.is_some())).collect();
    assert_eq!(told, [("work.Greet", true, true), ("work.Sign", true, false), ("work.Other", false, true)]);
    assert_eq!(both.nodes[0].b.as_ref().unwrap().site, "north");
}

/// No two texts overlap, and none leaves the picture or its box, in drawings of any calls.
fn texts_are_apart(svg: &str) -> Result<(), String> {
    let number = |tag: &str, name: &str| -> f64 {
        let rest = tag.split(&format!(" {name}=\"")).nth(1).unwrap_or("0");
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let mut texts: Vec<(f64, f64, f64, f64, String)> = vec![];
    for part in svg.split("<text ").skip(1) {
        let (tag, rest) = part.split_once('>').unwrap();
        let tag = format!(" {tag}");
        let text = rest.split('<').next().unwrap().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let size = if tag.contains("font-size") { number(&tag, "font-size") } else { 11.0 };
        let width = text.chars().count() as f64 * size * 0.6;
        let (x, y) = (number(&tag, "x"), number(&tag, "y"));
        let left = if tag.contains("middle") { x - width / 2.0 } else { x };
        let area = (left, y - size * 0.8, left + width, y + size * 0.2, text);
        if area.0 < 0.0 || area.2 > 1000.0 {
            return Err(format!("{} leaves the picture", area.4));
        }
        let hit = |other: &&(f64, f64, f64, f64, String)| {
            area.0 < other.2 && other.0 < area.2 && area.1 < other.3 && other.1 < area.3
        };
        if let Some(other) = texts.iter().find(hit) {
            return Err(format!("{} and {} overlap", area.4, other.4));
        }
        texts.push(area);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_two_texts_of_a_drawing_overlap(
        calls in proptest::collection::vec(
            ("[a-z]{1,25}", 0_u64..5, 0.0..100.0_f64, 0.0..50.0_f64, 0.0..5.0_f64, any::<bool>()), 0..80),
        factor in prop_oneof![Just(1e-6), Just(0.01), Just(1.0), Just(1e6)],
    ) {
        let mut record = drawn();
        let mut nodes = record.header.nodes.to_vec();
        nodes[0].operation = "work.AnOperationWithALongName".into();
        record.header.nodes = nodes.into();
        record.entries = calls.into_iter().map(|(site, node, at, seconds, waited, failed)| Entry::Fired {
            site, node: NodeId::Number(node), frame: Frame::of_param_set(0), at: 1000.0 + at * factor,
            seconds: seconds * factor, waited: waited * factor, failed,
        }).collect();
        let apart = texts_are_apart(&timeline_svg(&record));
        prop_assert!(apart.is_ok(), "{:?}", apart);
    }

    #[test]
    fn whatever_a_file_holds_is_summed_up_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0_usize..900,
        keep in any::<bool>(),
    ) {
        let place = Place::new();
        let mut text = lines().into_bytes();
        let at = at.min(text.len());
        let end = if keep { at } else { (at + bytes.len()).min(text.len()) };
        text.splice(at..end, bytes);
        if let Ok(record) = place.with("a-1", text) {
            let summary = Summary::new(&record);
            prop_assert!(draws_numbers(&record));
            prop_assert!(summary.nodes.iter().all(|node| node.seconds >= 0.0 && node.longest <= node.seconds));
        }
    }
}
