//! Which states does a firing go through, and what moves it from one to the next?
//!
//! [`Move`] is the whole declaration: the engine changes no state but by one of them, the diagram in
//! `docs/architecture.md` is generated from it, and the property tests take each.

use super::Input;

/// One transition in one frame.
pub(super) enum Firing<V> {
    /// Some of its inputs are missing.
    Waiting {
        /// What has come to each of its places, and last, in a block, whether that was entered.
        inputs: Vec<Option<Input<V>>>,
        /// How many have not come.
        missing: usize,
    },
    /// The host runs it.
    Running,
    /// It is for the engine itself to carry out.
    Due,
    /// It has fired, and refuses whatever comes.
    Fired,
}

/// The name of a firing's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Before its first token, and after the end of its parameter set.
    Absent,
    /// Some of its inputs are missing.
    Waiting,
    /// The host runs it.
    Running,
    /// It is for the engine itself to carry out.
    Due,
    /// It has fired.
    Fired,
}

/// All that can change the state of a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The first token for it, or for its block, is there.
    Begin,
    /// A token came, and others are missing.
    Fill,
    /// The last token came, and the host has to run it.
    Call,
    /// The last token came, and the engine has to carry it out: a step of its own, or an error that passes.
    Take,
    /// The last token came, and it is the application's.
    Yield,
    /// The host has told how it ended.
    Complete,
    /// The engine has come to it.
    CarryOut,
    /// The last firing of its parameter set is over.
    Forget,
    /// The same, and its block was never entered.
    LeaveOut,
}

impl Move {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Begin,
        Self::Fill,
        Self::Call,
        Self::Take,
        Self::Yield,
        Self::Complete,
        Self::CarryOut,
        Self::Forget,
        Self::LeaveOut,
    ];

    /// The state it leaves, what happens, and the state it leads to.
    pub const fn declared(self) -> (State, &'static str, State) {
        match self {
            Self::Begin => (State::Absent, "its first token is there", State::Waiting),
            Self::Fill => (State::Waiting, "a token came, others are missing", State::Waiting),
            Self::Call => (State::Waiting, "the last token came: the host runs it", State::Running),
            Self::Take => (State::Waiting, "the last token came: the engine carries it out", State::Due),
            Self::Yield => (State::Waiting, "the last token came: it is the application's", State::Fired),
            Self::Complete => (State::Running, "complete", State::Fired),
            Self::CarryOut => (State::Due, "the engine has come to it", State::Fired),
            Self::Forget => (State::Fired, "its parameter set is over", State::Absent),
            Self::LeaveOut => (State::Waiting, "its parameter set is over, its block was not entered", State::Absent),
        }
    }

    /// All of them as a diagram for documents, in Mermaid's notation.
    #[cfg(test)]
    fn diagram() -> String {
        let named = |state| match state {
            State::Absent => "[*]".to_owned(),
            state => format!("{state:?}"),
        };
        let mut lines = vec!["stateDiagram-v2".to_owned()];
        for declared in Self::ALL.map(Self::declared) {
            lines.push(format!("    {} --> {}: {}", named(declared.0), named(declared.2), declared.1));
        }
        lines.join("\n") + "\n"
    }
}

/// How often each move was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves([u64; Move::ALL.len()]);

impl Moves {
    pub fn count(&mut self, made: Move) {
        self.0[made as usize] += 1;
    }

    pub fn of(&self, made: Move) -> u64 {
        self.0[made as usize]
    }
}

impl<V> Firing<V> {
    /// One that has had nothing yet.
    pub fn begin(slots: usize, moves: &mut Moves) -> Self {
        moves.count(Move::Begin);
        Self::Waiting { inputs: (0..slots).map(|_| None).collect(), missing: slots }
    }

    pub fn state(&self) -> State {
        match self {
            Self::Waiting { .. } => State::Waiting,
            Self::Running => State::Running,
            Self::Due => State::Due,
            Self::Fired => State::Fired,
        }
    }

    /// Makes a declared move; `false`, and nothing is changed, where it is not one of this state.
    pub fn make(&mut self, made: Move, moves: &mut Moves) -> bool {
        let (from, _, to) = made.declared();
        if self.state() != from {
            return false;
        }
        moves.count(made);
        match to {
            State::Running => *self = Self::Running,
            State::Due => *self = Self::Due,
            State::Fired => *self = Self::Fired,
            // One that waits keeps what it has; one that is absent is dropped by whoever holds it.
            State::Waiting | State::Absent => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_have_the_diagram_as_it_is_declared() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/architecture.md");
        let text = std::fs::read_to_string(path).expect("the documents are beside the crates");
        let diagram = format!("```mermaid\n{}```\n", Move::diagram());
        assert!(text.contains(&diagram), "docs/architecture.md must have this diagram:\n{diagram}");
    }
}
