//! Which rules does the API tell with the line that breaks them, and the planner hold every pipeline to again?
//!
//! Each is here once, with its words; the API asks through the native module. Who asks says where things stand: the API
//! knows lines, the planner only nodes.

use std::fmt;

/// What breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The planner's code for it.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

/// One use of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceUse {
    /// Whether tokens come out of it, rather than go in.
    pub yields: bool,
    /// Whether it says that there may be others.
    pub multiuse: bool,
    /// Where it stands, such as `at f.py:3`.
    pub at: String,
}

/// Whether code made for one version of a federation's API (`X.Y.Z`) understands the other: that is, whether X is the same.
pub fn same_api(one: &str, other: &str) -> bool {
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    major(one) == major(other)
}

/// Why a place that was used before cannot also be used so.
pub fn place_conflict(place: &str, first: &PlaceUse, next: &PlaceUse) -> Option<Broken> {
    let PlaceUse { yields, multiuse, at } = first;
    if *yields != next.yields {
        return Some(Broken {
            code: "plan-place-shared",
            message: format!("the place '{place}' is used {at} in the other direction"),
            help: "a parameter place and a yield place cannot share a name",
        });
    }
    let kind = if *yields { "yield" } else { "parameter" };
    (!(*multiuse && next.multiuse)).then(|| Broken {
        code: "plan-place-reused",
        message: format!("the {kind} place '{place}' is used already, {at}"),
        help: "where a place is meant to be used more than once, every use says multiuse=True",
    })
}

/// That a node is used outside of the body that makes it, which is `around`'s, or of its own body, if it is a loop. `kind`
/// is what has the body, such as `ForEach`.
pub fn out_of_block(node: &str, around: Option<&str>, kind: &str) -> Broken {
    Broken {
        code: "plan-out-of-block",
        message: match around {
            None => format!("{node} stands for its current element, which only its body has"),
            Some(around) => format!("this uses {node} in the body of {around}, outside of that body"),
        },
        help: match kind {
            "If" | "otherwise" => "use it in that body, as where that does not run it has no value",
            "TryFromCache" => {
                "what the body gives to cache(…) is the value of the TryFromCache itself, which can be used here"
            }
            "EachSite" => "its collect(node) puts its results together",
            "Repeat" => "what is given to its next(…) can be had after it, as its result(…)",
            _ => "a ForEach's collect(node) puts its results together",
        },
    }
}
