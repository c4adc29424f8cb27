//! What do several targets need? Values, nets that a planner made, and inputs that are a row of messages.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use dfm_net::{Comparison, Failure, Form, Net, Outcome, Selector, Step, Value, Wrong};
use dfm_plan::{FedInfo, Options, Pipeline, plan_and_estimate};
use dfm_runtime::{Call, Event, Host, Incoming, Leaving, Outgoing, Site, TransferError};

const FEDERATION: &str = include_str!("../../tests/python/small/federation.dfm.yaml");
/// The configurations that it refers to.
const CLINICS: &str = include_str!("../../examples/clinics/clinics/configs/federation.dfm.yaml");
const OFFICES: &str = include_str!("../../examples/offices/offices/configs/federation.dfm.yaml");
/// Where the seeds are that the honest encoders write.
const SEEDS: &str = "target/fuzz/seeds";
/// The application's site, in what is planned here.
pub const HOME: &str = "home";

/// The federation of the tests.
pub static FED: LazyLock<FedInfo> = LazyLock::new(|| {
    let loaded = federation();
    FedInfo::from_json(&dfm_codegen::fed_info(&loaded).to_string()).expect("what dfm writes")
});

/// The configuration of the tests.
pub fn federation() -> dfm_config::Federation {
    let fetch = |address: &str| {
        let text = match address {
            "http://f/clinics.dfm.yaml" => CLINICS,
            "http://f/offices.dfm.yaml" => OFFICES,
            _ => FEDERATION,
        };
        Ok(text.as_bytes().to_vec())
    };
    let options = dfm_config::Options { patch: None, fetch: Some(fetch), ..Default::default() };
    dfm_config::load(Path::new("http://f/f.dfm.yaml"), &options).expect("the tests load it too").federation
}

/// The nets of each of the tests' pipelines, in the order of their files' names.
pub static PLANS: LazyLock<Vec<Vec<Net>>> = LazyLock::new(|| {
    let files = std::fs::read_dir("fuzz/seeds/pipeline").expect("started where the repository is");
    let mut files: Vec<_> = files.map(|file| file.expect("it can be listed").path()).collect();
    files.sort();
    let plan = |path| {
        let text = std::fs::read_to_string(path).expect("it can be read");
        let pipeline = Pipeline::from_json(&text).ok()?;
        let (plan, _) = plan_and_estimate(&FED, &pipeline, HOME, &Options::default()).ok()?;
        Some(plan.nets)
    };
    files.iter().filter_map(plan).collect()
});

/// Writes a target's seeds, for the fuzzer to read before it begins.
pub fn write_seeds(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) {
    let folder = Path::new(SEEDS).join(target);
    std::fs::create_dir_all(&folder).expect("target is ours");
    for (number, seed) in seeds.into_iter().enumerate() {
        std::fs::write(folder.join(number.to_string()), seed).expect("target is ours");
    }
}

/// One message of an input, and what is to be done with it.
pub struct Said<'a> {
    /// Who says it, or what is to be done.
    pub how: u8,
    /// The message.
    pub packet: &'a [u8],
}

/// The messages of an input: each after its `how` and its length in two bytes. What is cut short goes as far as it goes.
pub fn messages(mut input: &[u8]) -> impl Iterator<Item = Said<'_>> {
    std::iter::from_fn(move || {
        let (&[how, low, high], rest) = input.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        input = rest;
        Some(Said { how, packet })
    })
}

/// An input of these messages; those that are too long are left out.
pub fn input<'a>(said: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut input = vec![];
    for (how, packet) in said {
        if let Ok(length) = u16::try_from(packet.len()) {
            input.push(how);
            input.extend(length.to_le_bytes());
            input.extend(packet);
        }
    }
    input
}

/// A value that says nothing but how many elements it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain(pub Vec<u8>);

impl Value for Plain {
    fn select(&self, path: &[Selector]) -> Result<Self, Wrong> {
        match path.len() > self.0.len() {
            true => Err(Wrong::new("SelectError", "there is no such part")),
            false => Ok(self.clone()),
        }
    }

    fn elements(&self) -> Result<Vec<Self>, Wrong> {
        match self.0.first() {
            None => Err(Wrong::new("TypeError", "nothing has no elements")),
            Some(count) => Ok(vec![Self(self.0[1..].to_vec()); usize::from(*count) % 8]),
        }
    }

    fn failed(_: &[Arc<Failure>]) -> Result<Self, Wrong> {
        Ok(Self(vec![]))
    }

    fn build(_: &Form, parts: Vec<Self>) -> Result<Self, Wrong> {
        Ok(Self(vec![u8::try_from(parts.len()).unwrap_or(u8::MAX)]))
    }

    fn literal(_: &serde_json::Value) -> Result<Self, Wrong> {
        Ok(Self(vec![2, 1]))
    }

    fn compare(&self, _: Comparison, other: &Self) -> Result<bool, Wrong> {
        Ok(self.0 < other.0)
    }

    fn truth(&self) -> Result<bool, Wrong> {
        Ok(!self.0.is_empty())
    }
}

/// Whoever holds such values.
pub struct Plainly;

impl Host for Plainly {
    type Value = Plain;

    fn encode(&mut self, value: &Plain, _: Option<&Leaving>) -> Result<Outgoing, TransferError> {
        Ok(Outgoing { head: value.0.clone(), buffers: vec![], warning: None, digest: None })
    }

    fn now(&self) -> f64 {
        1e9
    }

    fn decode(&mut self, value: Incoming, _from: &str) -> Result<Plain, TransferError> {
        match value.head.len() > 64 {
            true => Err(TransferError::Value("it is too long".to_owned())),
            false => Ok(Plain(value.head)),
        }
    }
}

/// Has some of the calls that are due end in ways of which `how` chooses, and forgets what happened.
pub fn turn(site: &mut Site<Plainly>, how: u8) -> Vec<Event<Plain>> {
    for _ in 0..16 {
        let Some(call) = site.next_call() else { break };
        run(site, &call, how);
    }
    site.take_events()
}

fn run(site: &mut Site<Plainly>, call: &Call<Plain>, how: u8) {
    let value = call.inputs.iter().flatten().next().cloned().unwrap_or(Plain(vec![3]));
    let looks_up = matches!(site.step(call.id), Some(Step::LookUp { .. }));
    match how % 4 {
        _ if looks_up => {
            site.complete(
                call.id,
                if how.is_multiple_of(2) { Outcome::Found(value) } else { Outcome::NotFound(value) },
            );
        }
        0 => site.complete(call.id, Outcome::Value(value)),
        1 => site.fail_call(call.id, "ValueError".to_owned(), "no".to_owned(), String::new()),
        2 => {
            for _ in 0..3 {
                site.item(call.id, &value);
            }
            let list = site.gathers(call.id).then_some(value);
            site.complete(call.id, Outcome::Streamed(list));
        }
        _ => {}
    }
}
