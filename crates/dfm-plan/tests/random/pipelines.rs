//! Which pipelines are tried at random?

use dfm_plan::{FedInfo, Pipeline};
use serde_json::{Value as Json, json};

const SITES: u64 = 3;

/// Random numbers, the same for the same seed.
pub struct Picks(pub u64);

impl Picks {
    pub fn pick(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

struct Writer {
    picks: Picks,
    /// How many sites operations and caches name.
    sites: u64,
    left: usize,
    next: usize,
    /// The `EachSite` whose body is being written.
    each: Option<usize>,
    /// Whether rounds lie in blocks and in each other, and some collections are put together.
    newer: bool,
    statements: Vec<Json>,
}

/// Nodes that later statements of a block may use.
type Scope = Vec<usize>;

impl Writer {
    fn pick(&mut self, below: u64) -> u64 {
        self.picks.pick(below)
    }

    fn node(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn one_of(&mut self, scope: &Scope) -> usize {
        let at = self.pick(scope.len() as u64) as usize;
        // Later nodes depend on more.
        let other = self.pick(scope.len() as u64) as usize;
        scope[at.max(other)]
    }

    fn param(&mut self) -> Json {
        let param = ["number", "list"][self.pick(2) as usize];
        json!({"param": param, "multiuse": true})
    }

    fn argument(&mut self, scope: &Scope) -> Json {
        self.nested(scope, 2)
    }

    /// A value that may be made of others, so deep.
    fn nested(&mut self, scope: &Scope, depth: usize) -> Json {
        if depth > 0 && self.pick(7) == 0 {
            let parts: Vec<Json> = (0..self.pick(4)).map(|_| self.nested(scope, depth - 1)).collect();
            return match self.pick(3) {
                0 => json!({"list": parts}),
                1 => json!({"tuple": parts}),
                _ => {
                    let pairs: Vec<Json> = (0..).zip(parts).map(|(at, part)| json!([{"literal": at}, part])).collect();
                    json!({"dict": pairs})
                }
            };
        }
        if scope.is_empty() || self.pick(8) == 0 {
            return match self.pick(4) {
                0 => self.param(),
                1 => json!({"literal": self.pick(5)}),
                2 => json!({"literal": []}),
                _ => json!({"literal": [1, 2, self.pick(5)]}),
            };
        }
        let path = if self.pick(6) == 0 { json!([{"index": self.pick(2)}]) } else { json!([]) };
        json!({"node": self.one_of(scope), "path": path})
    }

    /// What a round hands to the next one: in blocks what an operation makes, which does not grow from round to round.
    fn handed_on(&mut self, depth: usize, scope: &Scope, made: usize) -> Json {
        if depth > 2 { self.argument(scope) } else { json!({"node": made, "path": []}) }
    }

    fn after(&mut self, scope: &Scope) -> Json {
        if scope.is_empty() || self.pick(5) > 0 { json!([]) } else { json!([self.one_of(scope)]) }
    }

    fn condition(&mut self, scope: &Scope, depth: usize) -> Json {
        match self.pick(if depth > 0 { 7 } else { 4 }) {
            0 => json!({"truth": self.argument(scope)}),
            1..4 => {
                let all = ["equal", "not-equal", "greater", "greater-or-equal", "less", "less-or-equal"];
                let compare = all[self.pick(6) as usize];
                json!({"compare": compare, "left": self.argument(scope), "right": {"literal": self.pick(6)}})
            }
            4 => json!({"and": [self.condition(scope, depth - 1), self.condition(scope, depth - 1)]}),
            5 => json!({"or": [self.condition(scope, depth - 1), self.condition(scope, depth - 1)]}),
            _ => json!({"not": self.condition(scope, depth - 1)}),
        }
    }

    fn operation(&mut self, block: &Json, node: usize, after: &Json, scope: &Scope) {
        let count = self.pick(3);
        let arguments: serde_json::Map<String, Json> =
            (0..count).map(|at| (format!("a{at}"), self.argument(scope))).collect();
        let site = match self.pick(self.sites + 1) {
            0 | 1 if self.each.is_some() => json!({"each_site": self.each}),
            0 if self.sites > 1 => json!({"best_of": null}),
            site => json!(format!("site{}", site.saturating_sub(1))),
        };
        let mut statement = json!({"kind": "operation", "node": node, "block": block, "after": after,
            "operation": "t.Op", "site": site, "provider": null, "arguments": arguments});
        if self.pick(5) == 0 {
            statement["retry"] = json!({"times": self.pick(3), "backoff": 1});
        }
        if self.pick(5) == 0 {
            statement["timeout"] = json!(2);
        }
        self.statements.push(statement);
    }

    /// Puts together what sites made, where nothing else uses that.
    fn sum(&mut self, block: &Json, gather: usize) -> usize {
        let node = self.node();
        let site = match self.pick(self.sites + 1) {
            0 if self.sites > 1 => json!({"best_of": null}),
            site => json!(format!("site{}", site.saturating_sub(1))),
        };
        self.statements.push(json!({"kind": "operation", "node": node, "block": block, "after": [],
            "operation": "t.Sum", "site": site, "provider": null, "arguments": {"parts": {"node": gather, "path": []}}}));
        node
    }

    fn cache(&mut self, block: &Json, node: usize, after: &Json, scope: &Scope, depth: usize) -> Scope {
        let key: Vec<Json> = (0..1 + self.pick(2)).map(|_| self.argument(scope)).collect();
        let site = if self.pick(3) == 0 { json!(format!("site{}", self.pick(self.sites))) } else { Json::Null };
        self.statements.push(json!({"kind": "try_from_cache", "node": node, "block": block, "after": after,
            "key": key, "site": site}));
        let (mut inner, mut own) = self.block(&json!(node), scope, depth);
        if inner.is_empty() {
            inner.push(self.node());
            self.operation(&json!(node), inner[0], &json!([]), scope);
            own.push(inner[0]);
        }
        let (store, after, value) = (self.node(), self.after(&inner), self.one_of(&inner));
        self.statements.push(json!({"kind": "write_to_cache", "node": store, "block": node, "cache": node,
            "after": after, "value": {"node": value, "path": []}}));
        own
    }

    /// Writes a block's statements; the nodes that the block may use at its end, and those that its branches and itself
    /// make, for collecting.
    fn block(&mut self, block: &Json, around: &Scope, depth: usize) -> (Scope, Scope) {
        let mut scope = around.clone();
        let mut own = vec![];
        let count = 1 + self.pick(5);
        for _ in 0..count {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let node = self.node();
            let after = self.after(&scope);
            match self.pick(16) {
                0..2 if !scope.is_empty() && self.each.is_none() => {
                    let value = match self.pick(8) {
                        0 => self.param(),
                        1 => {
                            let first = json!({"node": self.one_of(&scope), "path": []});
                            json!({"list": [first, self.argument(&scope)]})
                        }
                        _ => json!({"node": self.one_of(&scope), "path": []}),
                    };
                    self.statements.push(json!({"kind": "yield", "node": node, "block": block, "after": after,
                        "place": format!("y{node}"), "multiuse": false, "value": value}));
                }
                2..5 if depth > 0 => {
                    let sequence = self.argument(&scope);
                    self.statements.push(json!({"kind": "for_each", "node": node, "block": block, "after": after,
                        "sequence": sequence}));
                    let mut inner = scope.clone();
                    inner.push(node);
                    let (_, mut made) = self.block(&json!(node), &inner, depth - 1);
                    made.push(node);
                    for _ in 0..self.pick(3) {
                        let collect = self.node();
                        let errors = ["fail", "skip", "keep"][self.pick(3) as usize];
                        let value = json!({"node": self.one_of(&made), "path": []});
                        self.statements.push(json!({"kind": "collect", "node": collect, "block": block, "after": [],
                            "for_each": node, "value": value, "errors": errors}));
                        scope.push(collect);
                        own.push(collect);
                    }
                }
                5..7 if depth > 0 => {
                    let condition = self.condition(&scope, 2);
                    self.statements.push(json!({"kind": "if", "node": node, "block": block, "after": after,
                        "condition": condition}));
                    own.extend(self.block(&json!(node), &scope, depth - 1).1);
                    if self.pick(2) == 0 {
                        let other = self.node();
                        self.statements.push(json!({"kind": "otherwise", "node": other, "block": block, "if": node}));
                        own.extend(self.block(&json!(other), &scope, depth - 1).1);
                    }
                }
                12..14 if depth > 0 && self.each.is_none() => {
                    let named = self.sites == 1 || self.pick(3) == 0;
                    let sites: Vec<String> = (0..self.sites)
                        .map(|at| format!("site{at}"))
                        .skip(self.pick(2) as usize % self.sites as usize)
                        .collect();
                    let at_least =
                        if self.pick(2) == 0 { json!(1 + self.pick(sites.len() as u64)) } else { Json::Null };
                    let errors = ["fail", "skip", "keep"][self.pick(3) as usize];
                    self.statements.push(json!({"kind": "each_site", "node": node, "block": block, "after": after,
                        "offers": ["t.Op"], "sites": named.then_some(sites), "at_least": at_least, "errors": errors}));
                    self.each = Some(node);
                    let (_, mut made) = self.block(&json!(node), &scope, depth - 1);
                    if made.is_empty() {
                        made.push(self.node());
                        self.operation(&json!(node), made[0], &json!([]), &scope);
                    }
                    self.each = None;
                    for _ in 0..1 + self.pick(2) {
                        let gather = self.node();
                        let path = if self.pick(6) == 0 { json!([{"index": self.pick(2)}]) } else { json!([]) };
                        let value = json!({"node": self.one_of(&made), "path": path});
                        let missing = self.pick(4) == 0;
                        self.statements.push(json!({"kind": "gather", "node": gather, "block": block, "after": [],
                            "each_site": node, "value": value, "missing": missing}));
                        let made = if self.newer && self.pick(2) == 0 { self.sum(block, gather) } else { gather };
                        scope.push(made);
                        own.push(made);
                    }
                }
                14 if depth > if self.newer { 0 } else { 2 } => {
                    let start = json!({"a": self.argument(&scope), "b": self.argument(&scope)});
                    let at_most = 1 + self.pick(2);
                    self.statements.push(json!({"kind": "repeat", "node": node, "block": block, "after": after,
                        "start": start, "at_most": at_most}));
                    let mut inner = scope.clone();
                    inner.push(node);
                    let (mut inner, mut made) = self.block(&json!(node), &inner, depth - 1);
                    let carried = self.node();
                    self.operation(&json!(node), carried, &json!([]), &inner);
                    inner.push(carried);
                    made.push(carried);
                    let again = self.node();
                    let one = |node: usize, name: &str| json!({"node": node, "path": [{"key": name}]});
                    let b = if self.pick(2) == 0 { one(node, "b") } else { self.handed_on(depth, &inner, carried) };
                    let next = json!({"a": self.handed_on(depth, &inner, carried), "b": b});
                    let until = if self.pick(3) == 0 { Json::Null } else { self.condition(&inner, 1) };
                    self.statements.push(json!({"kind": "again", "node": again, "block": node, "after": [],
                        "repeat": node, "next": next, "until": until}));
                    let outcome = self.node();
                    self.statements.push(json!({"kind": "outcome", "node": outcome, "block": block, "repeat": node}));
                    scope.push(outcome);
                    own.push(outcome);
                    if self.pick(2) == 0 {
                        let collect = self.node();
                        let errors = ["fail", "skip", "keep"][self.pick(3) as usize];
                        let value = json!({"node": self.one_of(&made), "path": []});
                        self.statements.push(json!({"kind": "collect", "node": collect, "block": block, "after": [],
                            "for_each": node, "value": value, "errors": errors}));
                        scope.push(collect);
                        own.push(collect);
                    }
                    // What rounds carry is named, so that most selections find something.
                    if self.pick(2) == 0 {
                        let used = self.node();
                        let path = json!([{"index": 0}, {"key": "b"}]);
                        self.statements.push(json!({"kind": "operation", "node": used, "block": block, "after": [],
                            "operation": "t.Op", "site": "site0", "provider": null,
                            "arguments": {"a0": {"node": outcome, "path": path}}}));
                        scope.push(used);
                        own.push(used);
                    }
                }
                7..9 if depth > 0 => {
                    own.extend(self.cache(block, node, &after, &scope, depth - 1));
                    scope.push(node);
                    own.push(node);
                }
                _ => {
                    self.operation(block, node, &after, &scope);
                    scope.push(node);
                    own.push(node);
                }
            }
        }
        (scope, own)
    }
}

/// A pipeline of so many statements and the blocks around them; one of five names no site but the home.
pub fn pipeline(seed: u64, size: usize) -> Pipeline {
    written(seed, size, true)
}

/// What a seed meant that found something before there were rounds in blocks, and collections that are put together.
pub fn earlier_pipeline(seed: u64, size: usize) -> Pipeline {
    written(seed, size, false)
}

fn written(seed: u64, size: usize, newer: bool) -> Pipeline {
    let mut picks = Picks(seed);
    let sites = if picks.pick(5) == 0 { 1 } else { SITES };
    let mut writer = Writer { picks, sites, left: size, next: 0, each: None, newer, statements: vec![] };
    while writer.left > 0 {
        writer.block(&Json::Null, &vec![], 3);
    }
    let document = json!({"dfm_pipeline": 1, "mode": "execute", "statements": writer.statements});
    Pipeline::from_json(&document.to_string()).expect("it is written here")
}

/// Its sites differ in what they cost, so that operations without a site are at all of them.
pub fn federation() -> FedInfo {
    let site = |at: u64| {
        let offer = json!({"operation": "t.Op", "provider": null, "required": [], "parameters": ["a0", "a1"],
            "compute_cost": {"fixed_time": 3 - at, "compute_throughput": 1 + at, "output_factor": 1}});
        let sum = json!({"operation": "t.Sum", "provider": null, "required": ["parts"], "parameters": ["parts"],
            "compute_cost": {"compute_throughput": 0.01 * 10_f64.powf(at as f64)}});
        let near = json!({"fixed_time": 1, "bandwidth": 10});
        json!({"offers": [offer, sum], "send_cost": {"site0": near, "site1": near, "site2": near}})
    };
    let sites: serde_json::Map<String, Json> = (0..SITES).map(|at| (format!("site{at}"), site(at))).collect();
    let info = json!({"format": 1, "code_package": "t", "api_version": "1.0.0",
        "operations": {"t.Op": {"parameters": {}}, "t.Sum": {"parameters": {"parts": {"required": true}},
            "reduce": {"commutative": true}}}, "sites": sites});
    FedInfo::from_json(&info.to_string()).expect("it is written here")
}
