//! What of a job is not done at its sites, and how does home say that in the words of the pipeline?

use std::collections::BTreeMap;
use std::sync::Arc;

use dfm_net::{Net, PlaceId, Source, TransitionId};
use dfm_wire::{ASKED, JobId, Message, Unfinished};

use super::Site;
use crate::host::{Host, NodeAt, Wait, Why};

/// A site names so many calls and so many firings, and of each firing so many empty places.
const NAMED: usize = 12;

impl<H: Host> Site<H> {
    /// At home: asks the sites that a job waits for what it has not done there. Returns what it has not done here, how
    /// much more that is, and the other sites, each of which answers with [`crate::Event::Unfinished`].
    pub fn ask(&mut self, request: u64, id: JobId) -> (Vec<Wait>, u64, Vec<String>) {
        let Some(home) = self.jobs.get(&id).and_then(|job| job.home.as_ref()) else { return (vec![], 0, vec![]) };
        let own = self.unfinished(id);
        let here = waits(home.nets(), &self.name, &own);
        let mut asked = home.others(&self.name);
        asked.retain(|site| self.links.contains_key(site));
        for site in &asked {
            self.push(site, &Message::Ask(request, id), vec![]);
        }
        (here, own.more, asked)
    }

    /// What of a job is not done here.
    pub(super) fn unfinished(&self, id: JobId) -> Unfinished {
        let Some(job) = self.jobs.get(&id) else { return Unfinished::default() };
        let mut calls: Vec<_> = self.running.iter().filter(|(_, running)| running.job == id).collect();
        calls.sort_by_key(|(call, _)| **call);
        let now = self.host.now();
        let running = calls.iter().take(NAMED).map(|(_, running)| dfm_wire::Running {
            transition: running.transition,
            frame: running.frame.clone(),
            seconds: running.begun.map_or(0.0, |begun| (now - begun).max(0.0)),
            rests: running.waits,
        });
        let running: Vec<_> = running.collect();
        let (waiting, more) = job.engine.waiting(NAMED);
        Unfinished { more: more + (calls.len() - running.len()) as u64, running, waiting }
    }
}

/// A job's nets, by their sites.
pub(crate) type Nets = BTreeMap<String, Arc<Net>>;

/// What a site has told of a job, with the pipeline's nodes. What fits none of the job's nets is left out.
pub(crate) fn waits(nets: &Nets, site: &str, told: &Unfinished) -> Vec<Wait> {
    let running = told.running.iter().filter_map(|running| {
        let why = Why::Runs { seconds: running.seconds, rests: running.rests };
        Some(Wait { node: node_at(nets, site, running.transition)?, frame: running.frame.clone(), why })
    });
    let waiting = told.waiting.iter().filter_map(|waiting| {
        let nodes = waiting.empty.iter().filter_map(|place| maker(nets, site, *place)).collect();
        let why = Why::Needs { nodes, more: waiting.more };
        Some(Wait { node: node_at(nets, site, waiting.transition)?, frame: waiting.frame.clone(), why })
    });
    running.chain(waiting).collect()
}

/// What a site has answered who asked it in home's name, read by who has the packet of the job's plan: as home's own
/// [`crate::Event::Unfinished`]. `None` if the packets are not those.
pub fn read_answer(plan: &[u8], site: &str, answer: &[u8]) -> Option<(Vec<Wait>, u64)> {
    let (Ok(Message::Plan(of, _, nets)), Ok(Message::Unfinished(ASKED, job, told))) =
        (Message::from_bytes(plan), Message::from_bytes(answer))
    else {
        return None;
    };
    let nets = nets.into_iter().map(|net| (net.site.clone(), Arc::new(net))).collect();
    (of == job).then(|| (waits(&nets, site, &told), told.more))
}

/// What a transition of a site is.
pub(super) fn node_at(nets: &Nets, site: &str, transition: TransitionId) -> Option<NodeAt> {
    let step = &nets.get(site)?.transitions.get(transition as usize)?.step;
    Some(NodeAt { site: site.to_owned(), node: step.node().clone(), label: step.label() })
}

/// What a place of a site takes its tokens from.
fn maker(nets: &Nets, site: &str, place: PlaceId) -> Option<NodeAt> {
    let from = match &nets.get(site)?.places.get(place as usize)?.source {
        Source::Site(from) => from,
        Source::Here => site,
        Source::Start | Source::Param(_) => return None,
    };
    let leads = |arc: &dfm_net::Arc| arc.place == place && arc.site.as_deref().unwrap_or(from) == site;
    let made = nets.get(from)?.transitions.iter().position(|transition| transition.outputs.iter().any(leads))?;
    node_at(nets, from, made as TransitionId)
}
