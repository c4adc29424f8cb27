//! How does a pipeline become one net for each site?
//!
//! [`plan`] checks the pipeline against what the federation offers, places each node at a site, and cuts the graph at
//! the borders between sites. It reads only what is public in a federation, and a [`Plan`] is plain data.

mod blocks;
mod check;
mod connections;
mod cost;
mod crossings;
mod cut;
mod discover;
mod each_site;
mod estimate;
mod explain;
mod fed_info;
mod followed;
mod graph;
mod lanes;
mod lead;
mod measure;
mod meet;
mod mermaid;
mod offers;
mod picture;
mod pipeline;
mod place;
mod plan;
mod problem;
mod rules;
mod saved;
mod search;
mod secure_sum;
mod streams;
mod suggest;

pub use crossings::{Crossing, crossings, leaving};
pub use discover::{DISCOVERY_MODE, discover, explain_discovery};
pub use estimate::{Estimate, EstimatedEdge, EstimatedNode, explain, shown_bytes, shown_seconds};
pub use fed_info::{ComputeCost, FedInfo, Offer, OperationInfo, ParameterInfo, Reduce, SendCost, SiteInfo};
pub use followed::{Followed, followed};
pub use measure::{MeasuredNode, MeasuredRun, compare, explain_run};
pub use mermaid::mermaid;
pub use picture::picture;
pub use pipeline::{
    AgainStatement, Argument, CollectStatement, Condition, EachSiteStatement, ForEachStatement, GatherStatement,
    GatheredStatement, IfStatement, Meeting, OperationStatement, OtherwiseStatement, OutcomeStatement, Pipeline,
    RepeatStatement, Retry, SecureSumStatement, SiteChoice, Statement, TryFromCacheStatement, WriteToCacheStatement,
    YieldStatement,
};
pub use plan::{Alternative, Options, Placement, Plan, plan, plan_and_estimate};
pub use problem::{Also, Problem};
pub use rules::{Broken, PlaceUse, out_of_block, place_conflict, same_api};
pub use saved::saved;
pub use suggest::suggested_costs;
