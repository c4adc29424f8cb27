//! What came of a simulation?

use std::cmp::Reverse;
use std::fmt::Write;

use dfm_net::{Frame, NodeId};
use dfm_plan::{shown_bytes, shown_seconds};
use serde::Serialize;

use crate::run::{Firing, SimulatedSite};

/// The most lines of one kind in an explanation.
const LINES: usize = 20;

/// What a run would be like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulated {
    /// Seconds until everything was done.
    pub seconds: f64,
    /// How many parameter sets were executed.
    pub frames: u32,
    /// In how many of them an error came to the application.
    pub failed_frames: usize,
    /// How many values came to the application.
    pub values: u64,
    /// In place of how many values an error came.
    pub lost_values: u64,
    /// The original errors.
    pub errors: Vec<Errors>,
    /// The homesite, then every other site that had something to do.
    pub sites: Vec<SiteUse>,
    /// Every link that something was sent over.
    pub links: Vec<LinkUse>,
    /// The firings that the end had to wait for, one for the other, in order.
    pub chain: Vec<ChainStep>,
}

/// Original errors of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Errors {
    /// Where.
    pub site: String,
    /// Of which operation; `None` for a lost site.
    pub operation: Option<String>,
    /// What happened.
    pub message: String,
    /// How often.
    pub count: u64,
}

/// What a site had to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteUse {
    /// The site.
    pub site: String,
    /// How many calls it ran.
    pub firings: u64,
    /// Seconds in which it ran any.
    pub busy: f64,
    /// The most calls that it ran at the same time.
    pub most_at_once: usize,
}

/// What went from one site to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkUse {
    /// The sender.
    pub from: String,
    /// The receiver.
    pub to: String,
    /// How many tokens.
    pub tokens: u64,
    /// Their bytes.
    pub bytes: f64,
    /// Seconds in which its bandwidth was used.
    pub busy: f64,
    /// Whether its cost is known; otherwise nothing on it took any time.
    pub known: bool,
}

/// One firing of a chain.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChainStep {
    /// The pipeline's node.
    pub node: NodeId,
    /// Its operation.
    pub operation: String,
    /// Where it ran.
    pub site: String,
    /// In which frame.
    pub frame: Frame,
    /// Seconds from the end of the step before until its inputs were there.
    pub sending: f64,
    /// Seconds that it then waited until the site had room for it.
    pub waiting: f64,
    /// Seconds that it ran, the wait for its operation's throughput included.
    pub computing: f64,
}

/// The firings that led to the last one.
pub(crate) fn slowest_chain(sites: &[SimulatedSite], firings: &[Firing], last: Option<usize>) -> Vec<ChainStep> {
    let way = std::iter::successors(last, |at| firings[*at].cause);
    let mut chain: Vec<ChainStep> = way
        .map(|at| {
            let firing = &firings[at];
            let net = sites[firing.site].engine.net();
            let step = &net.transitions[firing.transition as usize].step;
            ChainStep {
                node: step.node().clone(),
                operation: step.operation().unwrap_or_default().to_owned(),
                site: net.site.clone(),
                frame: firing.frame.clone(),
                sending: firing.ready - firing.cause.map_or(0.0, |before| firings[before].end),
                waiting: firing.begin - firing.ready,
                computing: firing.end - firing.begin,
            }
        })
        .collect();
    chain.reverse();
    chain
}

/// For people: when it ends, what each site and link had to do, what was lost, and what the end had to wait for.
pub fn explain(simulated: &Simulated) -> String {
    let Simulated { seconds, frames, values, sites, links, chain, .. } = simulated;
    let firings: u64 = sites.iter().map(|site| site.firings).sum();
    let mut text = format!(
        "done after {}: {}, {} at {}, {}",
        shown_seconds(*seconds),
        counted(*frames, "frame"),
        counted(firings, "call"),
        counted(sites.len() as u64, "site"),
        counted(*values, "value")
    );
    let mut sites: Vec<&SiteUse> = sites.iter().filter(|site| site.firings > 0).collect();
    sites.sort_by(|a, b| b.busy.total_cmp(&a.busy));
    let site_line = |site: &&SiteUse| {
        let busy = shown_seconds(site.busy);
        let calls = counted(site.firings, "call");
        format!("{}: busy for {busy}, {calls}, at most {} at once", site.site, site.most_at_once)
    };
    section(&mut text, "sites, the busiest first", sites.iter().map(site_line));
    let mut links: Vec<&LinkUse> = links.iter().collect();
    links.sort_by_key(|link| (Reverse(link.known), Reverse(link.bytes as u64)));
    let link_line = |link: &&LinkUse| {
        let (bytes, busy) = (shown_bytes(link.bytes), shown_seconds(link.busy));
        let unknown = if link.known { "" } else { "; its cost is unknown, and counts as nothing" };
        let tokens = counted(link.tokens, "token");
        format!("{} to {}: {bytes} in {tokens}, {busy} of its bandwidth{unknown}", link.from, link.to)
    };
    section(&mut text, "links, the most bytes first", links.iter().map(link_line));
    let error_line = |errors: &Errors| {
        let what = errors.operation.as_ref().map(|operation| format!(" {operation}")).unwrap_or_default();
        let times = if errors.count == 1 { "once".to_owned() } else { format!("{} times", errors.count) };
        format!("{}{what}: {} ({times})", errors.site, errors.message)
    };
    section(&mut text, "errors", simulated.errors.iter().map(error_line));
    if simulated.lost_values > 0 {
        let (lost, failed) =
            (counted(simulated.lost_values, "value"), counted(simulated.failed_frames as u64, "frame"));
        let _ = write!(text, "\n  errors came in place of {lost}, in {failed}");
    }
    let step_line = |step: &ChainStep| {
        let parts = [("sending", step.sending), ("waiting", step.waiting), ("computing", step.computing)];
        let parts = parts.iter().filter(|(name, seconds)| *seconds > 0.0 || *name == "computing");
        let parts: Vec<String> = parts.map(|(name, seconds)| format!("{name} {}", shown_seconds(*seconds))).collect();
        let (operation, site, frame) = (&step.operation, &step.site, step.frame.levels());
        format!("{operation} at {site} {frame:?}: {}", parts.join(", "))
    };
    section(&mut text, "the slowest chain", chain.iter().map(step_line));
    text
}

/// A number of things, for people.
fn counted(count: impl Into<u64>, thing: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// Adds a few lines under a title, if there are any.
fn section(text: &mut String, title: &str, lines: impl ExactSizeIterator<Item = String>) {
    let count = lines.len();
    if count > 0 {
        let _ = write!(text, "\n{title}:");
    }
    for line in lines.take(LINES) {
        let _ = write!(text, "\n  {line}");
    }
    if count > LINES {
        let _ = write!(text, "\n  and {} more", count - LINES);
    }
}
