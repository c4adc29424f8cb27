//! Where does a Python formatter with a line length of 88 break lines?

use std::fmt;

/// Columns of a line, as Python's formatters count by default.
const WIDTH: usize = 88;

/// An expression in an annotation or a default.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A name or a literal; never broken.
    Atom(String),
    /// `head[items]`.
    Subscript(String, Vec<Expr>),
    /// `head(items)`.
    Call(String, Vec<Expr>),
    /// `a | b`.
    Union(Vec<Expr>),
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Atom(text) => f.write_str(text),
            Expr::Subscript(head, items) => write!(f, "{head}[{}]", flat(items, ", ")),
            Expr::Call(head, items) => write!(f, "{head}({})", flat(items, ", ")),
            Expr::Union(members) => f.write_str(&flat(members, " | ")),
        }
    }
}

impl Expr {
    /// A name or a literal.
    pub fn atom(text: impl Into<String>) -> Self {
        Expr::Atom(text.into())
    }

    /// The union of `members`, each once, in their order, `None` last, and all literals in one `Literal`.
    pub fn union(members: impl IntoIterator<Item = Expr>) -> Self {
        let mut distinct: Vec<Expr> = Vec::new();
        let members = members.into_iter();
        for mut part in members.flat_map(|member| if let Expr::Union(parts) = member { parts } else { vec![member] }) {
            let literals = distinct.iter_mut().find_map(Expr::literals);
            if let (Some(literals), Some(more)) = (literals, part.literals()) {
                more.retain(|value| !literals.contains(value));
                literals.append(more);
            } else if !distinct.contains(&part) {
                distinct.push(part);
            }
        }
        distinct.sort_by_key(|member| *member == Expr::atom("None"));
        if distinct.len() == 1 { distinct.remove(0) } else { Expr::Union(distinct) }
    }

    /// The values of a `Literal[values]`, which an import may have renamed.
    fn literals(&mut self) -> Option<&mut Vec<Expr>> {
        match self {
            Expr::Subscript(head, values) if head.trim_end_matches('_') == "Literal" => Some(values),
            _ => None,
        }
    }

    /// Broken at its own brackets, where it has some; the first line starts at `indent` or after it.
    fn broken(&self, indent: usize) -> String {
        let (head, [open, close], items) = match self {
            Expr::Subscript(head, items) => (head, ["[", "]"], items),
            Expr::Call(head, items) => (head, ["(", ")"], items),
            Expr::Atom(_) | Expr::Union(_) => return self.to_string(),
        };
        let inner = indent + 4;
        let line = flat(items, ", ");
        let content = if fits(inner, &line) {
            format!("{}{line}\n", pad(inner))
        } else {
            let comma = if items.len() == 1 && open == "[" { "" } else { "," };
            items.iter().map(|item| format!("{}{}{comma}\n", pad(inner), item.laid_out(inner, comma.len()))).collect()
        };
        format!("{head}{open}\n{content}{}{close}", pad(indent))
    }

    /// On a line of its own, inside brackets, with `after` columns behind it.
    fn laid_out(&self, indent: usize, after: usize) -> String {
        let line = self.to_string();
        if indent + width(&line) + after <= WIDTH {
            return line;
        }
        let Expr::Union(members) = self else { return self.broken(indent) };
        let operator = "| ".len();
        let last = members.len() - 1;
        let members = members.iter().enumerate().map(|(place, member)| {
            let before = if place == 0 { 0 } else { operator };
            member.laid_out(indent, before + if place == last { after } else { 0 })
        });
        members.collect::<Vec<_>>().join(&format!("\n{}| ", pad(indent)))
    }
}

/// The statement `name: annotation = value`.
pub fn field(indent: usize, name: &str, annotation: &Expr, value: Option<&Expr>) -> String {
    format!("{}{}\n", pad(indent), field_from(indent, name, annotation, value))
}

fn field_from(indent: usize, name: &str, annotation: &Expr, value: Option<&Expr>) -> String {
    let Some(value) = value else {
        let line = format!("{name}: {annotation}");
        return match annotation {
            _ if fits(indent, &line) => line,
            Expr::Union(_) => format!("{name}: {}", parenthesized(annotation, indent)),
            _ => format!("{name}: {}", annotation.broken(indent)),
        };
    };
    let head = format!("{name}: {annotation} = ");
    let line = format!("{head}{value}");
    if fits(indent, &line) {
        return line;
    }
    if let Expr::Call(callee, _) = value
        && fits(indent, &format!("{head}{callee}("))
    {
        return format!("{head}{}", value.broken(indent));
    }
    if fits(indent, &format!("{head}(")) || matches!(annotation, Expr::Atom(_)) {
        return format!("{head}{}", parenthesized(value, indent));
    }
    let annotation = match annotation {
        Expr::Union(_) => parenthesized(annotation, indent),
        _ => annotation.broken(indent),
    };
    let behind_bracket = 1 + " = ".len();
    let value =
        if fits(indent + behind_bracket, &value.to_string()) { value.to_string() } else { value.broken(indent) };
    format!("{name}: {annotation} = {value}")
}

/// The statement `name = value`, at the margin.
pub fn assignment(name: &str, value: &Expr) -> String {
    let line = format!("{name} = {value}\n");
    match value {
        _ if fits(0, line.trim_end()) => line,
        Expr::Subscript(..) | Expr::Call(..) => format!("{name} = {}\n", value.broken(0)),
        Expr::Atom(_) | Expr::Union(_) => format!("{name} = {}\n", parenthesized(value, 0)),
    }
}

/// The line `class name(arguments):`.
pub fn class_header(name: &str, arguments: Vec<Expr>) -> String {
    let header = Expr::Call(format!("class {name}"), arguments);
    let line = header.to_string();
    let header = if fits(":".len(), &line) { line } else { header.broken(0) };
    header + ":\n"
}

/// The statement `from module import names`.
pub fn import(module: &str, names: &[&str]) -> String {
    let line = format!("from {module} import {}", names.join(", "));
    if fits(0, &line) {
        return line + "\n";
    }
    let names: String = names.iter().map(|name| format!("    {name},\n")).collect();
    format!("from {module} import (\n{names})\n")
}

/// A docstring: the text's own indentation is kept, long lines are broken between words. Nothing for an empty text.
pub fn docstring(indent: usize, text: &str) -> String {
    let text: String = text
        .replace("\r\n", "\n")
        .replace('\t', "    ")
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    let text = text.trim().replace('\\', r"\\").replace(r#"""""#, r#"\"\"\""#);
    if text.is_empty() {
        return String::new();
    }
    let margin = pad(indent);
    let opening = if text.starts_with('"') { "\"\"\" " } else { "\"\"\"" };
    let lines = wrapped(&text, indent, opening.len() + " \"\"\"".len());
    if let [line] = &lines[..] {
        let before_quote = line.strip_suffix('"');
        let is_open = before_quote.is_some_and(|rest| (rest.len() - rest.trim_end_matches('\\').len()) % 2 == 0);
        let space = if is_open { " " } else { "" };
        return format!("{margin}{opening}{line}{space}\"\"\"\n");
    }
    let mut out = format!("{margin}{opening}");
    for (place, line) in lines.iter().enumerate() {
        if place > 0 && !line.is_empty() {
            out += &margin;
        }
        out += line;
        out.push('\n');
    }
    out + &margin + "\"\"\"\n"
}

/// The lines of a text, without its common indentation; `quotes`: columns that the first one has to share.
fn wrapped(text: &str, indent: usize, quotes: usize) -> Vec<String> {
    let margin = text.lines().skip(1).filter(|line| !line.trim().is_empty()).map(leading).min().unwrap_or(0);
    let mut lines: Vec<String> = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let line = if place == 0 { line } else { line.get(margin..).unwrap_or("") };
        let own = pad(leading(line));
        let mut start = indent + if place == 0 { quotes } else { 0 };
        if fits(start, line) {
            lines.push(line.to_owned());
            continue;
        }
        let mut current = own.clone();
        for word in line.split_whitespace() {
            if current.len() > own.len() && !fits(start + " ".len() + width(word), &current) {
                lines.push(std::mem::replace(&mut current, own.clone()));
                start = indent;
            }
            if current.len() > own.len() {
                current.push(' ');
            }
            current += word;
        }
        lines.push(current);
    }
    lines
}

fn leading(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn parenthesized(expr: &Expr, indent: usize) -> String {
    format!("(\n{}{}\n{})", pad(indent + 4), expr.laid_out(indent + 4, 0), pad(indent))
}

fn flat(items: &[Expr], separator: &str) -> String {
    items.iter().map(Expr::to_string).collect::<Vec<_>>().join(separator)
}

fn fits(indent: usize, line: &str) -> bool {
    indent + width(line) <= WIDTH
}

fn width(text: &str) -> usize {
    text.chars().count()
}

pub fn pad(indent: usize) -> String {
    " ".repeat(indent)
}
