//! What was a job, in a few lines?

use std::collections::{BTreeSet, HashMap};

use dfm_net::NodeId;
use indexmap::IndexMap;
use serde::Serialize;

use crate::format::{Entry, More, Told};
use crate::read::Record;

/// The most errors that are told with their texts.
pub const MOST_FAILURES: usize = 20;

/// A job, as its record has it. Moments are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Its pipeline's name.
    pub name: String,
    /// `local` or `flare`.
    pub target: String,
    /// The application's site.
    pub homesite: String,
    /// `RUNNING`, `FINISHED`, `FAILED` or `ABORTED`; `UNKNOWN` where its application has ended before it, or left it.
    pub status: String,
    /// When it began.
    pub since: f64,
    /// When it ended for its application.
    pub ended: Option<f64>,
    /// Its parameters' names.
    pub params: Vec<String>,
    /// The sites that work for it.
    pub sites: BTreeSet<String>,
    /// How many frames have begun.
    pub frames: u64,
    /// How many tokens have come.
    pub tokens: u64,
    /// How many errors were told.
    pub errors: u64,
    /// The first of them.
    pub failures: Vec<Told>,
    /// Its operations.
    pub nodes: Vec<NodeSummary>,
    /// How much has happened that is not in the record.
    pub left_out: u64,
    /// Whether the record is whole: it ends where a line does, and all its lines are read.
    pub whole: bool,
}

/// What an operation took. Times are seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeSummary {
    /// The pipeline's node; `None` only before it is known.
    pub node: Option<NodeId>,
    /// `namespace.Name`; of what is none, as it parts and puts together, what the plan calls it.
    pub operation: String,
    /// Where it runs.
    pub site: String,
    /// Its provider there.
    pub provider: Option<String>,
    /// How many calls have ended.
    pub calls: u64,
    /// How many of them with an error.
    pub failed: u64,
    /// How many of them are told one by one; the times are of these.
    pub timed: u64,
    /// What they took together.
    pub seconds: f64,
    /// What the longest took.
    pub longest: f64,
    /// How long they waited for their turn together.
    pub waited: f64,
    /// Bytes of the results that went to other sites.
    pub sent: u64,
}

impl Summary {
    /// Of a record.
    pub fn new(record: &Record) -> Self {
        let header = &record.header;
        let mut nodes: IndexMap<(&NodeId, &str), NodeSummary> = IndexMap::new();
        for node in header.nodes.iter() {
            let of = nodes.entry((&node.node, &node.site)).or_default();
            of.operation.clone_from(&node.operation);
            of.provider.clone_from(&node.provider);
        }
        let mut summary = Self {
            id: header.job.clone(),
            name: header.pipeline.clone(),
            target: header.target.clone(),
            homesite: header.homesite.clone(),
            status: if record.running { "RUNNING" } else { "UNKNOWN" }.to_owned(),
            since: header.at,
            ended: None,
            params: header.params.clone(),
            sites: header.nodes.iter().map(|node| node.site.clone()).collect(),
            frames: 0,
            tokens: 0,
            errors: 0,
            failures: vec![],
            nodes: vec![],
            left_out: 0,
            whole: record.cut == crate::Cut::default(),
        };
        // What has been counted since an application took the job up.
        let (mut frames, mut tokens, mut errors) = (0_u64, 0_u64, 0_u64);
        for entry in &record.entries {
            match entry {
                Entry::Started { .. } => frames = frames.saturating_add(1),
                Entry::Came { .. } => tokens = tokens.saturating_add(1),
                Entry::Fired { site, node, seconds, waited, failed, .. } => {
                    let of = nodes.entry((node, site)).or_default();
                    of.calls = of.calls.saturating_add(1);
                    of.failed = of.failed.saturating_add(u64::from(*failed));
                    of.timed += 1;
                    of.seconds += seconds;
                    of.longest = of.longest.max(*seconds);
                    of.waited += waited;
                }
                Entry::Sent { site, node, bytes, .. } => {
                    let of = nodes.entry((node, site)).or_default();
                    of.sent = of.sent.saturating_add(*bytes);
                }
                Entry::Error { error, .. } => {
                    errors += 1;
                    if summary.failures.len() < MOST_FAILURES {
                        summary.failures.push(error.clone());
                    }
                }
                Entry::More { site, of, count } => match of {
                    More::Started => frames = frames.saturating_add(*count),
                    More::Came { .. } => tokens = tokens.saturating_add(*count),
                    More::Done { node } | More::Failed { node } => {
                        let failed = matches!(of, More::Failed { .. });
                        let of = nodes.entry((node, site)).or_default();
                        of.calls = of.calls.saturating_add(*count);
                        of.failed = of.failed.saturating_add(if failed { *count } else { 0 });
                    }
                    More::Sent { node, bytes, .. } => {
                        let of = nodes.entry((node, site)).or_default();
                        of.sent = of.sent.saturating_add(*bytes);
                    }
                },
                Entry::Said { .. } => {}
                Entry::LeftOut { count, .. } => summary.left_out = summary.left_out.saturating_add(*count),
                Entry::Resumed { .. } => {
                    summary.ended = None;
                    if record.running { "RUNNING" } else { "UNKNOWN" }.clone_into(&mut summary.status);
                }
                Entry::Ended { at, status, frames: all, tokens: came, errors: told } => {
                    summary.ended = Some(*at);
                    summary.status.clone_from(status);
                    summary.frames = summary.frames.max(*all);
                    summary.tokens = summary.tokens.saturating_add(*came);
                    summary.errors = summary.errors.saturating_add(*told);
                    (frames, tokens, errors) = (0, 0, 0);
                }
            }
        }
        summary.frames = summary.frames.max(frames);
        summary.tokens = summary.tokens.saturating_add(tokens);
        summary.errors = summary.errors.saturating_add(errors);
        let steps = header.plan.iter().flat_map(|plan| &plan.steps);
        let labels: HashMap<&NodeId, &str> = steps.map(|step| (&step.node, step.label.as_str())).collect();
        let named = nodes.into_iter().map(|((node, site), mut of)| {
            if of.operation.is_empty() {
                of.operation = labels.get(node).copied().unwrap_or_default().to_owned();
            }
            NodeSummary { node: Some(node.clone()), site: site.to_owned(), ..of }
        });
        summary.nodes = named.collect();
        summary
    }
}
