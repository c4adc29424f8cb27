//! Which steps at which sites is a sum made of that nobody sees in parts?
//!
//! Each site of an `EachSite` says its keys, shares its secrets, masks its numbers, says of which contributions it was told,
//! and tells the shares that take the masks off their sum. What sites say is put together at the application's site: so all
//! of them are told the same, and none that is lost takes what others have said with it. The steps are operations that
//! every site has. None of them trusts the others, or this net.

use dfm_net::{Net, NodeId, OnError, SECURE_SUM, Selector, Unsound, check_sums};
use dfm_sums::{Terms, least_against};
use indexmap::IndexMap;
use serde_json::json;

use crate::check::shown;
use crate::each_site::{self, shown_name};
use crate::{
    Argument, ComputeCost, EachSiteStatement, FedInfo, GatheredStatement, Offer, OperationInfo, OperationStatement,
    Pipeline, Problem, SecureSumStatement, SiteChoice, Statement,
};

/// The operations, each with its parameters.
const STEPS: [(&str, &[&str]); 7] = [
    ("keys", &["terms"]),
    ("shares", &["sum", "keys"]),
    ("masked", &["sum", "shares", "value"]),
    ("added", &["masked"]),
    ("agreed", &["sum", "survivors"]),
    ("told", &["sum", "agreed"]),
    ("total", &["terms", "keys", "added", "told", "mean"]),
];

/// Whether an operation is a step of such a sum.
pub(crate) fn is_step(operation: &str) -> bool {
    operation.starts_with(SECURE_SUM)
}

/// A federation whose sites all offer the steps.
pub(crate) fn with_steps(fed: &FedInfo) -> FedInfo {
    let mut fed = fed.clone();
    for (step, parameters) in STEPS {
        let operation = format!("{SECURE_SUM}{step}");
        let parameters: Vec<String> = parameters.iter().map(|name| (*name).to_owned()).collect();
        for site in fed.sites.values_mut() {
            site.offers.push(Offer {
                operation: operation.clone(),
                provider: None,
                required: parameters.clone(),
                parameters: parameters.clone(),
                compute_cost: ComputeCost::default(),
            });
        }
        let info =
            OperationInfo { description: String::new(), returns: None, parameters: IndexMap::new(), reduce: None };
        fed.operations.insert(operation, info);
    }
    fed
}

/// What a sum becomes.
pub(crate) struct Expanded {
    pub statements: Vec<Statement>,
    /// The nodes that are at one of the sites.
    pub at_sites: Vec<String>,
    /// Whether it does without some of the sites.
    pub spares: bool,
    /// What sites refuse unless their policies allow it.
    pub warning: Option<String>,
}

/// Where the value stands that a site gives.
pub(crate) struct Given {
    pub site: String,
    pub block: Option<NodeId>,
    pub value: Argument,
}

/// The steps of a sum of what sites give, for an application at the site `home`.
///
/// # Errors
/// On these terms, nothing would stay hidden, or there would be no sum.
pub(crate) fn expand(
    sum: &SecureSumStatement,
    each: &EachSiteStatement,
    given: Vec<Given>,
    home: &str,
) -> Result<Expanded, Problem> {
    let refused = |message: String| Problem::new("plan-secure-sum", Some(&sum.node), message, None);
    let sites: Vec<String> = given.iter().map(|one| one.site.clone()).collect();
    if each.errors != OnError::Fail {
        let each = shown(&each.node);
        let message = format!("it says of no number of sites that it suffices, nor does its EachSite {each}");
        let help = "say EachSite(at_least=…), without errors".to_owned();
        return Err(Problem { help: Some(help), ..refused(message) });
    }
    let least = each.at_least.unwrap_or(sites.len() as u32);
    let known = Terms::new("", sites.clone(), least as usize, sum.bound, sum.precision);
    let known = known.map_err(|why| refused(why.to_string()))?;
    let warning = (known.dishonest() == 0).then(|| {
        format!(
            "in the secure sum {}, {least} of {} sites suffice: one of them that deceives could learn, with the \
             application, what another one adds; sites refuse that unless their policies say `leaves.sums.dishonest: 0`; \
             say at_least={}",
            shown(&sum.node),
            sites.len(),
            least_against(1, sites.len())
        )
    });
    let name = shown_name(&sum.node);
    let terms = json!({"name": name, "sites": sites, "least": least, "bound": sum.bound, "precision": sum.precision});
    let steps = Steps { sum, name, home, sites, least };
    let literal = |value| Argument::Literal { literal: value };
    let mut made = Expanded { statements: vec![], at_sites: vec![], spares: each.at_least.is_some(), warning };
    let all = |part: &str| [Selector::Key(part.to_owned())];

    for site in &steps.sites {
        made.add(steps.at("keys", site, [("terms", literal(terms.clone()))]));
    }
    made.statements.push(steps.together("all-keys", "keys", &all("said")));
    for site in &steps.sites {
        let keys = steps.whole("all-keys");
        made.add(steps.at("shares", site, [("sum", steps.part("keys", site, "sum")), ("keys", keys)]));
    }
    for one in given {
        let for_it = format!("shares-for@{}", one.site);
        let to_it = [Selector::Key("said".to_owned()), Selector::Key(one.site.clone())];
        made.statements.push(steps.together(&for_it, "shares", &to_it));
        let shares = steps.whole(&for_it);
        let sum = steps.part("shares", &one.site, "sum");
        let mut masked = steps.at("masked", &one.site, [("sum", sum), ("shares", shares), ("value", one.value)]);
        masked.block = one.block;
        made.add(masked);
    }
    made.statements.push(steps.together("all-masked", "masked", &[]));
    made.statements.push(steps.at_home("added", [("masked", steps.whole("all-masked"))]));
    for site in &steps.sites {
        let survivors = steps.of("added", &all("sites"));
        made.add(steps.at("agreed", site, [("sum", steps.part("shares", site, "sum")), ("survivors", survivors)]));
    }
    made.statements.push(steps.together("all-agreed", "agreed", &all("said")));
    for site in &steps.sites {
        let agreed = steps.whole("all-agreed");
        made.add(steps.at("told", site, [("sum", steps.part("agreed", site, "sum")), ("agreed", agreed)]));
    }
    made.statements.push(steps.together("all-told", "told", &[]));
    let total = [
        ("terms", literal(terms)),
        ("keys", steps.whole("all-keys")),
        ("added", steps.whole("added")),
        ("told", steps.whole("all-told")),
        ("mean", literal(json!(sum.mean))),
    ];
    made.statements.push(steps.total(total));
    Ok(made)
}

/// Checks that what sites give is what their own operations have made, as each of them does before it runs its net. The
/// application's own, which is the first, runs whatever it is asked for.
///
/// # Errors
/// Which sum has something else.
pub(crate) fn check_given(
    pipeline: &Pipeline,
    expanded: &each_site::Expanded<'_>,
    nets: &[Net],
) -> Result<(), Problem> {
    let refused = nets[1..].iter().find_map(|net| check_sums(net).err());
    let Some(Unsound::GivenToSum { step, .. }) = refused else { return Ok(()) };
    let node = expanded.origin(&step.node);
    let message = format!(
        "site '{}' adds a value that no operation of that site has made: it is from a cache, the elements of a loop, another \
         site or the pipeline, and sites refuse that",
        step.site
    );
    let help = "pass it through an operation of the site first, in the EachSite's body, and add up what that makes";
    let problem = Problem::new("plan-secure-sum", Some(node), message, Some(help.to_owned()));
    let value =
        pipeline.statements.iter().find_map(|statement| match statement {
            Statement::SecureSum(SecureSumStatement {
                node: sum, value: Argument::Node { node: value, .. }, ..
            }) if sum == node => Some(value),
            _ => None,
        });
    Err(value.into_iter().fold(problem, |problem, value| problem.also(value, "gives the value".to_owned())))
}

impl Expanded {
    fn add(&mut self, step: OperationStatement) {
        self.at_sites.push(shown_name(&step.node));
        self.statements.push(Statement::Operation(step));
    }
}

/// How the steps of one sum are written.
struct Steps<'s> {
    sum: &'s SecureSumStatement,
    name: String,
    home: &'s str,
    sites: Vec<String>,
    least: u32,
}

impl Steps<'_> {
    fn id(&self, step: &str) -> NodeId {
        NodeId::Name(format!("{}.{step}", self.name))
    }

    fn operation<const N: usize>(
        &self,
        node: NodeId,
        step: &str,
        site: &str,
        arguments: [(&str, Argument); N],
    ) -> OperationStatement {
        OperationStatement {
            node,
            operation: format!("{SECURE_SUM}{step}"),
            site: SiteChoice::Name(site.to_owned()),
            provider: None,
            after: vec![],
            arguments: arguments.into_iter().map(|(name, given)| (name.to_owned(), given)).collect(),
            block: self.sum.block.clone(),
            retry: None,
            timeout: None,
            // Nothing of it is put together on its way.
            meets: Some(vec![]),
        }
    }

    fn at<const N: usize>(&self, step: &str, site: &str, arguments: [(&str, Argument); N]) -> OperationStatement {
        self.operation(self.id(&format!("{step}@{site}")), step, site, arguments)
    }

    fn at_home<const N: usize>(&self, step: &str, arguments: [(&str, Argument); N]) -> Statement {
        Statement::Operation(self.operation(self.id(step), step, self.home, arguments))
    }

    fn total<const N: usize>(&self, arguments: [(&str, Argument); N]) -> Statement {
        Statement::Operation(self.operation(self.sum.node.clone(), "total", self.home, arguments))
    }

    /// What is said at each site, together at home.
    fn together(&self, name: &str, step: &str, path: &[Selector]) -> Statement {
        let part = |site: &String| {
            let node = self.id(&format!("{step}@{site}"));
            (site.clone(), Argument::Node { node, path: path.to_vec() })
        };
        Statement::Gathered(GatheredStatement {
            node: self.id(name),
            block: self.sum.block.clone(),
            after: vec![],
            parts: self.sites.iter().map(part).collect(),
            at_least: self.least,
            keep: false,
            missing: false,
            at_home: true,
        })
    }

    fn of(&self, step: &str, path: &[Selector]) -> Argument {
        Argument::Node { node: self.id(step), path: path.to_vec() }
    }

    fn whole(&self, step: &str) -> Argument {
        self.of(step, &[])
    }

    fn part(&self, step: &str, site: &str, key: &str) -> Argument {
        self.of(&format!("{step}@{site}"), &[Selector::Key(key.to_owned())])
    }
}
