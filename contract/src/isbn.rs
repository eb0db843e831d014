//! International Standard Book Numbers, by the ISBN Users' Manual: ISBN-10 and ISBN-13, told apart by length, proved by a check digit.

/// The ISBN-13 without hyphens and spaces, or `None` for what is neither a valid ISBN-10 nor ISBN-13. A book that has both is one
/// book, so that an ISBN-10 is taken for the ISBN-13 that it stands for.
pub fn normalize(text: &str) -> Option<String> {
    if text.len() > 32 {
        return None;
    }
    let number: String = text.chars().filter(|&c| c != '-' && c != ' ').map(|c| c.to_ascii_uppercase()).collect();
    match number.len() {
        10 if is_isbn10(&number) => Some(with_check_digit(format!("978{}", &number[..9]))),
        13 if (number.starts_with("978") || number.starts_with("979")) && is_isbn13(&number) => Some(number),
        _ => None,
    }
}

/// The ISBN-13 with the given serial after the prefix 978: for catalogues made up by tests and benchmarks. Only the last nine digits of
/// `serial` count.
pub fn synthetic(serial: u64) -> String {
    with_check_digit(format!("978{:09}", serial % 1_000_000_000))
}

fn with_check_digit(first_twelve: String) -> String {
    let check = (10 - weighted_sum(&first_twelve) % 10) % 10;
    format!("{first_twelve}{check}")
}

fn weighted_sum(digits: &str) -> u32 {
    digits.bytes().zip([1, 3].into_iter().cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum()
}

fn is_isbn13(number: &str) -> bool {
    number.bytes().all(|byte| byte.is_ascii_digit()) && weighted_sum(number).is_multiple_of(10)
}

fn is_isbn10(number: &str) -> bool {
    let mut sum = 0;
    for (position, byte) in number.bytes().enumerate() {
        let value = match byte {
            b'0'..=b'9' => u32::from(byte - b'0'),
            b'X' if position == 9 => 10,
            _ => return false,
        };
        sum += value * (10 - u32::try_from(position).unwrap_or(10));
    }
    sum.is_multiple_of(11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_both_lengths_with_hyphens() {
        for (text, number) in [
            ("978-0-13-235088-4", "9780132350884"),
            ("0132350882", "9780132350884"),
            ("0-8044-2957-x", "9780804429573"),
            ("978 0441172719", "9780441172719"),
        ] {
            assert_eq!(normalize(text).as_deref(), Some(number), "{text}");
        }
    }

    #[test]
    fn refuses_wrong_check_digits_and_other_text() {
        for text in [
            "9780132350885",
            "0132350883",
            "",
            "978",
            "9770132350884",
            "X132350882",
            "97801323é0884",
            "9780132350884\0",
        ] {
            assert_eq!(normalize(text), None, "{text}");
        }
    }

    #[test]
    fn synthetic_numbers_are_valid_and_distinct() {
        for serial in [0, 1, 999, 123_456_789] {
            assert_eq!(normalize(&synthetic(serial)), Some(synthetic(serial)));
        }
        assert_ne!(synthetic(1), synthetic(2));
    }
}
