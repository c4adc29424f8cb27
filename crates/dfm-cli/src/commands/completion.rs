//! How does `dfm completion` have a shell complete what is written after `dfm`?
//!
//! The script asks the `dfm` that is first on the `PATH` at each press of the key, so it serves every environment.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap_complete::env::Shells;
use dfm_config::write_file;
use dfm_diag::Diagnostic;
use serde_json::json;

use crate::args::{Completion, Shell};
use crate::context::{Context, Failure};

/// The variable with which a script asks for candidates.
pub const VARIABLE: &str = "DFM_COMPLETE";

/// Does what a subcommand says.
///
/// # Errors
/// A shell that is not known, or a file that cannot be written.
pub fn run(context: &Context, command: Completion) -> Result<(), Failure> {
    match command {
        Completion::Setup { shell } => set_up(context, chosen(shell)?),
        Completion::Generate { shell } => {
            context.output.result(script(chosen(shell)?).trim_end());
            Ok(())
        }
        Completion::Status { shell } => status(context, shell),
        Completion::Info { shell } => info(context, shell),
    }
}

/// The shell that is meant: the user's own, if none is named.
fn chosen(shell: Option<Shell>) -> Result<Shell, Failure> {
    let own = || Shell::from_str(Path::new(&env::var_os("SHELL")?).file_name()?.to_str()?, true).ok();
    shell.or_else(own).ok_or_else(|| {
        let message = "the variable SHELL names no shell that dfm can complete in";
        Failure::wrong(Diagnostic::error("completion-shell", message).help("say which: `--shell bash|zsh|fish`"))
    })
}

fn name(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    }
}

/// What makes a shell complete.
fn script(shell: Shell) -> String {
    let mut script = vec![];
    let shells = Shells::builtins();
    let completer = shells.completer(name(shell)).expect("it is one of those that are built in");
    completer.write_registration(VARIABLE, "dfm", "dfm", "dfm", &mut script).expect("a vector takes everything");
    let script = String::from_utf8(script).expect("it is text");
    let first = "# Completion for dfm; `dfm completion setup` writes this file.\n";
    let before = match shell {
        // What follows needs it, and not every .zshrc has it.
        Shell::Zsh => "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n",
        Shell::Bash | Shell::Fish => "",
    };
    // `#compdef` counts only in a first line, in a folder that zsh searches.
    format!("{first}{before}{}", script.strip_prefix("#compdef dfm\n").unwrap_or(&script).trim_start())
}

/// Where a shell's script is, and the line that reads it with the file that has the line, if the shell needs one.
struct Place {
    script: PathBuf,
    line: Option<(PathBuf, String)>,
}

fn place(shell: Shell) -> Result<Place, Failure> {
    let home = env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).ok_or_else(|| {
        Failure::wrong(Diagnostic::error("completion-home", "the variable HOME is not set").help("set it"))
    })?;
    let folder = |variable: &str, usual: &str| {
        let named = env::var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute());
        named.unwrap_or_else(|| home.join(usual))
    };
    if shell == Shell::Fish {
        return Ok(Place {
            script: folder("XDG_CONFIG_HOME", ".config").join("fish/completions/dfm.fish"),
            line: None,
        });
    }
    let script = folder("XDG_DATA_HOME", ".local/share").join("dfm").join(format!("completion.{}", name(shell)));
    let quoted = format!("'{}'", script.display().to_string().replace('\'', r"'\''"));
    let file = if shell == Shell::Zsh { folder("ZDOTDIR", "").join(".zshrc") } else { home.join(".bashrc") };
    Ok(Place { script, line: Some((file, format!("[ ! -r {quoted} ] || . {quoted}  # dfm completion"))) })
}

/// What keeps a shell from completing; nothing if it does.
fn lacks(shell: Shell, place: &Place) -> io::Result<Option<&'static str>> {
    let Some(found) = read(&place.script)? else { return Ok(Some("not set up")) };
    if found != script(shell) {
        return Ok(Some("of another version of dfm; set it up again"));
    }
    let Some((file, line)) = &place.line else { return Ok(None) };
    let has = read(file)?.is_some_and(|text| text.lines().any(|one| one == line));
    Ok((!has).then_some("not read by the shell; set it up again"))
}

/// The user's own shell, if dfm can complete in it, and what keeps it from that.
pub fn own() -> Option<(&'static str, Option<&'static str>)> {
    let shell = chosen(None).ok()?;
    Some((name(shell), lacks(shell, &place(shell).ok()?).ok()?))
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))),
    }
}

fn set_up(context: &Context, shell: Shell) -> Result<(), Failure> {
    let place = place(shell)?;
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| {
            Failure::failed(Diagnostic::error("completion-not-written", format!("`{path}` cannot be written: {error}")))
        }
    };
    write_file(&place.script, &script(shell)).map_err(failed(&place.script))?;
    context.output.status(&format!("wrote `{}`", place.script.display()));
    if let Some((file, line)) = &place.line {
        let text = read(file).map_err(failed(file))?.unwrap_or_default();
        if text.lines().all(|one| one != line) {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            // Added at the end, so that nothing of the user's can be lost.
            let mut open = OpenOptions::new().create(true).append(true).open(file).map_err(failed(file))?;
            open.write_all(format!("{gap}{line}\n").as_bytes()).map_err(failed(file))?;
            context.output.status(&format!("added one line to `{}`", file.display()));
        }
    }
    context.output.status(&format!("new windows of {} complete what follows `dfm`", name(shell)));
    Ok(())
}

fn status(context: &Context, shell: Option<Shell>) -> Result<(), Failure> {
    let mut documents = vec![];
    for shell in shell.map_or_else(|| Shell::value_variants().to_vec(), |one| vec![one]) {
        let place = place(shell)?;
        let lacks = lacks(shell, &place).map_err(|error| {
            Failure::failed(Diagnostic::error("completion-not-read", format!("a file cannot be read: {error}")))
        })?;
        documents.push(json!({"shell": name(shell), "works": lacks.is_none(), "script": place.script}));
        if !context.output.json {
            let state = lacks.unwrap_or("set up");
            context.output.result(&format!("{:<5} {state} ({})", name(shell), place.script.display()));
        }
    }
    if context.output.json {
        context.output.document(&json!({"shells": documents}));
    }
    Ok(())
}

fn info(context: &Context, shell: Option<Shell>) -> Result<(), Failure> {
    let shell = chosen(shell)?;
    let (name, place) = (name(shell), place(shell)?);
    let script = place.script.display();
    let (by_hand, line) = match &place.line {
        Some((file, line)) => (
            format!(", and add to `{}`:\n    {line}", file.display()),
            format!(" and that line of `{}`", file.display()),
        ),
        None => (String::new(), String::new()),
    };
    context.output.result(&format!(
        "dfm completes commands, options and files, and the names of federations, of their sites, and of the jobs that\n\
         applications of this machine have begun to read. The shell asks the `dfm` on its PATH for them.\n\n\
         set up:   dfm completion setup --shell {name}\n\
         by hand:  dfm completion generate --shell {name} >{script}{by_hand}\n\
         remove:   delete `{script}`{line}\n\
         see:      dfm completion status"
    ));
    Ok(())
}
