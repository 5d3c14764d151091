//! Amounts as Kubernetes writes them, such as `500m` and `128Mi`.

/// Reads an amount. `None` if the text is none, or below zero.
pub(crate) fn read(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !plain {
        return exponent(text);
    }
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

/// Reads an amount such as `1e3`.
fn exponent(text: &str) -> Option<f64> {
    let (number, power) = text.split_once(['e', 'E'])?;
    let power = power.parse::<i32>().ok().filter(|power| power.abs() < 30)?;
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = number.parse::<f64>().ok().filter(|_| plain)?;
    Some(number * 10_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn amounts_are_read_as_the_api_server_reads_them() {
        for (text, amount) in [
            ("1", 1.0),
            ("0.5", 0.5),
            ("500m", 0.5),
            ("128Mi", 134_217_728.0),
            ("1e3", 1000.0),
            ("2G", 2e9),
            ("1n", 1e-9),
            ("1u", 1e-6),
            ("3k", 3e3),
            ("3M", 3e6),
            ("3T", 3e12),
            ("3P", 3e15),
            ("3E", 3e18),
            ("3Ki", 3_072.0),
            ("3Gi", 3_221_225_472.0),
            ("1Ti", 1_099_511_627_776.0),
            ("1Pi", 1_125_899_906_842_624.0),
            ("1Ei", 1_152_921_504_606_846_976.0),
            ("1.5E2", 150.0),
            ("1e-2", 0.01),
            ("1e29", 1e29),
        ] {
            assert_eq!(read(text), Some(amount), "{text}");
        }
        for wrong in [
            "", "m", "1x", "1MI", "128mi", "-1", "+1", "1 Mi", "1.2.3", "inf", "NaN", "1e", "e3",
            "１", "1e30", "1e-30", "+1e3", "-1e3",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
