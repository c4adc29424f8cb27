//! How does `dfm poc` run a whole federation on this machine?

mod kits;
mod logs;
mod records;
mod stop;
mod supervisor;
mod wait;

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{env, fs};

use dfm_config::registry::Registry;
use dfm_config::{file_remedy, write_file};
use dfm_diag::Diagnostic;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::process::{geteuid, umask};
use serde_json::json;

use self::kits::{Kind, Kit};
use super::gen_provision::{Into, provision, tell_notices};
use crate::application::found_python;
use crate::args::{Poc, PocStart};
use crate::chosen::{federation, unknown};
use crate::context::{Context, Failure};
use crate::{processes, program, python};

/// Does what a command says.
///
/// # Errors
/// Whatever kept it from its work.
pub fn run(context: &Context, command: Poc) -> Result<(), Failure> {
    // For all that is written below a POC's folder, by this process and by those that it starts: kits, records, logs,
    // NVFlare's jobs and snapshots, and what adapters make.
    umask(Mode::RWXG | Mode::RWXO);
    match command {
        Poc::Start(args) => start(context, &args),
        Poc::Wait { federation, timeout } => wait::run(context, &Place::find(context, federation.as_deref())?, timeout),
        Poc::Status { federation } => wait::status(context, &Place::find(context, federation.as_deref())?),
        Poc::Stop { federation } => stop::run(context, &Place::find(context, federation.as_deref())?),
        Poc::Restart { start: args, do_cleanup } => {
            let place = Place::find(context, args.federation.as_deref())?;
            stop::run(context, &place)?;
            if do_cleanup {
                stop::clean(context, &place)?;
            }
            start(context, &args)
        }
        Poc::Cleanup { federation } => {
            let place = Place::find(context, federation.as_deref())?;
            stop::run(context, &place)?;
            stop::clean(context, &place)
        }
        Poc::Logs { site, federation, follow } => {
            logs::run(context, &Place::find(context, federation.as_deref())?, site.as_deref(), follow)
        }
        Poc::Supervise => supervisor::run().map_err(|error| refused("watch the processes", &error)),
    }
}

/// How many processes of a federation's POC there are.
pub fn running(context: &Context, name: &str) -> usize {
    Place::of(context, name).map_or(0, |place| place.processes().len())
}

/// Each site of a federation's POC, as far as this machine knows without asking NVFlare; none where there is no POC.
pub fn health(context: &Context, name: &str) -> Vec<(String, String)> {
    Place::of(context, name).map_or_else(|_| Vec::new(), |place| wait::health(&place))
}

/// A federation's POC.
pub struct Place {
    /// The federation.
    pub name: String,
    /// The folder of its kits and records.
    pub folder: PathBuf,
}

impl Place {
    fn of(context: &Context, name: &str) -> Result<Self, Failure> {
        Ok(Self { name: name.to_owned(), folder: context.folder_of_kits(&format!("{name}_poc"))? })
    }

    /// The POC of the federation that the user names, else of the only one that there is or that runs here.
    fn find(context: &Context, name: Option<&str>) -> Result<Self, Failure> {
        let registry = Registry::read(&context.registry).map_err(Failure::wrong)?;
        if let Some(name) = name {
            return match registry.records.contains_key(name) {
                true => Self::of(context, name),
                false => Err(Failure::wrong(unknown(context, &registry, name))),
            };
        }
        let names: Vec<&str> = registry.records.keys().map(String::as_str).collect();
        if let [only] = names[..] {
            return Self::of(context, only);
        }
        let places: Vec<Self> = names.iter().map(|name| Self::of(context, name)).collect::<Result<_, _>>()?;
        let mut running = places.into_iter().filter(|place| !place.processes().is_empty());
        match (running.next(), running.next()) {
            (Some(only), None) => Ok(only),
            _ => {
                let help = format!("add `-f NAME`; there are: {}", names.join(", "));
                Err(Failure::wrong(
                    Diagnostic::error("poc-which", "it is not clear which federation is meant").help(help),
                ))
            }
        }
    }

    /// All processes of it, whoever started them.
    pub fn processes(&self) -> Vec<rustix::process::Pid> {
        processes::with_environment(supervisor::MARK, &self.mark())
    }

    /// What its processes are known by: its folder, however it was spelt.
    fn mark(&self) -> PathBuf {
        fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone())
    }

    /// The command that makes all of it anew.
    fn anew(&self) -> String {
        format!("dfm poc restart -f {} --do-cleanup", self.name)
    }

    /// Makes its folder, for its owner alone.
    ///
    /// # Errors
    /// The file system's, or that somebody else may have made the one that is there.
    fn make(&self) -> Result<(), Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        let found = made.and_then(|()| self.folder.symlink_metadata()).map_err(|error| {
            let message = format!("cannot make its folder `{}`: {error}", self.folder.display());
            let help = format!("{}; `--workspace DIR` or DFM_WORKSPACE names another place", file_remedy(&error));
            Failure::failed(Diagnostic::error("poc-system", message).help(help))
        })?;
        if found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0 {
            return Ok(());
        }
        let folder = self.folder.display();
        let message = format!("`{folder}` may be somebody else's work: others may read or change it, or it is a link");
        let help = format!("if you have made it, run `chmod -R go= {folder}`; else `{}`", self.anew());
        Err(Failure::wrong(Diagnostic::error("poc-not-own", message).help(help)))
    }

    /// Keeps others from starting or stopping it at the same time, as long as the file is there.
    ///
    /// # Errors
    /// The file system's.
    fn lock(&self) -> Result<fs::File, Failure> {
        let path = self.folder.join(".poc");
        let how = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let lock = open(&path, how, Mode::RUSR | Mode::WUSR).map(fs::File::from);
        let locked = lock.and_then(|file| flock(&file, FlockOperation::LockExclusive).map(|()| file));
        locked.map_err(|error| refused(&format!("lock `{}`", path.display()), &error.into()))
    }

    /// The kits that were started last.
    pub fn kits(&self) -> Vec<Kit> {
        records::current(&self.folder).map_or_else(Vec::new, |folder| kits::read(&folder))
    }
}

fn start(context: &Context, args: &PocStart) -> Result<(), Failure> {
    let place = Place::find(context, args.federation.as_deref())?;
    let chosen = federation(context, &place.name)?;
    check_path(&place.folder)?;
    place.make()?;
    let _lock = place.lock()?;
    if !args.skip_prepare {
        let into = Into {
            workspace: &place.folder,
            clean: false,
            poc: true,
            builders: &args.allow_builder,
            anew: &place.anew(),
        };
        let answer = provision(context, &chosen, &into)?;
        tell_notices(context, &answer);
        let folder = PathBuf::from(answer["folder"].as_str().unwrap_or_default());
        records::set_current(&place.folder, &folder).map_err(|error| refused("write its kits down", &error))?;
    }
    let kits = place.kits();
    let Some(server) = kits.iter().find(|kit| kit.kind == Kind::Server) else {
        let help = format!("run `dfm poc start -f {}` without --skip-prepare", place.name);
        return Err(Failure::wrong(
            Diagnostic::error("poc-no-kits", format!("`{}` has no kits", place.name)).help(help),
        ));
    };
    if args.prepare_only {
        context.output.status(&format!(
            "the kits are in {}",
            context.shown(server.folder.parent().unwrap_or(&server.folder)).display()
        ));
        return Ok(());
    }
    let records = records::of(&place.folder, kits.iter().filter(|kit| kit.kind != Kind::Admin));
    let (running, missing): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|(_, record)| record.as_ref().is_some_and(|record| record.alive().is_some()));
    for (kit, record) in &running {
        if record.as_ref().is_some_and(|record| record.kit != kit.folder) {
            context
                .output
                .status(&format!("note: `{}` runs from an older kit; `dfm poc restart` changes that", kit.name));
        }
    }
    if missing.is_empty() {
        context.output.status(&format!("`{}` is running already", place.name));
        return Ok(());
    }
    let port = choose_port(&place, &kits, server, &running.iter().map(|(kit, _)| *kit).collect::<Vec<_>>())?;
    let missing: Vec<&Kit> = missing.into_iter().map(|(kit, _)| kit).collect();
    for kit in &missing {
        set_log_level(&kit.folder, args.debug).map_err(|error| refused("set the log level", &error))?;
    }
    let python = found_python(context)?;
    let own = |kit: &Kit| chosen.federation.sites.get(&kit.name)?.python_in(&chosen.paths.dir);
    if let Some((kit, python)) = missing.iter().find_map(|kit| Some((kit, own(kit).filter(|own| !own.is_file())?))) {
        return Err(Failure::wrong(python::not_there(&kit.name, &python)));
    }
    let around = chosen.paths.dir.parent().unwrap_or(&chosen.paths.dir);
    let request = supervisor::Request {
        poc: place.mark(),
        sites: missing.iter().map(|kit| site(kit, own(kit).as_ref().unwrap_or(&python))).collect(),
        python_path: python_path(around)?,
    };
    supervisor::launch(&request).map_err(|error| refused("start its processes", &error))?;
    let names: Vec<&str> = missing.iter().map(|kit| kit.name.as_str()).collect();
    if context.output.json {
        let folder = server.folder.parent();
        context.output.document(&json!({"federation": place.name, "started": names, "port": port, "kits": folder}));
    } else {
        context.output.status(&format!(
            "started {} on port {port}; `dfm poc wait -f {}` returns when all are connected",
            names.join(", "),
            place.name
        ));
    }
    Ok(())
}

/// NVFlare makes a job's command line of the path of its kit, and takes that apart as a shell would.
fn check_path(folder: &Path) -> Result<(), Failure> {
    let path = folder.display().to_string();
    match path.chars().find(|letter| letter.is_whitespace() || ['\'', '"', '\\'].contains(letter)) {
        None => Ok(()),
        Some(letter) => {
            let message = format!("no job can run in `{path}`: NVFlare takes no path with a {letter:?} in it");
            let help = "nothing has been made; name another folder with `--workspace DIR` or DFM_WORKSPACE";
            Err(Failure::wrong(Diagnostic::error("poc-path", message).help(help)))
        }
    }
}

fn choose_port(place: &Place, kits: &[Kit], server: &Kit, running: &[&Kit]) -> Result<u16, Failure> {
    let old = kits::port(server);
    if let Some(port) = old.filter(|_| running.iter().any(|kit| kit.kind == Kind::Server)) {
        return Ok(port);
    }
    // NVFlare's own port is a placeholder: other federations would choose it too.
    if let Some(port) = old.filter(|port| kits::is_ours(*port) && kits::is_free(*port)) {
        return Ok(port);
    }
    if !running.is_empty() {
        let message = format!("the server's port {} is taken by another program", old.unwrap_or_default());
        let help = format!("run `dfm poc stop -f {0}`, then `dfm poc start -f {0}`", place.name);
        return Err(Failure::failed(Diagnostic::error("poc-port", message).help(help)));
    }
    let port = kits::free_port().ok_or_else(|| refused("find a free port", &io::ErrorKind::AddrInUse.into()))?;
    kits::set_port(kits, port).map_err(|error| refused("write the port into the kits", &error))?;
    Ok(port)
}

fn site(kit: &Kit, python: &Path) -> supervisor::Site {
    let (module, settings) = match kit.kind {
        Kind::Server => ("nvflare.private.fed.app.server.server_train", "fed_server.json"),
        _ => ("nvflare.private.fed.app.client.client_train", "fed_client.json"),
    };
    let mut command = program::python(python);
    command.args(["-u", "-m", module, "-m"]).arg(&kit.folder).args(["-s", settings, "--set"]);
    command.args(["secure_train=true", &format!("org={}", kit.org), "config_folder=config"]);
    if kit.kind == Kind::Client {
        command.arg(format!("uid={}", kit.name));
    }
    let command = std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from).collect();
    supervisor::Site { name: kit.name.clone(), kit: kit.folder.clone(), command }
}

/// So that sites find the federation's own package.
fn python_path(around: &Path) -> Result<OsString, Failure> {
    let before = env::var_os("PYTHONPATH").unwrap_or_default();
    let folders = std::iter::once(around.to_owned()).chain(env::split_paths(&before));
    env::join_paths(folders.filter(|folder| !folder.as_os_str().is_empty()))
        .map_err(|error| Failure::wrong(Diagnostic::error("poc-path", format!("a folder has a bad name: {error}"))))
}

fn set_log_level(kit: &Path, debug: bool) -> io::Result<()> {
    let path = kit.join("local/log_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["loggers"]["root"]["level"] = json!(if debug { "DEBUG" } else { "INFO" });
    write_file(&path, &format!("{config:#}\n"))
}

fn refused(what: &str, error: &io::Error) -> Failure {
    Failure::failed(Diagnostic::error("poc-system", format!("cannot {what}: {error}")))
}
