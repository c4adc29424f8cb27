//! What would a plan's run be like, at a size that no machine here has?
//!
//! [`simulate`] drives the engines that every target runs, one for each site, with a queue of events in virtual time.
//! How long calls and sends take comes from the federation's costs, by the same model as the plan's estimate; what that
//! leaves out happens here: messages queue for a link, calls for a site, and sites and calls fail.

mod report;
mod run;
mod scenario;
mod value;

pub use report::{ChainStep, Errors, LinkUse, Simulated, SiteUse, explain};
pub use run::simulate;
pub use scenario::{Failing, Scenario};
