//! Which run of a pipeline's body does a token belong to?

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::hostile::MOST_LEVELS;

/// The address of one run: `[n]` for the n-th parameter set, one more number for each nested level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmallVec<[u32; 3]>")]
pub struct Frame(SmallVec<[u32; 3]>);

impl TryFrom<SmallVec<[u32; 3]>> for Frame {
    type Error = &'static str;

    /// The frame with these numbers, which another process has sent.
    fn try_from(levels: SmallVec<[u32; 3]>) -> Result<Self, Self::Error> {
        match levels.len() {
            0 => Err("a frame has one number at least"),
            1..=MOST_LEVELS => Ok(Self(levels)),
            _ => Err("a frame has more levels than blocks lie in each other"),
        }
    }
}

impl fmt::Display for Frame {
    /// Its numbers with dots between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, level) in self.0.iter().enumerate() {
            write!(f, "{}{level}", if at == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl Frame {
    /// The frame of the parameter set with this index, counted from 0.
    pub fn of_param_set(index: u32) -> Self {
        Self(SmallVec::from_slice(&[index]))
    }

    /// The frame of element `index` of a sequence that belongs to this frame.
    pub fn child(&self, index: u32) -> Self {
        let mut levels = self.0.clone();
        levels.push(index);
        Self(levels)
    }

    /// The frame this one is nested in; `None` for a parameter set's own.
    pub fn parent(&self) -> Option<Self> {
        (self.0.len() > 1).then(|| Self(SmallVec::from_slice(&self.0[..self.0.len() - 1])))
    }

    /// Whether `other` is nested, at any depth, in this frame.
    pub fn is_ancestor_of(&self, other: &Self) -> bool {
        other.0.len() > self.0.len() && other.0.starts_with(&self.0)
    }

    /// The frame of this many levels that this one is nested in; itself, if it has no more.
    pub fn prefix(&self, levels: usize) -> Self {
        Self(SmallVec::from_slice(&self.0[..levels.min(self.0.len())]))
    }

    /// The numbers, outermost first; never empty.
    pub fn levels(&self) -> &[u32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Frame;

    #[test]
    fn a_child_knows_its_parent_and_ancestors() {
        let outer = Frame::of_param_set(4);
        let inner = outer.child(0).child(7);
        assert_eq!(inner.levels(), [4, 0, 7]);
        assert_eq!(inner.parent(), Some(outer.child(0)));
        assert_eq!(outer.parent(), None);
        assert!(outer.is_ancestor_of(&inner));
        assert!(!outer.is_ancestor_of(&outer));
        assert!(!Frame::of_param_set(5).is_ancestor_of(&inner));
    }
}
