//! In which block does each statement stand, and what may it refer to from there?

use std::collections::HashMap;

use dfm_net::{MOST_LEVELS, MOST_ROUNDS, NodeId};
use indexmap::IndexMap;

use crate::check::shown;
use crate::graph::{Block, Known};
use crate::{AgainStatement, Argument, Pipeline, Problem, Statement, out_of_block};

/// A pipeline's statements by their blocks.
pub(crate) struct Blocks<'a> {
    /// The pipeline's own body, then each block after the one around it.
    pub blocks: Vec<Block>,
    /// The statements that become nodes, in the pipeline's order, each with its block.
    pub known: Vec<(Known<'a>, usize)>,
    /// Block → how deep it lies; the pipeline's own body at 1.
    levels: Vec<usize>,
    /// The blocks' own ids.
    by_id: HashMap<&'a NodeId, usize>,
    /// `Repeat` → what ends its rounds.
    ends: HashMap<&'a NodeId, usize>,
}

impl<'a> Blocks<'a> {
    /// Sorts statements into blocks, and refuses kinds that this planner does not know.
    pub fn new(pipeline: &'a Pipeline, problems: &mut Vec<Problem>) -> Self {
        let body = Block { parent: 0, node: None, each: false, when: true };
        let (by_id, ends) = (HashMap::new(), HashMap::new());
        let mut sorted = Self { blocks: vec![body], known: vec![], levels: vec![1], by_id, ends };
        let mut ifs: HashMap<&NodeId, usize> = HashMap::new();
        let mut caches: IndexMap<&NodeId, usize> = IndexMap::new();
        let mut repeats: IndexMap<&NodeId, usize> = IndexMap::new();
        for statement in &pipeline.statements {
            let (known, around) = match statement {
                Statement::Operation(statement) => (Known::Operation(statement), &statement.block),
                Statement::Yield(statement) => (Known::Yield(statement), &statement.block),
                Statement::ForEach(statement) => (Known::ForEach(statement), &statement.block),
                Statement::Collect(statement) => (Known::Collect(statement), &statement.block),
                Statement::If(statement) => (Known::If(statement), &statement.block),
                Statement::Otherwise(statement) => {
                    let parent = sorted.find(&statement.node, statement.block.as_ref(), problems);
                    match ifs.remove(&statement.of) {
                        Some(node) if sorted.known[node].1 == parent => {
                            let block = Block { parent, node: Some(node), each: false, when: false };
                            sorted.open(&statement.node, block, problems);
                        }
                        _ => {
                            let of = shown(&statement.of);
                            let message = format!("it is the other branch of {of}, which is no If that it can follow");
                            problems.push(Problem::new("plan-block", Some(&statement.node), message, None));
                        }
                    }
                    continue;
                }
                Statement::TryFromCache(statement) => (Known::LookUp(statement), &statement.block),
                Statement::WriteToCache(statement) => (Known::Store(statement), &statement.block),
                Statement::Repeat(statement) => (Known::Repeat(statement), &statement.block),
                Statement::Again(statement) => (Known::Again(statement), &statement.block),
                Statement::Outcome(statement) => (Known::Outcome(statement), &statement.block),
                Statement::Gathered(statement) => (Known::Gather(statement), &statement.block),
                Statement::EachSite(_) | Statement::Gather(_) | Statement::SecureSum(_) => {
                    unreachable!("they were expanded")
                }
                Statement::Other { kind, node } => {
                    let message = format!("a statement of kind '{kind}' is not available yet");
                    problems.push(Problem::new("plan-not-available", node.as_ref(), message, None));
                    continue;
                }
            };
            let parent = sorted.find(known.node(), around.as_ref(), problems);
            let node = Some(sorted.known.len());
            sorted.known.push((known, parent));
            match known {
                Known::ForEach(_) => {
                    sorted.open(known.node(), Block { parent, node, each: true, when: true }, problems)
                }
                Known::If(_) => {
                    sorted.open(known.node(), Block { parent, node, each: false, when: true }, problems);
                    ifs.insert(known.node(), sorted.known.len() - 1);
                }
                Known::LookUp(_) => {
                    sorted.open(known.node(), Block { parent, node, each: false, when: true }, problems);
                    caches.insert(known.node(), sorted.known.len() - 1);
                }
                Known::Repeat(_) => {
                    sorted.open(known.node(), Block { parent, node, each: true, when: true }, problems);
                    repeats.insert(known.node(), sorted.known.len() - 1);
                }
                Known::Again(statement) => sorted.end_rounds(statement, parent, &mut repeats, problems),
                Known::Store(statement) => {
                    let look_up = caches.shift_remove(&statement.cache);
                    let look_up = look_up.filter(|_| sorted.by_id.get(&statement.cache) == Some(&parent));
                    match look_up.map(|look_up| sorted.known[look_up]) {
                        Some((Known::LookUp(cache), around)) => sorted.known.push((Known::Join(cache), around)),
                        _ => {
                            let message = "it does not stand in the body of a TryFromCache that has no other one";
                            let help = Some("write to a cache once, in its own body".to_owned());
                            problems.push(Problem::new("plan-cache", Some(known.node()), message.to_owned(), help));
                        }
                    }
                }
                _ => {}
            }
        }
        for node in repeats.keys() {
            let message = "its body does not say what goes into the next round".to_owned();
            problems.push(Problem::new("plan-repeat", Some(node), message, None));
        }
        for node in caches.keys() {
            let message = "its body writes nothing to the cache".to_owned();
            problems.push(Problem::new("plan-cache", Some(node), message, None));
        }
        sorted
    }

    fn end_rounds(
        &mut self,
        statement: &'a AgainStatement,
        parent: usize,
        repeats: &mut IndexMap<&'a NodeId, usize>,
        problems: &mut Vec<Problem>,
    ) {
        let begins = repeats.shift_remove(&statement.repeat);
        let begins = begins.filter(|_| self.by_id.get(&statement.repeat) == Some(&parent));
        let Some((Known::Repeat(repeat), _)) = begins.map(|begins| self.known[begins]) else {
            let message = "it does not stand in the body of a Repeat that has no other one".to_owned();
            let help = Some("say what goes into the next round once, in the body itself".to_owned());
            problems.push(Problem::new("plan-repeat", Some(&statement.node), message, help));
            return;
        };
        self.ends.insert(&repeat.node, self.known.len() - 1);
        let alike = |one: &IndexMap<String, Argument>, other: &IndexMap<String, Argument>| {
            one.keys().all(|name| other.contains_key(name))
        };
        if !alike(&repeat.start, &statement.next) || !alike(&statement.next, &repeat.start) {
            let message = "it has other names than the first round".to_owned();
            problems.push(Problem::new("plan-repeat", Some(&statement.node), message, None));
        }
        if !(1..=MOST_ROUNDS).contains(&repeat.at_most) {
            let message = format!("it has at_most={}, and there are 1 to {MOST_ROUNDS} rounds", repeat.at_most);
            problems.push(Problem::new("plan-repeat", Some(&repeat.node), message, None));
        }
    }

    /// What ends the rounds and what begins them, for what they come to.
    pub fn rounds(&self, outcome: usize, problems: &mut Vec<Problem>) -> Vec<usize> {
        let (Known::Outcome(statement), block) = self.known[outcome] else { return vec![] };
        let found = self.ends.get(&statement.repeat).map(|again| (*again, self.blocks[self.known[*again].1]));
        match found {
            Some((again, body)) if body.parent == block => std::iter::once(again).chain(body.node).collect(),
            _ => {
                let message = "it is what rounds come to that do not stand before and beside it".to_owned();
                problems.push(Problem::new("plan-repeat", Some(&statement.node), message, None));
                vec![]
            }
        }
    }

    /// What ends the rounds from which something is collected: only then is it known how many there are.
    pub fn ends_collected(&self, statement: Known<'_>) -> Option<usize> {
        let Known::Collect(statement) = statement else { return None };
        self.ends.get(&statement.for_each).copied()
    }

    fn find(&self, node: &NodeId, around: Option<&NodeId>, problems: &mut Vec<Problem>) -> usize {
        let Some(around) = around else { return 0 };
        self.by_id.get(around).copied().unwrap_or_else(|| {
            let message = format!("it stands in the block {}, which no statement before it opens", shown(around));
            problems.push(Problem::new("plan-block", Some(node), message, None));
            0
        })
    }

    fn open(&mut self, id: &'a NodeId, block: Block, problems: &mut Vec<Problem>) {
        if self.by_id.insert(id, self.blocks.len()).is_some() {
            let message = format!("two blocks have the node id {}", shown(id));
            problems.push(Problem::new("plan-duplicate-node", Some(id), message, None));
        }
        let level = self.levels[block.parent] + 1;
        // Those that lie in it are not told too.
        if level == MOST_LEVELS + 1 {
            let message =
                format!("it lies in {} blocks already, and at most {} lie in each other", level - 2, MOST_LEVELS - 1);
            let help = Some("collect what an inner block makes, and go on outside of it".to_owned());
            problems.push(Problem::new("plan-block", Some(id), message, help));
        }
        self.levels.push(level);
        self.blocks.push(block);
    }

    /// The block whose frames a node's result belongs to.
    pub fn result_of(&self, node: usize) -> usize {
        let (known, block) = self.known[node];
        match known {
            Known::ForEach(statement) => self.by_id.get(&statement.node).copied().unwrap_or(block),
            Known::Repeat(statement) => self.by_id.get(&statement.node).copied().unwrap_or(block),
            _ => block,
        }
    }

    /// Whether `block` is `inner` or around it.
    fn holds(&self, block: usize, mut inner: usize) -> bool {
        while inner > block {
            inner = self.blocks[inner].parent;
        }
        inner == block
    }

    /// Whether the block `inner` is `block`, or is entered once in it or not at all.
    fn once_in(&self, mut inner: usize, block: usize) -> bool {
        while inner > block && !self.blocks[inner].each {
            inner = self.blocks[inner].parent;
        }
        inner == block
    }

    /// Why the statement `from` must not refer to the node `to`; `collects`: as what it collects.
    pub fn refusal(&self, from: usize, to: usize, collects: bool) -> Option<Problem> {
        let (known, block) = self.known[from];
        let problem =
            |code, message, help: &str| Some(Problem::new(code, Some(known.node()), message, Some(help.to_owned())));
        let named = shown(self.known[to].0.node());
        if let Known::If(_) = self.known[to].0 {
            return problem("plan-if-as-input", format!("it depends on the If {named}, which has no result"), {
                "depend on the nodes of its condition"
            });
        }
        let gathers = matches!(known, Known::Gather(_)) && self.once_in(self.result_of(to), block);
        if collects || gathers || self.holds(self.result_of(to), block) {
            return None;
        }
        let made_in = self.result_of(to);
        let has_body = self.blocks[made_in].node;
        let kind = match has_body.map(|node| self.known[node].0) {
            Some(Known::Repeat(_)) => "Repeat",
            Some(Known::If(_)) => "If",
            Some(Known::LookUp(_)) => "TryFromCache",
            _ => "ForEach",
        };
        let around = has_body.filter(|around| *around != to);
        let around = around.map(|around| format!("the block {}", shown(self.known[around].0.node())));
        let broken = out_of_block(&format!("the node {named}"), around.as_deref(), kind);
        Some(Problem::of(known.node(), broken))
    }

    /// What the value of a cache joins: its look-up, and what stores it, which stands before the join.
    pub fn joined(&self, join: usize) -> Option<[usize; 2]> {
        let store = join.checked_sub(1)?;
        Some([self.blocks[self.known[store].1].node?, store])
    }

    /// What is wrong with a collection of the node `of`, made by the statement `from`.
    pub fn collection(&self, from: usize, of: Option<usize>, problems: &mut Vec<Problem>) -> Option<usize> {
        let (Known::Collect(statement), block) = self.known[from] else { return None };
        let mut add = |message: &str, help: &str| {
            let problem =
                Problem::new("plan-collect", Some(&statement.node), message.to_owned(), Some(help.to_owned()));
            problems.push(problem);
        };
        let each = self.by_id.get(&statement.for_each).copied().filter(|each| self.blocks[*each].each);
        let Some(each) = each.filter(|each| self.blocks[*each].parent == block) else {
            let message = "it collects from a block that is no ForEach, or does not stand beside it";
            add(message, "collect in the block around the ForEach");
            return None;
        };
        if !matches!(statement.value, Argument::Node { .. }) {
            add("it collects something else than a node", "collect a node of the ForEach's body");
            return None;
        }
        let mut inner = self.result_of(of?);
        while inner != each && !self.blocks[inner].each && inner != 0 {
            inner = self.blocks[inner].parent;
        }
        if inner != each {
            add("it collects a node that the ForEach's body does not make once for each element", {
                "collect inner collections one by one"
            });
        }
        self.blocks[each].node
    }
}
