//! How does `dfm explain` say what a diagnostic's code means?

use dfm_diag::{CODES, Diagnostic, nearest};
use serde_json::json;

use crate::context::{Context, Failure};

/// How many codes are named that begin like one that there is not.
const NAMED: usize = 12;

/// Says what there is to know of a code.
///
/// # Errors
/// There is no such code.
pub fn run(context: &Context, code: &str) -> Result<(), Failure> {
    let Some(known) = CODES.iter().find(|known| known.code == code) else { return Err(unknown(code)) };
    if context.output.json {
        context.output.document(&json!({"code": known.code, "meaning": known.meaning, "example": known.example,
            "remedy": known.remedy}));
    } else {
        let (meaning, example, remedy) = (known.meaning, known.example, known.remedy);
        context.output.result(&format!("{code}: {meaning}\n\nfor example: {example}\n\nhelp: {remedy}"));
    }
    Ok(())
}

fn unknown(code: &str) -> Failure {
    let names = || CODES.iter().map(|known| known.code);
    let kind = code.split('-').next().unwrap_or(code);
    let alike: Vec<&str> = names().filter(|name| name.split('-').next() == Some(kind)).take(NAMED).collect();
    let help = match (nearest(code, names()), &alike[..]) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "it stands in brackets before a problem's text, such as `config-unknown-key`".to_owned(),
        (None, alike) => format!("these begin like it: {}", alike.join(", ")),
    };
    Failure::wrong(Diagnostic::error("explain-unknown-code", format!("no problem has the code `{code}`")).help(help))
}
