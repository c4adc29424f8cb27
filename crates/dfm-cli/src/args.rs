//! What can be written after `dfm`?

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;
use serde::Serialize;
use serde_json::Value;

use crate::candidates::{codes, federations, jobs, participants, sites};

/// dfm, the data federation mesh: pipelines over sites that keep their own data.
#[derive(Debug, Parser)]
#[command(name = "dfm", version, about, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Say more about what is done.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Say nothing but results and problems.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Write results and problems to stdout as JSON: one document on one line; a job that runs, is followed or replayed
    /// has one for each thing that it tells.
    #[arg(long, global = true)]
    pub json: bool,
    /// Whether to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: When,
    /// Use this registry of federations [default: the nearest federations.yaml, else the user's own].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep provisioned kits here [default: `workspace` beside the registry].
    #[arg(long, global = true, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Read what `$ref`s to URLs lead to [also: DFM_ALLOW_URL_REFS=1].
    #[arg(long, global = true)]
    pub allow_url_refs: bool,
    /// Read what `$ref`s to files below this folder lead to, beside the federation's own folder and the repository around
    /// it; may be repeated.
    #[arg(long, global = true, value_name = "DIR")]
    pub allow_refs: Vec<PathBuf>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work with federations.
    #[command(subcommand)]
    Fed(Fed),
    /// Run a whole federation on this machine, each site in its own process.
    #[command(subcommand)]
    Poc(Poc),
    /// Find the jobs of a running federation again, also those whose application is gone.
    #[command(subcommand)]
    Jobs(Jobs),
    /// Show federations and jobs on a page in the browser, on this machine alone, until Ctrl-C.
    Ui(Ui),
    /// Look after a site of your own.
    #[command(subcommand)]
    Site(Site),
    /// Have your shell complete what is written after `dfm`.
    #[command(subcommand)]
    Completion(Completion),
    /// Say what is installed, what is missing and what is running.
    Doctor,
    /// Say what the code of a problem means, what brings it about, and what to do.
    Explain {
        /// What stands in brackets before the problem, such as `config-unknown-key`.
        #[arg(add = ArgValueCandidates::new(codes))]
        code: String,
    },
    /// Show what has to change in code that was written for nv-dfm-core, or change it.
    Migrate(Migrate),
    /// Run a program for another dfm, and end it with that.
    #[command(hide = true)]
    Supervise(Supervise),
}

#[derive(Debug, clap::Args)]
pub struct Ui {
    /// Print the page's address without opening a browser.
    #[arg(long)]
    pub no_open: bool,
    /// Listen on this port of 127.0.0.1 [default: one that is free].
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
}

#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// A file, or a folder with all that is in it.
    pub path: PathBuf,
    /// Change the files, and keep what they were beside them.
    #[arg(long)]
    pub write: bool,
}

#[derive(Debug, clap::Args)]
pub struct Supervise {
    /// The process that wants this one.
    #[arg(long)]
    pub caller: i32,
    /// End the program after so many seconds.
    #[arg(long)]
    pub timeout: f64,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub program: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub enum Site {
    /// What the site allows.
    #[command(subcommand)]
    Policy(Policy),
    /// What the site has written down of what happened to its data.
    #[command(subcommand)]
    Audit(Audit),
    /// What waits for a person at the site to approve it, as its policy says `ask`.
    #[command(subcommand)]
    Requests(Requests),
}

#[derive(Debug, Subcommand)]
pub enum Requests {
    /// List what waits.
    List {
        /// The site's kit, or the folder of a policy that is tried.
        #[arg(value_name = "KIT")]
        kit: PathBuf,
    },
    /// Show who asks for what, with which parameters, in which pipeline.
    Show(OneRequest),
    /// Allow it, to this user and in this pipeline.
    Approve(Decided),
    /// Refuse it, to this user and in this pipeline.
    Deny(Decided),
}

#[derive(Debug, clap::Args)]
pub struct OneRequest {
    /// The site's kit, or the folder of a policy that is tried.
    #[arg(value_name = "KIT")]
    pub kit: PathBuf,
    /// The request's name, or its beginning.
    #[arg(value_name = "ID")]
    pub request: String,
}

#[derive(Debug, clap::Args)]
pub struct Decided {
    #[command(flatten)]
    pub one: OneRequest,
    /// The last day for which that holds, as `2026-12-31` (UTC) [default: in seven days].
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true)]
    pub until: String,
    /// Also of other parameters, as far as they are what the rule that asks wants of them.
    #[arg(long)]
    pub like_this: bool,
    /// What the user is told of a refusal.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub why: String,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Say whether a record was changed, removed, added or put elsewhere.
    Verify {
        /// The site's kit, or the folder of a log or of a policy that is tried.
        #[arg(value_name = "KIT")]
        kit: PathBuf,
        /// A line that was once the last one, as this command told it; it has to be there.
        #[arg(long, value_name = "NUMBER:DIGEST", default_value = "")]
        head: String,
    },
    /// Show the records, one a line.
    Show {
        /// The site's kit, or the folder of a log or of a policy that is tried.
        #[arg(value_name = "KIT")]
        kit: PathBuf,
    },
    /// Write the log as it is, one JSON object a line.
    Export {
        /// The site's kit, or the folder of a log or of a policy that is tried.
        #[arg(value_name = "KIT")]
        kit: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Show everything that is wrong with a policy, or what it decides.
    Check {
        /// The `policy.yaml`, which is in the folder `local` of the site's kit.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what is in force at a site.
    Show {
        /// The site's kit.
        #[arg(value_name = "KIT")]
        kit: PathBuf,
    },
    /// Print the JSON Schema of a policy, for editors.
    Schema,
    /// Show which rules decide of a user's calls of an operation.
    Explain {
        /// The site's kit, or a policy file.
        #[arg(value_name = "KIT")]
        kit: PathBuf,
        /// The operation, such as `stats.Mean`.
        #[arg(value_name = "OPERATION")]
        operation: String,
        /// The user's name, as the certificate has it.
        #[arg(long)]
        user: String,
        /// The user's organisation.
        #[arg(long, default_value = "")]
        organisation: String,
        /// The user's role.
        #[arg(long, default_value = "lead")]
        role: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Fed {
    /// Write a new federation that runs at once, into a folder of its name.
    Init(Init),
    /// Say which federations there are and where their files are.
    #[command(subcommand)]
    Config(Config),
    /// Generate a federation's files.
    #[command(subcommand)]
    Gen(Gen),
    /// Show everything that is wrong with a federation's files.
    Check(Check),
    /// Print the JSON Schema of the .dfm.yaml, for editors.
    Schema,
    /// Take operations from what describes them elsewhere.
    #[command(subcommand)]
    Import(Import),
    /// Run a pipeline or a script on a federation.
    Submit(Submit),
    /// Run a job again that `submit --record` has kept: the application's site really, the others by what they answered.
    Replay(Replay),
    /// Say where each node of a pipeline would run, why, and what else it could cost; nothing runs.
    Plan(Plan),
    /// Say what a run of a pipeline would be like, on a network of any size; nothing runs.
    Simulate(Simulate),
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Show which operations of an OpenAPI description a site would offer, or write them.
    Openapi(ImportOpenApi),
}

#[derive(Debug, clap::Args)]
pub struct ImportOpenApi {
    /// The description: a file, or a URL.
    #[arg(value_name = "FILE|URL")]
    pub description: String,
    /// The site whose process calls the interface.
    #[arg(long, value_name = "SITE")]
    pub site: String,
    /// The federation, where there is more than one.
    #[arg(long, short, value_name = "NAME", add = ArgValueCandidates::new(federations))]
    pub federation: Option<String>,
    /// What the operations' namespace and the site's provider are called [default: as the description's file
    /// or, where that is called `openapi`, as the folder or host that has it].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Take this operation only, by its operationId; may be given several times.
    #[arg(long, value_name = "ID")]
    pub operation: Vec<String>,
    /// Write the files, and keep what the configuration was beside it.
    #[arg(long)]
    pub write: bool,
}

#[derive(Debug, clap::Args)]
pub struct Init {
    /// The federation.
    pub name: String,
    /// What it does at first.
    #[arg(long, value_name = "TEMPLATE", default_value = "minimal")]
    pub template: Template,
}

/// What a new federation does at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// One site greets.
    Minimal,
    /// One site measures an array, another one smooths it; needs numpy.
    Arrays,
    /// Two sites count records that never leave them; needs pyarrow.
    Tables,
}

#[derive(Debug, clap::Args)]
pub struct Check {
    /// The federation, or the path of a .dfm.yaml.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// Write the diagnostics to stdout in this format.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Also import every adapter, and every class that a `type` or `returns` names, in a process of this environment's
    /// Python, and compare their signatures with the bindings; nothing is constructed. Without it, no Python is needed.
    #[arg(long)]
    pub adapters: bool,
    /// Give up on importing a class after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, requires = "adapters", allow_negative_numbers = true)]
    pub import_timeout: f64,
}

/// A format for diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// What code hosts read.
    Sarif,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// List all federations.
    #[command(visible_alias = "list")]
    ListAll,
    /// Add a federation, or change what is given.
    Set(Set),
    /// Show one federation: its record, its files, its sites and operations.
    Show {
        /// The federation.
        #[arg(add = ArgValueCandidates::new(federations))]
        name: String,
    },
    /// Forget a federation; no file of it is deleted.
    Delete {
        /// The federation.
        #[arg(add = ArgValueCandidates::new(federations))]
        name: String,
    },
    /// Make an empty, commented registry, in the current folder unless one is found from there.
    CreateDefault {
        /// The file, or the folder that gets a federations.yaml.
        #[arg(long, value_name = "FILE")]
        path: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub struct Set {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// Its folder.
    #[arg(long, value_name = "DIR")]
    pub federation_dir: Option<PathBuf>,
    /// Its .dfm.yaml; relative to its folder, else to the current one [default: the only one in its folder].
    #[arg(long, value_name = "FILE")]
    pub config_path: Option<PathBuf>,
    /// Its NVFlare project; relative to its folder, else to the current one; None for none.
    #[arg(long, value_name = "FILE")]
    pub project_path: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Gen {
    /// Generate the typed Python package that pipelines and sites import.
    Code(GenCode),
    /// Generate the Dockerfile, the scripts and the compose file of a federation.
    Docker(GenDocker),
    /// Generate the Helm chart and its deploy.sh, for one server and any number of clients.
    Helm(GenHelm),
    /// Make a startup kit for every participant, with its certificate; those that there are keep theirs.
    Provision(GenProvision),
}

#[derive(Debug, clap::Args)]
pub struct GenProvision {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// Remove all kits and the root of trust first, so that everybody needs a new kit.
    #[arg(long)]
    pub clean: bool,
    /// Run this builder of the NVFlare project too, which is none of NVFlare's; may be repeated.
    #[arg(long, value_name = "PATH")]
    pub allow_builder: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum Poc {
    /// Start the sites that do not run; make kits for those that have none.
    Start(PocStart),
    /// Wait until every site is connected.
    Wait {
        /// The federation [default: the only one, or the only one that runs].
        #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(federations))]
        federation: Option<String>,
        /// Give up after so many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60.0, allow_negative_numbers = true)]
        timeout: f64,
    },
    /// End all processes; kits, results and logs stay.
    Stop {
        /// The federation [default: the only one, or the only one that runs].
        #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(federations))]
        federation: Option<String>,
    },
    /// Stop, then start.
    Restart {
        #[command(flatten)]
        start: PocStart,
        /// Remove kits, results and logs in between.
        #[arg(long)]
        do_cleanup: bool,
    },
    /// Stop, and remove kits, results and logs.
    Cleanup {
        /// The federation [default: the only one, or the only one that runs].
        #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(federations))]
        federation: Option<String>,
    },
    /// Say how far each site is: stopped, starting, connected or failed.
    Status {
        /// The federation [default: the only one, or the only one that runs].
        #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(federations))]
        federation: Option<String>,
    },
    /// Show what the sites say.
    Logs {
        /// The site [default: all].
        #[arg(add = ArgValueCandidates::new(participants))]
        site: Option<String>,
        /// The federation [default: the only one, or the only one that runs].
        #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(federations))]
        federation: Option<String>,
        /// Also show what comes, until interrupted; elsewhere `-f` is a federation.
        #[arg(short, long)]
        follow: bool,
    },
    /// Watch the processes that `start` starts.
    #[command(hide = true)]
    Supervise,
}

#[derive(Debug, clap::Args)]
pub struct PocStart {
    /// The federation [default: the only one, or the only one that runs].
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(federations))]
    pub federation: Option<String>,
    /// Only make the kits.
    #[arg(long, conflicts_with = "skip_prepare")]
    pub prepare_only: bool,
    /// Use the kits that there are.
    #[arg(long)]
    pub skip_prepare: bool,
    /// Let the sites say everything they do.
    #[arg(long)]
    pub debug: bool,
    /// Run this builder of the NVFlare project too, which is none of NVFlare's; may be repeated.
    #[arg(long, value_name = "PATH", conflicts_with = "skip_prepare")]
    pub allow_builder: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List the jobs that the federation knows, and those of which there is a record here.
    List(InFederation),
    /// Show one job: how far it is, what it waits for, whether its application is there, what its record says.
    Show(OneJob),
    /// Set the records of two jobs beside each other.
    Compare {
        /// The federation.
        #[arg(add = ArgValueCandidates::new(federations))]
        name: String,
        /// The one job's id.
        #[arg(add = ArgValueCandidates::new(jobs))]
        a: String,
        /// The other's.
        #[arg(add = ArgValueCandidates::new(jobs))]
        b: String,
    },
    /// Show from a job's record when each call was made, at which site, and when values were sent.
    Trace {
        /// The federation.
        #[arg(add = ArgValueCandidates::new(federations))]
        name: String,
        /// The job's id.
        #[arg(add = ArgValueCandidates::new(jobs))]
        job: String,
        /// Draw that into this file.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// Write it into this file in the trace event format, for Perfetto and Chrome.
        #[arg(long, value_name = "FILE")]
        chrome: Option<PathBuf>,
    },
    /// Show what the adapters have logged and printed in a job, as far as their sites hand it out; where there is nothing
    /// of that, and with `-v`, what NVFlare's processes have logged of its session.
    Logs {
        #[command(flatten)]
        job: OneJob,
        /// Only what this site has logged [default: all].
        #[arg(long, value_name = "SITE", add = ArgValueCandidates::new(sites))]
        site: Option<String>,
        /// Also show what comes, until the job is over.
        #[arg(short, long)]
        follow: bool,
    },
    /// End a job.
    Cancel(OneJob),
    /// Say whether a job's receipt is what its sites have signed, and what contributed to its results.
    Verify(Verify),
    /// Print what a job has yielded and no application has had; it stays kept.
    Results {
        #[command(flatten)]
        job: OneJob,
        /// Also save the results into this folder.
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Give up after so many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600.0, allow_negative_numbers = true)]
        timeout: f64,
    },
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The receipt, as `Job.receipt()` gave it, in JSON.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Check the signatures by the root certificate in this federation's startup kits.
    #[arg(long, value_name = "NAME", required_unless_present = "root", add = ArgValueCandidates::new(federations))]
    pub federation: Option<String>,
    /// Use the federation that `dfm poc` runs on this machine.
    #[arg(long)]
    pub poc: bool,
    /// Check the signatures by this root certificate, which is `startup/rootCA.pem` in every startup kit.
    #[arg(long, value_name = "CERT", conflicts_with_all = ["federation", "poc"])]
    pub root: Option<PathBuf>,
    /// What the certificate of the federation's server calls it, with `--root`.
    #[arg(long, value_name = "NAME", default_value = "server")]
    pub server: String,
}

#[derive(Debug, clap::Args)]
pub struct InFederation {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// Use the federation that `dfm poc` runs on this machine.
    #[arg(long)]
    pub poc: bool,
}

#[derive(Debug, clap::Args)]
pub struct OneJob {
    #[command(flatten)]
    pub of: InFederation,
    /// The job's id.
    #[arg(add = ArgValueCandidates::new(jobs))]
    pub job: String,
}

#[derive(Debug, Subcommand)]
pub enum Completion {
    /// Set it up for new windows of a shell.
    Setup {
        /// The shell [default: your own].
        #[arg(long)]
        shell: Option<Shell>,
    },
    /// Print the script that makes a shell complete.
    Generate {
        /// The shell [default: your own].
        #[arg(long)]
        shell: Option<Shell>,
    },
    /// Say which shells it is set up for.
    Status {
        /// The shell [default: all].
        #[arg(long)]
        shell: Option<Shell>,
    },
    /// Say what is completed, how to set it up by hand, and how to remove it.
    Info {
        /// The shell [default: your own].
        #[arg(long)]
        shell: Option<Shell>,
    },
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, clap::Args)]
pub struct GenCode {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// Write the package into this folder [default: the parent of the federation's folder].
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Generate no API, only runtimes.
    #[arg(long)]
    pub no_api: bool,
    /// Generate the runtime of this site only; may be repeated; `none` for no runtime [default: all].
    #[arg(long = "runtime-site", value_name = "SITE", add = ArgValueCandidates::new(sites))]
    pub runtime_sites: Vec<String>,
    /// Remove what an earlier run generated.
    #[arg(long)]
    pub cleanup: bool,
    /// Write nothing; exit 1 if what is there is stale.
    #[arg(long, conflicts_with = "cleanup")]
    pub check: bool,
}

impl GenCode {
    /// Everything that is generated of a federation, in its usual place.
    pub fn all_of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            output_dir: None,
            no_api: false,
            runtime_sites: Vec::new(),
            cleanup: false,
            check: false,
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct GenDocker {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// Replace files that are different from what would be generated.
    #[arg(long)]
    pub force: bool,
    /// Merge the `provision` of this file into the configuration's first.
    #[arg(long, value_name = "FILE")]
    pub patch: Option<PathBuf>,
    /// Also write to paths of the configuration that lead out of the federation's folder.
    #[arg(long)]
    pub allow_outside: bool,
    /// Leave out the Dockerfile with its .dockerignore, or the scripts with the compose file; may be repeated.
    #[arg(long, value_name = "WHAT")]
    pub skip: Vec<Skip>,
}

/// What `gen docker` can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Skip {
    /// Dockerfile and .dockerignore.
    Dockerfile,
    /// build_image.sh, run.sh and compose.yaml.
    Scripts,
}

#[derive(Debug, clap::Args)]
pub struct GenHelm {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// Replace files that are different from what would be generated.
    #[arg(long)]
    pub force: bool,
    /// Merge the `provision` of this file into the configuration's first.
    #[arg(long, value_name = "FILE")]
    pub patch: Option<PathBuf>,
    /// Also write to paths of the configuration that lead out of the federation's folder.
    #[arg(long)]
    pub allow_outside: bool,
}

#[derive(Debug, clap::Args)]
pub struct Submit {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// What PATH is.
    pub kind: Kind,
    /// A script, or a pipeline: a Python file with get_pipeline(), or a saved one.
    pub path: PathBuf,
    /// Where to run.
    #[arg(long, default_value = "flare")]
    pub target: Target,
    /// Use the federation that `dfm poc` runs on this machine.
    #[arg(long)]
    pub poc: bool,
    /// The site that the application belongs to [default: the one outside of the NVFlare project, else the first].
    #[arg(long, value_name = "SITE", add = ArgValueCandidates::new(sites))]
    pub homesite: Option<String>,
    /// End the job after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0, allow_negative_numbers = true)]
    pub timeout: f64,
    /// Also save the results into this folder.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Also say what each operation of a pipeline took, beside what was expected.
    #[arg(long)]
    pub measure: bool,
    /// Measure, and draw that into this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Measure, and write the costs that would have foretold it into this file, as suggestions for the configuration.
    #[arg(long, value_name = "FILE")]
    pub save_costs: Option<PathBuf>,
    /// Have the sites account for what they contribute, and save that receipt in this file, for `dfm jobs verify`.
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// Keep what the job is given, what the sites answer and what happens in this file, for `dfm fed replay`.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// What of the values is kept there: themselves, their digests and sizes, or their sizes alone.
    #[arg(long, value_name = "VALUES", default_value = "full", requires = "record")]
    pub record_values: RecordValues,
    /// With `--target local`: make an error of what Flare would refuse, which is only warned about otherwise.
    #[arg(long)]
    pub strict: bool,
    /// Give a pipeline's parameter a value: JSON, or else text, as in `--param days=7 --param city=Oslo`; may be given for
    /// each parameter. It goes before what get_pipeline_parameters() returns.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, Value)>,
    /// For the local target: the policy that a site is to have, as it would on Flare; may be repeated.
    #[arg(long, value_name = "SITE=FILE", value_parser = site_file)]
    pub policy_of: Vec<(String, PathBuf)>,
    /// Passed on untouched.
    #[arg(last = true)]
    pub args: Vec<OsString>,
}

/// What of a job's values is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordValues {
    /// The values, so that it can be run again.
    Full,
    /// Their digests and sizes.
    Hash,
    /// Their sizes alone.
    None,
}

#[derive(Debug, clap::Args)]
pub struct Replay {
    /// What `dfm fed submit --record` has written.
    pub file: PathBuf,
    /// The federation [default: the one with the code package of which the file is].
    #[arg(long, short, value_name = "NAME", add = ArgValueCandidates::new(federations))]
    pub federation: Option<String>,
    /// On a terminal, ask before each step.
    #[arg(long, conflicts_with = "tell")]
    pub step: bool,
    /// Stop in Python's debugger where an operation of the application's site begins, and where one fails.
    #[arg(long, conflicts_with = "tell")]
    pub pdb: bool,
    /// Only tell what happened; nothing runs, and no federation is needed.
    #[arg(long)]
    pub tell: bool,
}

fn parameter(text: &str) -> Result<(String, Value), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
        }
        _ => Err("write it as NAME=VALUE"),
    }
}

#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// A Python file with get_pipeline(), or a pipeline saved as JSON.
    pub path: PathBuf,
    /// What is different from the configuration, such as costs that were measured.
    #[arg(long, value_name = "FILE")]
    pub network: Option<PathBuf>,
    /// Also draw the plan into this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Also write the plan into this file as a flowchart that documents draw (Mermaid).
    #[arg(long, value_name = "FILE")]
    pub mermaid: Option<PathBuf>,
    /// Also save the plan into this file: the pipeline, with each operation at its chosen site.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// How many elements to count with where only the run tells a sequence's length.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub elements: u32,
    /// The site that the application belongs to [default: the one outside of the NVFlare project, else the first].
    #[arg(long, value_name = "SITE", add = ArgValueCandidates::new(sites))]
    pub homesite: Option<String>,
    /// The policy that a site has published: what it lets not leave is an error; may be repeated.
    #[arg(long, value_name = "SITE=FILE", value_parser = site_file)]
    pub policy_of: Vec<(String, PathBuf)>,
    /// Whose calls are held against these policies: the user's name, as the certificate has it.
    #[arg(long, requires = "policy_of")]
    pub user: Option<String>,
    /// The user's organisation.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub organisation: String,
    /// The user's role.
    #[arg(long, default_value = "lead")]
    pub role: String,
    /// Passed on to get_pipeline.
    #[arg(last = true)]
    pub args: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub struct Simulate {
    /// The federation.
    #[arg(add = ArgValueCandidates::new(federations))]
    pub name: String,
    /// A Python file with get_pipeline(), or a pipeline saved as JSON.
    pub path: PathBuf,
    /// What is different from the configuration: costs, copies of sites, limits, failures.
    #[arg(long, value_name = "FILE")]
    pub network: Option<PathBuf>,
    /// How many parameter sets to execute at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub frames: u32,
    /// How many elements to count with where only the run tells a sequence's length.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub elements: u32,
    /// The site that the application belongs to [default: the one outside of the NVFlare project, else the first].
    #[arg(long, value_name = "SITE", add = ArgValueCandidates::new(sites))]
    pub homesite: Option<String>,
    /// Passed on to get_pipeline.
    #[arg(last = true)]
    pub args: Vec<OsString>,
}

/// What is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// An executable, or a .py or .sh file.
    Script,
    /// A Python file with get_pipeline(), or a pipeline saved as JSON.
    Pipeline,
}

/// Where a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// On the running federation.
    Flare,
    /// On this machine, a process for each site.
    Local,
}

/// A site and its file, written `SITE=FILE`.
fn site_file(written: &str) -> Result<(String, PathBuf), String> {
    match written.split_once('=') {
        Some((site, file)) if !site.is_empty() && !file.is_empty() => Ok((site.to_owned(), file.into())),
        _ => Err("write it as SITE=FILE, as in `hospital=policy.yaml`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Args {
        Args::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_documented_spelling_is_understood() {
        for line in [
            "dfm fed config list-all",
            "dfm fed config set my_federation --federation-dir /path/to/fed --config-path /path/to/config",
            "dfm fed config set --federation-dir /path/to/fed my_federation --config-path=c --project-path p",
            "dfm fed config show my_federation --json",
            "dfm --config f.yaml fed -v config --color never delete my_federation",
            "dfm fed config create-default --path here",
            "dfm fed gen code my_federation --output-dir /path/to/output",
            "dfm fed gen code my_federation --no-api",
            "dfm fed gen code my_federation --runtime-site site1 --runtime-site site2",
            "dfm fed gen provision my_federation",
            "dfm fed gen provision my_federation --clean",
            "dfm doctor",
            "dfm explain config-unknown-key",
            "dfm migrate --write folder",
            "dfm fed import openapi pets.yaml --site store --name pets --operation listPets -f shop --write",
            "dfm completion setup",
            "dfm completion generate --shell zsh",
            "dfm completion status --json",
            "dfm completion info --shell fish",
            "dfm poc start -f my_federation --prepare-only",
            "dfm poc start --skip-prepare --debug",
            "dfm poc wait",
            "dfm poc stop",
            "dfm poc restart --do-cleanup",
            "dfm poc cleanup",
            "dfm poc status --json",
            "dfm poc logs -f server",
            "dfm fed gen docker my_federation",
            "dfm fed gen docker my_federation --force",
            "dfm fed gen docker my_federation --patch /path/to/custom-patch.yaml",
            "dfm fed gen docker --skip dockerfile my_federation",
            "dfm fed gen docker my_federation --skip scripts",
            "dfm fed plan my_federation pipeline.py --svg plan.svg",
            "dfm fed plan my_federation pipeline.py --save plan.json --elements 100",
            "dfm fed submit my_federation --poc pipeline p.py --measure --svg run.svg --save-costs costs.yaml",
            "dfm fed plan my_federation pipeline.py --network costs.yaml",
            "dfm fed simulate my_federation pipeline.py --network network.yaml --frames 100 --json",
            "dfm jobs compare my_federation a1b2c3d4-1 a1b2c3d4-2 --json",
            "dfm jobs trace my_federation a1b2c3d4-1 --svg job.svg --chrome job.json",
            "dfm fed gen helm my_federation",
            "dfm fed gen helm my_federation --force",
            "dfm fed gen helm my_federation --patch /path/to/custom-patch.yaml",
        ] {
            parsed(line);
        }
    }

    #[test]
    fn what_follows_two_dashes_is_the_jobs() {
        for line in [
            "dfm fed submit fed --target flare script a.sh --timeout 60 -- --poc -v x",
            "dfm fed submit fed --target flare --poc script a.sh --timeout 60 -- --poc -v x",
            "dfm fed submit fed script a.sh --timeout 60 -- --poc -v x",
        ] {
            let Command::Fed(Fed::Submit(submit)) = parsed(line).command else { panic!("{line}") };
            assert_eq!(submit.target, Target::Flare);
            assert_eq!(submit.poc, line.contains("--poc script"));
            assert_eq!(submit.args, ["--poc", "-v", "x"]);
        }
        let Command::Fed(Fed::Submit(submit)) = parsed("dfm fed submit f pipeline p.py --target local --").command
        else {
            panic!("not a submission")
        };
        assert_eq!((submit.target, submit.kind, submit.args.len()), (Target::Local, Kind::Pipeline, 0));
    }
}
