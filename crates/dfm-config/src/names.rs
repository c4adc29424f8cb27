//! Which names can become Python names?

use dfm_diag::{Diagnostic, Span};

/// The longest name, in bytes. It becomes a part of files' names, of which file systems take 255, and `.py` or the folder's
/// draft is added to it.
pub const LONGEST: usize = 100;

/// Words that Python keeps for itself.
pub const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Modules that Python, or dfm, would find before a package of the user's.
const TAKEN: &[&str] = &[
    "abc",
    "aifc",
    "antigravity",
    "argparse",
    "array",
    "ast",
    "asynchat",
    "asyncio",
    "asyncore",
    "atexit",
    "audioop",
    "base64",
    "bdb",
    "binascii",
    "bisect",
    "builtins",
    "bz2",
    "cProfile",
    "calendar",
    "cgi",
    "cgitb",
    "chunk",
    "cmath",
    "cmd",
    "code",
    "codecs",
    "codeop",
    "collections",
    "colorsys",
    "compileall",
    "concurrent",
    "configparser",
    "contextlib",
    "contextvars",
    "copy",
    "copyreg",
    "crypt",
    "csv",
    "ctypes",
    "curses",
    "dataclasses",
    "datetime",
    "dbm",
    "decimal",
    "difflib",
    "dis",
    "distutils",
    "doctest",
    "email",
    "encodings",
    "ensurepip",
    "enum",
    "errno",
    "faulthandler",
    "fcntl",
    "filecmp",
    "fileinput",
    "fnmatch",
    "fractions",
    "ftplib",
    "functools",
    "gc",
    "genericpath",
    "getopt",
    "getpass",
    "gettext",
    "glob",
    "graphlib",
    "grp",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "http",
    "idlelib",
    "imaplib",
    "imghdr",
    "imp",
    "importlib",
    "inspect",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "keyword",
    "lib2to3",
    "linecache",
    "locale",
    "logging",
    "lzma",
    "mailbox",
    "mailcap",
    "marshal",
    "math",
    "mimetypes",
    "mmap",
    "modulefinder",
    "msilib",
    "msvcrt",
    "multiprocessing",
    "netrc",
    "nis",
    "nntplib",
    "nt",
    "ntpath",
    "nturl2path",
    "numbers",
    "opcode",
    "operator",
    "optparse",
    "os",
    "ossaudiodev",
    "pathlib",
    "pdb",
    "pickle",
    "pickletools",
    "pipes",
    "pkgutil",
    "platform",
    "plistlib",
    "poplib",
    "posix",
    "posixpath",
    "pprint",
    "profile",
    "pstats",
    "pty",
    "pwd",
    "py_compile",
    "pyclbr",
    "pydoc",
    "pydoc_data",
    "pyexpat",
    "queue",
    "quopri",
    "random",
    "re",
    "readline",
    "reprlib",
    "resource",
    "rlcompleter",
    "runpy",
    "sched",
    "secrets",
    "select",
    "selectors",
    "shelve",
    "shlex",
    "shutil",
    "signal",
    "site",
    "smtpd",
    "smtplib",
    "sndhdr",
    "socket",
    "socketserver",
    "spwd",
    "sqlite3",
    "sre_compile",
    "sre_constants",
    "sre_parse",
    "ssl",
    "stat",
    "statistics",
    "string",
    "stringprep",
    "struct",
    "subprocess",
    "sunau",
    "symtable",
    "sys",
    "sysconfig",
    "syslog",
    "tabnanny",
    "tarfile",
    "telnetlib",
    "tempfile",
    "termios",
    "textwrap",
    "this",
    "threading",
    "time",
    "timeit",
    "tkinter",
    "token",
    "tokenize",
    "tomllib",
    "trace",
    "traceback",
    "tracemalloc",
    "tty",
    "turtle",
    "turtledemo",
    "types",
    "typing",
    "unicodedata",
    "unittest",
    "urllib",
    "uu",
    "uuid",
    "venv",
    "warnings",
    "wave",
    "weakref",
    "webbrowser",
    "winreg",
    "winsound",
    "wsgiref",
    "xdrlib",
    "xml",
    "xmlrpc",
    "zipapp",
    "zipfile",
    "zipimport",
    "zlib",
    "zoneinfo",
    "dfm",
];

/// Whether a package of this name would hide a module of Python's or dfm's own, or be hidden by it.
pub fn is_taken(text: &str) -> bool {
    TAKEN.contains(&text)
}

/// Whether a text has the form of a Python name, which a keyword has too, and is no longer than one may be.
pub fn is_identifier(text: &str) -> bool {
    text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Whether a text can name a Python module or class: Python gives names such as `__init__` a meaning of their own.
pub fn is_name(text: &str) -> bool {
    is_identifier(text) && !KEYWORDS.contains(&text) && !is_pythons_own(text)
}

fn is_pythons_own(text: &str) -> bool {
    text.starts_with("__") && text.ends_with("__")
}

/// Whether a text is a dotted path of a Python class: a module and a name in it.
pub fn is_class_path(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_name)
}

/// That a text cannot be the name of `what`; `expected` says what the name is for.
pub fn invalid_name(text: &str, what: &str, span: Span, expected: &str) -> Diagnostic {
    Diagnostic::error("config-invalid-name", format!("`{text}` cannot be the name of {what}"))
        .at(span, expected)
        .help(advice(text))
}

/// Why a text cannot name a Python module or class, and what could instead.
pub fn advice(text: &str) -> String {
    if KEYWORDS.contains(&text) {
        return format!("`{text}` is a word of Python's own; `{text}_` is not");
    }
    if is_pythons_own(text) {
        return "names between `__` and `__` are Python's own; leave these out".to_owned();
    }
    if text.len() > LONGEST {
        return format!("use at most {LONGEST} letters and digits; these are {} bytes", text.len());
    }
    let mut good: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    if good.starts_with(|c: char| c.is_numeric()) || good.is_empty() {
        good.insert(0, '_');
    }
    format!("use letters, digits and `_`, as in `{good}`")
}
