//! Lengths of time as flows write them: in parts, in ISO 8601, or as an expression that gives ISO 8601.

use std::time::Duration;

/// The longest a flow may wait for anything; above it the flow is refused, or the task fails.
pub const LONGEST: Duration = Duration::from_secs(3_660 * 86_400);

const UNITS: &str = "write weeks, days, hours, minutes and seconds, for example PT30S, PT1H30M or P2D";

/// Reads `PT30S`, `P2D`, `P1W`, `PT0.5S`. Months and years have no fixed length and are refused.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; {UNITS}");
    let body = text.trim().strip_prefix('P').ok_or_else(wrong)?;
    let (date, time) = match body.split_once('T') {
        Some((_, "")) => return Err(wrong()),
        Some((date, time)) => (date, time),
        None => (body, ""),
    };
    if date.is_empty() && time.is_empty() {
        return Err(wrong());
    }
    let days = sum(date, &[('Y', 0), ('M', 0), ('W', 7 * 86_400), ('D', 86_400)]).map_err(|calendar| {
        if calendar {
            format!("{text:?} counts months or years, which have no fixed length; write days")
        } else {
            wrong()
        }
    })?;
    let clock = sum(time, &[('H', 3_600), ('M', 60), ('S', 1)]).map_err(|_| wrong())?;
    bounded(days.saturating_add(clock))
}

/// A length in ISO 8601: `PT1H30M`, `P2D`.
pub fn text(length: Duration) -> String {
    let seconds = length.as_secs();
    let parts = [(seconds / 86_400, 'D'), (seconds / 3_600 % 24, 'H'), (seconds / 60 % 60, 'M')];
    let shown = |(n, unit): &(u64, char)| if *n == 0 { String::new() } else { format!("{n}{unit}") };
    let days = shown(&parts[0]);
    let mut clock: String = parts[1..].iter().map(shown).collect();
    let (whole, millis) = (seconds % 60, length.subsec_millis());
    if millis > 0 {
        clock.push_str(&format!("{whole}.{millis:03}S"));
    } else if whole > 0 || (clock.is_empty() && days.is_empty()) {
        clock.push_str(&format!("{whole}S"));
    }
    if clock.is_empty() { format!("P{days}") } else { format!("P{days}T{clock}") }
}

/// `length`, unless it is beyond what a flow may wait.
pub fn bounded(length: Duration) -> Result<Duration, String> {
    if length > LONGEST {
        return Err(format!(
            "{} days is too long; at most {} are allowed",
            length.as_secs() / 86_400,
            LONGEST.as_secs() / 86_400
        ));
    }
    Ok(length)
}

/// Adds up `1H30M`; each unit once, in order, a fraction only in the last. `Err(true)`: a unit without a length.
fn sum(mut text: &str, units: &[(char, u64)]) -> Result<Duration, bool> {
    let mut total = Duration::ZERO;
    let mut units = units.iter();
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(false)?;
        let (number, rest) = text.split_at(end);
        let letter = rest.chars().next().ok_or(false)?;
        let (_, seconds) = units.find(|(unit, _)| *unit == letter).ok_or(false)?;
        if *seconds == 0 {
            return Err(true);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: u64 = whole.parse().map_err(|_| false)?;
        total = total.saturating_add(Duration::from_secs(whole.saturating_mul(*seconds)));
        if number.contains('.') {
            let digits = fraction.get(..fraction.len().min(9)).unwrap_or_default();
            let parts: u64 = digits.parse().map_err(|_| false)?;
            let scale = 10u64.pow(u32::try_from(digits.len()).unwrap_or(9));
            total = total.saturating_add(Duration::from_nanos(
                parts.saturating_mul(*seconds).saturating_mul(1_000_000_000 / scale),
            ));
            if rest.len() > letter.len_utf8() {
                return Err(false);
            }
        }
        text = &rest[letter.len_utf8()..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_8601_lengths_are_read() {
        for (text, millis) in [
            ("PT30S", 30_000),
            ("PT0.5S", 500),
            ("P2DT3H4M", 183_840_000),
            ("P1W", 604_800_000),
            ("PT1H30M", 5_400_000),
            ("P0D", 0),
            ("PT0.250S", 250),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "", "P", "PT", "30s", "PT30", "P1M", "P1Y", "PT1S1H", "PT1.5H1S", "P1S", "-PT1S", "PT1S2", "P99999D",
            "PT.S", "PTé",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["PT30S", "P2DT3H4M", "PT1H30M", "P7D", "PT0S", "PT0.250S", "PT1M0.500S"] {
            assert_eq!(super::text(parse(text).unwrap()), text);
        }
        assert!(parse("P1M").unwrap_err().contains("write days"));
    }
}
