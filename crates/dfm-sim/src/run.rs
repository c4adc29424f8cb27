//! How does virtual time pass?

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use dfm_net::{Action, Engine, Failure, Frame, Net, NodeId, Outcome, PlaceId, Source, Step, Token, TransitionId};
use dfm_plan::{Estimate, EstimatedNode, FedInfo, Plan, SendCost};

use crate::Scenario;
use crate::report::{Errors, LinkUse, Simulated, SiteUse, slowest_chain};
use crate::value::{Size, without_values};

/// Runs a plan in virtual time. `estimate` is the plan's own: it says how long calls take, how big results are and how
/// many elements sequences have. A send of unknown cost takes no time, and is told. The same input gives the same run.
pub fn simulate(fed: &FedInfo, plan: &Plan, estimate: &Estimate, scenario: &Scenario) -> Simulated {
    let mut simulation = Simulation::new(fed, plan, estimate, scenario);
    simulation.begin(scenario);
    while let Some(Reverse(event)) = simulation.queue.pop() {
        simulation.now = event.time;
        simulation.handle(event);
    }
    simulation.finish(scenario.frames)
}

/// Something that happens at a time.
struct Event {
    time: f64,
    /// Among events of one time, the order in which they were foreseen.
    order: u64,
    /// The firing that led to it.
    cause: Option<usize>,
    what: What,
}

enum What {
    /// A frame begins at a site.
    Start(usize, Frame),
    /// A token comes from one site to another.
    Token { from: usize, to: usize, place: PlaceId, frame: Frame, token: Option<Token<Size>> },
    /// A call ends.
    End { firing: usize, fails: bool },
    /// A site is lost.
    Loss(usize),
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.time.total_cmp(&other.time).then(self.order.cmp(&other.order))
    }
}

/// One call.
pub(crate) struct Firing {
    pub site: usize,
    pub transition: TransitionId,
    pub frame: Frame,
    /// The firing whose result it had waited for last.
    pub cause: Option<usize>,
    /// When its inputs were there, when it began, when it ended.
    pub ready: f64,
    pub begin: f64,
    pub end: f64,
}

pub(crate) struct SimulatedSite {
    pub engine: Engine<Size>,
    /// Transition → what its calls cost.
    calls: Vec<Cost>,
    /// When each operation's throughput is free again.
    free_at: HashMap<(String, Option<String>), f64>,
    at_once: usize,
    running: usize,
    waiting: VecDeque<usize>,
    busy_since: f64,
    lost: bool,
    used: SiteUse,
}

/// What one firing of a transition costs.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Seconds that overlap with other firings.
    fixed: f64,
    /// Seconds of the operation's throughput at the site.
    shared: f64,
    /// Bytes of the result.
    bytes: f64,
    /// The part of the calls that fail.
    failing: f64,
}

struct Link {
    cost: Option<SendCost>,
    free_at: f64,
    used: LinkUse,
}

struct Simulation<'a> {
    fed: &'a FedInfo,
    sites: Vec<SimulatedSite>,
    by_name: HashMap<String, usize>,
    links: BTreeMap<(usize, usize), Link>,
    queue: BinaryHeap<Reverse<Event>>,
    foreseen: u64,
    now: f64,
    seed: u64,
    firings: Vec<Firing>,
    /// When a call ended, or the application had a token, for the last time, and the firing behind that.
    last: (f64, Option<usize>),
    values: u64,
    errors: u64,
    failed_frames: HashSet<u32>,
    reported: BTreeMap<(String, Option<String>, String), u64>,
}

impl<'a> Simulation<'a> {
    fn new(fed: &'a FedInfo, plan: &Plan, estimate: &Estimate, scenario: &Scenario) -> Self {
        let nodes: HashMap<&NodeId, &EstimatedNode> = estimate.nodes.iter().map(|node| (&node.node, node)).collect();
        let by_name = plan.nets.iter().enumerate().map(|(at, net)| (net.site.clone(), at)).collect();
        let sites = plan.nets.iter().map(|net| SimulatedSite::new(net, &nodes, scenario)).collect();
        Self {
            fed,
            sites,
            by_name,
            links: BTreeMap::new(),
            queue: BinaryHeap::new(),
            foreseen: 0,
            now: 0.0,
            seed: scenario.seed,
            firings: vec![],
            last: (0.0, None),
            values: 0,
            errors: 0,
            failed_frames: HashSet::new(),
            reported: BTreeMap::new(),
        }
    }

    /// Foresees the starts of all frames, which take to a site as long as their parameters do, and the losses.
    fn begin(&mut self, scenario: &Scenario) {
        for (site, time) in &scenario.lost {
            if let Some(&site) = self.by_name.get(site).filter(|site| **site != 0) {
                self.foresee(*time, None, What::Loss(site));
            }
        }
        for site in 0..self.sites.len() {
            let net = self.sites[site].engine.net();
            let takes_params = net.places.iter().any(|place| matches!(place.source, Source::Param(_)));
            let cost =
                (site > 0 && takes_params).then(|| self.fed.send_cost(&self.sites[0].engine.net().site, &net.site));
            let time = cost.flatten().map_or(0.0, |cost| cost.fixed_time);
            for frame in 0..scenario.frames {
                self.foresee(time, None, What::Start(site, Frame::of_param_set(frame)));
            }
            self.sites[site].engine.stop(scenario.frames.into());
        }
    }

    fn foresee(&mut self, time: f64, cause: Option<usize>, what: What) {
        self.foreseen += 1;
        self.queue.push(Reverse(Event { time, order: self.foreseen, cause, what }));
    }

    fn handle(&mut self, event: Event) {
        match event.what {
            What::Start(at, frame) => {
                let site = &mut self.sites[at];
                if !site.lost {
                    let params = site.params();
                    site.engine.start(&frame, &params);
                    self.act(at, event.cause);
                }
            }
            What::Token { from, to, place, frame, token } => {
                if !self.sites[from].lost && !self.sites[to].lost {
                    self.sites[to].engine.deposit(place, &frame, token);
                    self.act(to, event.cause);
                }
            }
            What::End { firing, fails } => self.end(firing, fails),
            What::Loss(lost) => self.lose(lost),
        }
    }

    fn end(&mut self, firing: usize, fails: bool) {
        let Firing { site: at, transition, ref frame, .. } = self.firings[firing];
        let site = &mut self.sites[at];
        if site.lost {
            return;
        }
        self.last = (self.now, Some(firing));
        let outcome = if fails {
            Outcome::Failed(site.failure(transition, frame))
        } else {
            Outcome::Value(Size::of(site.calls[transition as usize].bytes))
        };
        site.engine.complete(transition, frame, outcome);
        site.running -= 1;
        if site.running == 0 {
            site.used.busy += self.now - site.busy_since;
        }
        if let Some(next) = site.waiting.pop_front() {
            self.run(next);
        }
        self.act(at, Some(firing));
    }

    fn lose(&mut self, lost: usize) {
        let site = &mut self.sites[lost];
        if site.lost {
            return;
        }
        site.lost = true;
        if site.running > 0 {
            site.used.busy += self.now - site.busy_since;
        }
        let name = site.engine.net().site.clone();
        let failure = Failure {
            site: name.clone(),
            node: None,
            operation: None,
            frame: None,
            kind: "SiteLostError".to_owned(),
            message: format!("the site was lost after {} s", self.now),
            stack_trace: String::new(),
        };
        self.report(&failure);
        for at in 0..self.sites.len() {
            if !self.sites[at].lost {
                self.sites[at].engine.lose(&name, failure.clone());
                self.act(at, None);
            }
        }
    }

    /// Does what an engine asks for.
    fn act(&mut self, at: usize, cause: Option<usize>) {
        while let Some(action) = self.sites[at].engine.next_action() {
            match action {
                Action::Call { transition, frame, inputs } => {
                    let engine = &mut self.sites[at].engine;
                    // Caches are empty, and take no time.
                    match engine.net().transitions[transition as usize].step {
                        Step::LookUp { .. } => {
                            engine.complete(transition, &frame, Outcome::NotFound(Size::of(0.0)));
                            continue;
                        }
                        Step::Store { .. } => {
                            let value = inputs[0].unwrap_or(Size::of(0.0));
                            engine.complete(transition, &frame, Outcome::Value(value));
                            continue;
                        }
                        _ => {}
                    }
                    let (ready, firing) = (self.now, self.firings.len());
                    self.firings.push(Firing { site: at, transition, frame, cause, ready, begin: ready, end: ready });
                    let site = &mut self.sites[at];
                    if site.running < site.at_once {
                        self.run(firing);
                    } else {
                        site.waiting.push_back(firing);
                    }
                }
                Action::Yield { frame, token, .. } => {
                    self.last = (self.now, cause);
                    if matches!(token, Token::Error(_)) {
                        self.errors += 1;
                        self.failed_frames.insert(frame.levels()[0]);
                    } else {
                        self.values += 1;
                    }
                }
                Action::Send { site, place, frame, token } => {
                    let to = self.by_name[&site];
                    let time = self.arrival(at, to, &token);
                    self.foresee(time, cause, What::Token { from: at, to, place, frame, token });
                }
                Action::Report(failure) => self.report(&failure),
                // What is done of rounds holds nobody up.
                Action::Done | Action::Consumed { .. } => {}
                Action::Item { .. } | Action::SendItem { .. } => unreachable!("no call streams here"),
            }
        }
    }

    /// Begins a call.
    fn run(&mut self, firing: usize) {
        let kept = &mut self.firings[firing];
        let site = &mut self.sites[kept.site];
        let cost = site.calls[kept.transition as usize];
        if site.running == 0 {
            site.busy_since = self.now;
        }
        site.running += 1;
        site.used.firings += 1;
        site.used.most_at_once = site.used.most_at_once.max(site.running);
        let Step::Call { operation, provider, node, .. } =
            &site.engine.net().transitions[kept.transition as usize].step
        else {
            unreachable!("only calls are run")
        };
        let fails = cost.failing > 0.0 && chance(self.seed, node, &kept.frame) < cost.failing;
        kept.begin = self.now;
        kept.end = self.now + cost.fixed;
        if cost.shared > 0.0 {
            let free_at = site.free_at.entry((operation.clone(), provider.clone())).or_default();
            *free_at = free_at.max(self.now) + cost.shared;
            kept.end = *free_at + cost.fixed;
        }
        let end = kept.end;
        self.foresee(end, Some(firing), What::End { firing, fails });
    }

    /// When a token that leaves now is at another site: after those that the link has before it.
    fn arrival(&mut self, from: usize, to: usize, token: &Option<Token<Size>>) -> f64 {
        let bytes = match token {
            Some(Token::Value(value)) => value.bytes,
            _ => 0.0,
        };
        let link = self.links.entry((from, to)).or_insert_with(|| {
            let name = |at: usize| self.sites[at].engine.net().site.clone();
            let cost = self.fed.send_cost(&name(from), &name(to)).cloned();
            let known = cost.is_some();
            let used = LinkUse { from: name(from), to: name(to), tokens: 0, bytes: 0.0, busy: 0.0, known };
            Link { cost, free_at: 0.0, used }
        });
        link.used.tokens += 1;
        link.used.bytes += bytes;
        let Some(cost) = &link.cost else { return self.now };
        let seconds = cost.bandwidth.filter(|_| bytes > 0.0).map_or(0.0, |rate| bytes / rate);
        link.used.busy += seconds;
        link.free_at = link.free_at.max(self.now) + seconds;
        link.free_at + cost.fixed_time
    }

    fn report(&mut self, failure: &Failure) {
        let key = (failure.site.clone(), failure.operation.clone(), failure.message.clone());
        *self.reported.entry(key).or_default() += 1;
    }

    fn finish(self, frames: u32) -> Simulated {
        let errors = self.reported.into_iter().map(|((site, operation, message), count)| Errors {
            site,
            operation,
            message,
            count,
        });
        let chain = slowest_chain(&self.sites, &self.firings, self.last.1);
        Simulated {
            seconds: self.last.0,
            frames,
            failed_frames: self.failed_frames.len(),
            values: self.values,
            lost_values: self.errors,
            errors: errors.collect(),
            sites: self.sites.into_iter().map(|site| site.used).collect(),
            links: self.links.into_values().map(|link| link.used).collect(),
            chain,
        }
    }
}

impl SimulatedSite {
    fn new(net: &Net, nodes: &HashMap<&NodeId, &EstimatedNode>, scenario: &Scenario) -> Self {
        let calls = net.transitions.iter().map(|transition| {
            let Step::Call { node, operation, provider, .. } = &transition.step else { return Cost::default() };
            let estimated = nodes[node];
            let firings = estimated.firings.max(1.0);
            let fails = scenario.failing.iter().find(|failing| {
                failing.site == net.site && failing.operation == *operation && failing.provider == *provider
            });
            Cost {
                fixed: estimated.fixed,
                shared: (estimated.compute - estimated.fixed * estimated.rounds).max(0.0) / firings,
                bytes: estimated.bytes / firings,
                failing: fails.map_or(0.0, |failing| failing.share),
            }
        });
        let calls = calls.collect();
        let sequence = |node: &NodeId| {
            let estimated = nodes[node];
            (estimated.elements.unwrap_or_default() as u32, estimated.bytes / estimated.firings.max(1.0))
        };
        Self {
            engine: Engine::new(Arc::new(without_values(net, sequence))),
            calls,
            free_at: HashMap::new(),
            at_once: scenario.at_once.get(&net.site).copied().unwrap_or(usize::MAX),
            running: 0,
            waiting: VecDeque::new(),
            busy_since: 0.0,
            lost: false,
            used: SiteUse { site: net.site.clone(), firings: 0, busy: 0.0, most_at_once: 0 },
        }
    }

    fn params(&self) -> HashMap<String, Size> {
        let places = self.engine.net().places.iter().filter_map(|place| match &place.source {
            Source::Param(name) => Some((name.clone(), Size::of(0.0))),
            _ => None,
        });
        places.collect()
    }

    fn failure(&self, transition: TransitionId, frame: &Frame) -> Failure {
        let net = self.engine.net();
        let step = &net.transitions[transition as usize].step;
        Failure {
            site: net.site.clone(),
            node: Some(step.node().clone()),
            operation: step.operation().map(str::to_owned),
            frame: Some(frame.clone()),
            kind: "SimulatedError".to_owned(),
            message: "the call fails, as the network file says".to_owned(),
            stack_trace: String::new(),
        }
    }
}

/// A number from 0 to 1 that depends on nothing but what is given.
fn chance(seed: u64, node: &NodeId, frame: &Frame) -> f64 {
    let mut hasher = DefaultHasher::new();
    (seed, node, frame).hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64
}
