//! Fields as people read them: `toLabel()` and `FORMAT()`.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::Scope;
use super::ast::Shown;
use crate::schema::Value;

/// The value as the user who asks reads it. A picklist's labels are its values here.
pub(super) fn shown(how: Shown, value: &Value, scope: &Scope<'_>) -> Value {
    if how == Shown::Label {
        return value.clone();
    }
    let mut users = scope.org.users.iter();
    let user = users.find(|user| user.id == scope.access.user_id);
    let locale = user.map_or("en_US", |user| user.locale.as_str());
    let zone = user.and_then(|user| TimeZone::get(&user.time_zone).ok());
    let zone = zone.unwrap_or(TimeZone::UTC);
    let (day, time) = forms(locale);
    let text = match value {
        Value::Date(date) => strtime::format(day, *date).ok(),
        Value::DateTime(at) => format_time(&format!("{day}{time}"), *at, zone),
        Value::Int(number) => Some(grouped(*number as f64)),
        Value::Double(number) => Some(grouped(*number)),
        Value::Null | Value::Bool(_) | Value::Text(_) => None,
    };
    text.map_or_else(|| value.clone(), Value::text)
}

/// Day and time of day as the locale writes them.
fn forms(locale: &str) -> (&'static str, &'static str) {
    match locale {
        "en_US" => ("%-m/%-d/%Y", ", %-I:%M %p"),
        "ja_JP" => ("%Y/%m/%d", " %-H:%M"),
        "de_DE" => ("%d.%m.%Y", ", %H:%M"),
        "en_GB" => ("%d/%m/%Y", ", %H:%M"),
        _ => ("%Y-%m-%d", " %H:%M"),
    }
}

fn format_time(form: &str, at: Timestamp, zone: TimeZone) -> Option<String> {
    strtime::format(form, &at.to_zoned(zone)).ok()
}

/// A number with its thousands apart.
fn grouped(number: f64) -> String {
    let text = number.abs().to_string();
    let (whole, rest) = text
        .split_once('.')
        .map_or((&*text, None), |(a, b)| (a, Some(b)));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let rest = rest.map(|rest| format!(".{rest}")).unwrap_or_default();
    format!("{sign}{out}{rest}")
}
