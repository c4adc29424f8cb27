//! What does `dfm ui` do?

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use dfm_diag::Diagnostic;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::NamedTempFile;

use crate::args::Ui;
use crate::context::{Context, Failure};
use crate::program;
use crate::ui::{Guard, Page, http};

/// The most requests that are answered at the same time.
const MOST_CONNECTIONS: usize = 32;
/// So many ports are tried where any will do.
const MOST_PORTS: usize = 20;

/// Serves the page until a signal ends it.
///
/// # Errors
/// The port is taken, or the system refuses what is needed.
pub fn run(context: &Context, args: &Ui) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed(Diagnostic::error("ui-failed", format!("no page: {error}")));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
    let (listeners, port) = listen(args.port).map_err(|error| taken(args.port, &error))?;
    let guard = Guard::new(port).map_err(failed)?;
    let address = guard.address();
    let page = Arc::new(Page::new(context.clone(), guard));
    let connections = Arc::<Connections>::default();
    for listener in listeners {
        let (connections, page) = (Arc::clone(&connections), Arc::clone(&page));
        thread::spawn(move || serve(&listener, &connections, &page));
    }
    if context.output.json {
        context.output.document(&serde_json::json!({"address": address}));
    } else {
        context.output.result(&address);
    }
    context.output.status("whoever knows this address can see and do here what you can; Ctrl-C ends the page");
    // Both are there until the page ends.
    let _opened = if args.no_open { None } else { open(context, &address) };
    signals.forever().next();
    page.end();
    Ok(())
}

fn taken(port: u16, error: &io::Error) -> Failure {
    let message = format!("no page at 127.0.0.1:{port}: {error}");
    let help = match error.kind() {
        ErrorKind::AddrInUse => "something else listens there; leave `--port` out, and a free one is taken",
        _ => "leave `--port` out, and a free one is taken",
    };
    Failure::failed(Diagnostic::error("ui-port", message).help(help))
}

/// Takes a port of this machine, by both of its addresses: a browser tries the one after the other, and nobody else is to
/// answer there.
fn listen(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut left = if port == 0 { MOST_PORTS } else { 1 };
    loop {
        left -= 1;
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = first.local_addr()?.port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(second) => return Ok((vec![first, second], port)),
            Err(error) if error.kind() == ErrorKind::AddrInUse && left > 0 => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            // A machine without such addresses has nobody there.
            Err(_) => return Ok((vec![first], port)),
        }
    }
}

fn serve(listener: &TcpListener, connections: &Arc<Connections>, page: &Arc<Page>) {
    for stream in listener.incoming().flatten() {
        let Some(one) = Connections::admit(connections, stream) else { continue };
        let page = Arc::clone(page);
        thread::spawn(move || {
            let read = http::read(&one.stream);
            one.is_heard();
            let answer = match read {
                Ok(request) => Some(page.answer(&request)),
                Err(refused) => refused,
            };
            if let Some(answer) = answer {
                http::write(&one.stream, &answer);
            }
        });
    }
}

/// The connections that there are.
#[derive(Default)]
struct Connections {
    open: AtomicUsize,
    /// Those of which no whole request has come, the oldest first.
    silent: Mutex<VecDeque<Arc<TcpStream>>>,
}

impl Connections {
    /// Takes one more. Where there are as many as may be, the oldest silent one gives way: any account of this machine can
    /// open them, and say nothing.
    fn admit(all: &Arc<Self>, stream: TcpStream) -> Option<One> {
        let one = One { all: Arc::clone(all), stream: Arc::new(stream) };
        let open = all.open.fetch_add(1, Ordering::Relaxed) + 1;
        let mut silent = all.silent();
        if open > MOST_CONNECTIONS {
            let _ = silent.pop_front()?.shutdown(Shutdown::Both);
        }
        silent.push_back(Arc::clone(&one.stream));
        drop(silent);
        Some(one)
    }

    fn silent(&self) -> MutexGuard<'_, VecDeque<Arc<TcpStream>>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that are counted, until it is over.
struct One {
    all: Arc<Connections>,
    stream: Arc<TcpStream>,
}

impl One {
    /// What it wants is known, or that nothing will come.
    fn is_heard(&self) {
        self.all.silent().retain(|silent| !Arc::ptr_eq(silent, &self.stream));
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.all.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Has the user's browser open the page, by a file of the user's own that leads there: every user of a machine can see
/// what a program is started with.
fn open(context: &Context, address: &str) -> Option<(NamedTempFile, Child)> {
    let told =
        |error: &io::Error| context.output.status(&format!("no browser was opened ({error}); open the address above"));
    let file = || {
        let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, Into::into);
        let mut file = tempfile::Builder::new().prefix("dfm-ui-").suffix(".html").tempfile_in(folder)?;
        writeln!(file, "<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={address}\">")?;
        Ok(file)
    };
    let file = file().inspect_err(told).ok()?;
    let mut command = program::any("xdg-open");
    command.arg(file.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().inspect_err(told).ok()?;
    Some((file, child))
}
