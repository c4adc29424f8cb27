//! At which times is a rule of a site's policy about a call?
//!
//! All is UTC, as a day of `per-day` is, so that no change of clocks opens or closes anything.

use dfm_diag::{Diagnostic, nearest};
use serde::{Deserialize, Serialize};

use crate::fields::{Faults, Fields, listed};
use crate::format::{Kind, Others, Shape, key};
use crate::policy_rules::texts;
use crate::tree::Entry;

/// The days of a week.
const DAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// `when` of a rule.
pub static WHEN: Shape = Shape {
    what: "`when`",
    others: Others::Refused,
    keys: &[
        key("days", Kind::Texts, "Days of the week, such as `monday`; all if not given."),
        key("from", Kind::Text, "From when on in a day, as `\"08:00\"` (UTC)."),
        key("to", Kind::Text, "Until when in a day, as `\"18:00\"` (UTC), which is later than `from`."),
        key("since", Kind::Text, "The first day, as `2026-01-31` (UTC)."),
        key("until", Kind::Text, "The last day, as `2026-12-31` (UTC)."),
    ],
};

/// When a rule holds; `None` for what is not bounded. Times and days are texts that compare as what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// Days of the week.
    pub days: Option<Vec<String>>,
    /// `HH:MM`.
    pub from: Option<String>,
    /// `HH:MM`, and no longer.
    pub to: Option<String>,
    /// `YYYY-MM-DD`.
    pub since: Option<String>,
    /// `YYYY-MM-DD`, that day included.
    pub until: Option<String>,
}

impl When {
    /// For whoever reads what a rule says.
    pub fn told(&self) -> String {
        let said = [("from", &self.from), ("to", &self.to), ("since", &self.since), ("until", &self.until)];
        let days = self.days.iter().map(|days| format!("on {}", days.join(", ")));
        let rest = said.into_iter().filter_map(|(word, text)| text.as_ref().map(|text| format!("{word} {text}")));
        days.chain(rest).collect::<Vec<_>>().join(" ") + " (UTC)"
    }
}

/// What `when` says.
pub fn when(entry: &Entry, faults: &mut Faults) -> Option<When> {
    let fields = Fields::of(&WHEN, &entry.value, entry.key, faults)?;
    let days = texts(&fields, "days", faults);
    for day in days.iter().flatten().filter(|day| !DAYS.contains(&day.as_str())) {
        let span = fields.get("days").map_or(entry.key, |entry| entry.value.span);
        let fault = Diagnostic::error("config-wrong-value", format!("no day of the week is called `{day}`"))
            .at(span, format!("expected of {}", listed(DAYS.iter().copied())));
        faults.push(match nearest(day, DAYS.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        });
    }
    let when = When {
        days,
        from: formed(&fields, "from", "a time of a day, as `\"08:00\"`", is_time, faults),
        to: formed(&fields, "to", "a time of a day, as `\"18:00\"`", is_time, faults),
        since: formed(&fields, "since", "a day, as `2026-01-31`", is_date, faults),
        until: formed(&fields, "until", "a day, as `2026-12-31`", is_date, faults),
    };
    for (first, last, of) in [(&when.from, &when.to, ("from", "to")), (&when.since, &when.until, ("since", "until"))] {
        let never =
            matches!((first, last), (Some(first), Some(last)) if first > last || (of.0 == "from" && first == last));
        if let Some(entry) = fields.get(of.1).filter(|_| never) {
            faults.push(
                Diagnostic::error("config-wrong-value", format!("`{}` is not after `{}`", of.1, of.0))
                    .at(entry.value.span, "so this is never")
                    .help("for what goes over midnight, write two rules"),
            );
        }
    }
    if when == When::default() {
        faults.push(
            Diagnostic::error("config-missing-key", "`when` says nothing")
                .at(entry.key, "says nothing")
                .help("say `days`, `from`, `to`, `since` or `until`, or leave it out"),
        );
    }
    Some(when)
}

fn formed(
    fields: &Fields,
    key: &'static str,
    wanted: &str,
    is_good: fn(&str) -> bool,
    faults: &mut Faults,
) -> Option<String> {
    let text = fields.text(key, faults)?;
    if !is_good(&text) {
        let span = fields.get(key).map_or(fields.owner, |entry| entry.value.span);
        faults.push(
            Diagnostic::error("config-wrong-value", format!("`{key}` cannot be `{text}`"))
                .at(span, format!("expected {wanted}")),
        );
    }
    Some(text)
}

/// The numbers in a text of digits with one character between them, each of so many digits.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u32; N]> {
    let parts: Vec<&str> = text.split(between).collect();
    let mut found = [0; N];
    if parts.len() != N {
        return None;
    }
    for ((part, wanted), number) in parts.iter().zip(digits).zip(&mut found) {
        if part.len() != wanted || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    Some(found)
}

fn is_time(text: &str) -> bool {
    numbers(text, ':', [2, 2])
        .is_some_and(|[hours, minutes]| (hours < 24 && minutes < 60) || (hours, minutes) == (24, 0))
}

fn is_date(text: &str) -> bool {
    numbers(text, '-', [4, 2, 2]).is_some_and(|[year, month, day]| {
        let leaps = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leaps),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&day)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_dates_are_real_ones() {
        for (text, good) in
            [("08:00", true), ("24:00", true), ("24:01", false), ("8:00", false), ("08:60", false), ("+8:00", false)]
        {
            assert_eq!(is_time(text), good, "{text}");
        }
        for (text, good) in [
            ("2024-02-29", true),
            ("2026-02-29", false),
            ("2026-13-01", false),
            ("2026-1-01", false),
            ("2026-01-00", false),
        ] {
            assert_eq!(is_date(text), good, "{text}");
        }
    }
}
