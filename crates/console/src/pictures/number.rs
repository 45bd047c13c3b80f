//! Numbers as people read them.

/// A number with its thousands apart.
pub(super) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// How many addresses: in full up to a hundred millions, otherwise as a power of two, or near one.
pub(super) fn addresses(number: u128) -> String {
    if number < 100_000_000 {
        return grouped(number);
    }
    let power = number.ilog2();
    // Less than a millionth away.
    let near = |power: u32| 1u128.checked_shl(power).is_some_and(|it| it.abs_diff(number) < number / 1_000_000);
    let power = if near(power + 1) { power + 1 } else { power };
    let sign = if number == 1u128.checked_shl(power).unwrap_or(0) { "" } else { "≈ " };
    format!("{sign}2{}", raised(power))
}

/// A number as an exponent.
fn raised(number: u32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    number.to_string().bytes().map(|digit| DIGITS[usize::from(digit - b'0') % 10]).collect()
}

/// A number with a prefix of the thousands and three digits: `1.25 G`.
pub(super) fn scaled(number: f64, unit: &str) -> String {
    const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    let mut number = if number.is_finite() { number.max(0.0) } else { 0.0 };
    let mut at = 0;
    while number >= 999.5 && at + 1 < PREFIXES.len() {
        number /= 1000.0;
        at += 1;
    }
    let digits = match number {
        it if it >= 99.95 || (at == 0 && it.fract() == 0.0) => 0,
        it if it >= 9.995 => 1,
        _ => 2,
    };
    let mut shown = format!("{number:.digits$}");
    if shown.contains('.') {
        shown.truncate(shown.trim_end_matches('0').trim_end_matches('.').len());
    }
    let unit = format!("{}{unit}", PREFIXES[at]);
    if unit.is_empty() { shown } else { format!("{shown} {unit}") }
}

/// Bits per second.
pub(super) fn bit_rate(bits: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    scaled(bits as f64, "bit/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(addresses(16_777_216), "16,777,216");
        assert_eq!(addresses(1 << 64), "2⁶⁴");
        assert_eq!(addresses((1 << 64) - 10), "≈ 2⁶⁴");
        assert_eq!(addresses(3 << 62), "≈ 2⁶³");
        assert_eq!(addresses(u128::MAX), "≈ 2¹²⁷");
        assert_eq!(bit_rate(0), "0 bit/s");
        assert_eq!(bit_rate(1_250_000_000), "1.25 Gbit/s");
        assert_eq!(bit_rate(999_999), "1 Mbit/s");
        assert_eq!(scaled(12.34, ""), "12.3");
        assert_eq!(scaled(1500.0, ""), "1.5 k");
        assert_eq!(scaled(f64::NAN, "B"), "0 B");
    }
}
