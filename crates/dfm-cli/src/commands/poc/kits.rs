//! Which kits has a federation on this machine, and on which port do they meet?

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process;
use std::time::SystemTime;

use dfm_config::write_file;
use serde_json::{Value, json};

/// Below what systems give to outgoing connections, so that none of those takes a port before its server does.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// NVFlare's server.
    Server,
    /// A client.
    Client,
    /// A user, who has a kit and no process.
    Admin,
}

/// A participant's startup kit.
#[derive(Clone, Debug)]
pub struct Kit {
    /// The participant.
    pub name: String,
    /// Where its kit is.
    pub folder: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its organisation, which NVFlare wants to be told.
    pub org: String,
    /// What a user may do, as NVFlare's roles are called.
    pub role: Option<String>,
}

/// The kit of who operates the federation: its project's admin, or any user where there is none.
pub fn operator(kits: &[Kit]) -> Option<&Kit> {
    let mut users = kits.iter().filter(|kit| kit.kind == Kind::Admin);
    let any = users.clone().next();
    users.find(|kit| kit.role.as_deref() == Some("project_admin")).or(any)
}

/// The kits in a folder `prod_NN`: the server, then the clients, then the admins.
pub fn read(folder: &Path) -> Vec<Kit> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut kits: Vec<Kit> = entries.filter_map(|entry| kit(entry.path())).collect();
    kits.sort_by_key(|kit| (kit.kind as u8, kit.name.clone()));
    kits
}

fn kit(folder: PathBuf) -> Option<Kit> {
    let facts: Value = serde_json::from_slice(&fs::read(folder.join("dfm/kit.json")).ok()?).ok()?;
    let kind = match facts["type"].as_str()? {
        "server" => Kind::Server,
        "client" => Kind::Client,
        _ => Kind::Admin,
    };
    let text = |key: &str| facts[key].as_str().map(str::to_owned);
    Some(Kit { name: text("participant")?, folder, kind, org: text("org")?, role: text("role") })
}

/// The file, and the place in it, that tells a participant where the server listens.
fn settings(kit: &Kit) -> (PathBuf, &'static str) {
    let (name, place) = match kit.kind {
        Kind::Server => ("fed_server.json", "/servers/0/service/target"),
        Kind::Client => ("fed_client.json", "/servers/0/service/target"),
        Kind::Admin => ("fed_admin.json", "/admin/port"),
    };
    (kit.folder.join("startup").join(name), place)
}

/// The port that a server's kit says.
pub fn port(server: &Kit) -> Option<u16> {
    let (path, place) = settings(server);
    let document: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    document.pointer(place)?.as_str()?.rsplit(':').next()?.parse().ok()
}

/// Makes all kits meet on this port.
///
/// # Errors
/// The file system's.
pub fn set_port(kits: &[Kit], port: u16) -> io::Result<()> {
    for kit in kits {
        let (path, place) = settings(kit);
        let mut document: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let value = if kit.kind == Kind::Admin { json!(port) } else { json!(format!("localhost:{port}")) };
        if let Some(old) = document.pointer_mut(place) {
            *old = value;
        }
        if let Some(old) = document.pointer_mut("/servers/0/admin_port") {
            *old = json!(port);
        }
        write_file(&path, &format!("{document:#}\n"))?;
    }
    Ok(())
}

/// Whether nobody listens on a port of the loopback.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Whether `free_port` may have chosen this one.
pub fn is_ours(port: u16) -> bool {
    PORTS.contains(&port)
}

/// A port that is free.
pub fn free_port() -> Option<u16> {
    // Two that look at the same time should not try the same ones.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let start = (now / 1000).wrapping_add(process::id().wrapping_mul(7919)) % u32::from(PORTS.end - PORTS.start);
    let start = PORTS.start + start as u16;
    (start..PORTS.end).chain(PORTS.start..start).find(|port| is_free(*port))
}
