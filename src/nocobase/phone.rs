//! Which spellings of a phone number are one number, and which are not.
//!
//! WeCom writes numbers of mainland China as `13800001234` and others as `+1 3800001234`; in NocoBase, people have entered them
//! in various ways. Treating two people's numbers as one would sign one in as the other, so a number counts only if its country
//! is certain: `+`, `00`, or the form of a Chinese mobile number (with or without `86`).

use std::fmt::Write as _;

/// A phone number with its country, `+8613800001234`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Phone {
    /// Country code and number, digits only.
    digits: String,
}

impl std::fmt::Debug for Phone {
    /// Numbers are personal data: the last two digits are enough to recognise one in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phone(..")?;
        self.digits.chars().skip(self.digits.len().saturating_sub(2)).try_for_each(|c| f.write_char(c))?;
        f.write_str(")")
    }
}

/// `1[3-9]` and nine more digits: a mobile number in mainland China.
fn is_chinese_mobile(digits: &str) -> bool {
    let mut b = digits.bytes();
    digits.len() == 11 && b.next() == Some(b'1') && b.next().is_some_and(|c| (b'3'..=b'9').contains(&c))
}

impl Phone {
    /// `None`: not a number, or its country is uncertain.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut digits = String::with_capacity(16);
        let mut plus = false;
        for c in text.trim_matches(' ').chars() {
            match c {
                '0'..='9' if digits.len() < 20 => digits.push(c),
                '+' if digits.is_empty() && !plus => plus = true,
                ' ' | '-' | '(' | ')' | '.' | '\u{a0}' => {}
                // Anything else (a masked `138****1234`, an extension, non-ASCII digits) is not used for matching.
                _ => return None,
            }
        }
        let international = if plus { Some(digits.as_str()) } else { digits.strip_prefix("00") };
        let digits = match international {
            Some(d) => d.to_owned(),
            None if is_chinese_mobile(&digits) => format!("86{digits}"),
            None => {
                digits.strip_prefix("86").filter(|rest| is_chinese_mobile(rest)).map(|_| digits.clone())?
            }
        };
        // E.164: at most 15 digits, and no country code begins with 0.
        let plausible = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
        plausible.then_some(Self { digits })
    }

    /// `13800001234`, if it is a mobile number in mainland China.
    fn chinese(&self) -> Option<&str> {
        self.digits.strip_prefix("86").filter(|rest| is_chinese_mobile(rest))
    }

    /// How the gate writes it into NocoBase: in NocoBase's usual form, `13800001234` for China, otherwise `+13800001234`.
    pub(crate) fn stored(&self) -> String {
        self.chinese().map_or_else(|| format!("+{}", self.digits), str::to_owned)
    }

    /// The spellings to ask NocoBase for; the results are compared as [`Phone`] again.
    pub(crate) fn spellings(&self) -> Vec<String> {
        let all = &self.digits;
        let mut out = vec![format!("+{all}"), format!("00{all}")];
        if let Some(national) = self.chinese() {
            let (operator, rest) = national.split_at_checked(3).unwrap_or((national, ""));
            let (middle, last) = rest.split_at_checked(4).unwrap_or((rest, ""));
            let grouped = [
                national.to_owned(),
                format!("{operator} {middle} {last}"),
                format!("{operator}-{middle}-{last}"),
            ];
            for n in &grouped {
                for prefix in [
                    "", "+86", "+86 ", "+86-", "86", "86 ", "86-", "0086", "0086 ", "0086-", "(+86)",
                    "(+86) ",
                ] {
                    out.push(format!("{prefix}{n}"));
                }
            }
        } else {
            // Country codes have one to three digits. Never without `+` or `00`: `13800001234` is a Chinese number.
            for at in 1..=3 {
                if let Some((country, rest)) = all.split_at_checked(at) {
                    for form in ["+C R", "+C-R", "00C R", "00C-R", "(+C)R", "(+C) R"] {
                        out.push(form.replace('C', country).replace('R', rest));
                    }
                }
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Phone;
    use proptest::prelude::*;

    #[test]
    fn r21_which_spellings_are_one_number() {
        const CHINA: Option<&str> = Some("13800001234");
        for (text, stored) in [
            ("13800001234", CHINA),
            ("+8613800001234", CHINA),
            ("+86-13800001234", CHINA),
            ("+86 138 0000 1234", CHINA),
            ("86 13800001234", CHINA),
            ("8613800001234", CHINA),
            ("008613800001234", CHINA),
            ("0086-138-0000-1234", CHINA),
            ("(+86) 13800001234", CHINA),
            (" 138-0000-1234 ", CHINA),
            // Another country, same digits.
            ("+13800001234", Some("+13800001234")),
            ("+1 3800001234", Some("+13800001234")),
            ("+1-380-000-1234", Some("+13800001234")),
            ("0013800001234", Some("+13800001234")),
            ("+852 61234567", Some("+85261234567")),
            // `+86` with a trunk zero, or twice: not taken for the mobile number.
            ("+86013800001234", Some("+86013800001234")),
            ("+868613800001234", Some("+868613800001234")),
            // The country is uncertain.
            ("3800001234", None),
            ("1 3800001234 5", None),
            ("013800001234", None),
            ("12800001234", None),
            ("61234567", None),
            ("85261234567", None),
            ("1380000123", None),
            // Not numbers.
            ("", None),
            (" ", None),
            ("+", None),
            ("00", None),
            ("+0013800001234", None),
            ("138****1234", None),
            ("13800001234x9", None),
            ("13800001234,13900001234", None),
            ("1380000+1234", None),
            ("++8613800001234", None),
            ("１３８００００１２３４", None),
            ("١٣٨٠٠٠٠١٢٣٤", None),
            ("13800001234\u{200b}", None),
            ("13800001234\n", None),
            ("null", None),
        ] {
            assert_eq!(Phone::parse(text).map(|p| p.stored()).as_deref(), stored, "{text:?}");
        }
    }

    #[test]
    fn the_spellings_asked_for_hold_those_of_the_documentation() {
        let asked = Phone::parse("13800001234").unwrap().spellings();
        for form in ["13800001234", "+8613800001234", "+86-13800001234", "86 13800001234", "008613800001234"]
        {
            assert!(asked.iter().any(|s| s == form), "{form}");
        }
        assert!(!Phone::parse("+13800001234").unwrap().spellings().iter().any(|s| s == "13800001234"));
    }

    #[test]
    fn r27_debug_does_not_show_the_number() {
        let shown = format!("{:?}", Phone::parse("13800001234").unwrap());
        assert_eq!(shown, "Phone(..34)");
    }

    proptest! {
        #[test]
        fn every_spelling_asked_for_is_the_same_number(digits in "[1-9][0-9]{6,14}") {
            let phone = Phone::parse(&format!("+{digits}")).unwrap();
            prop_assert_eq!(&Phone::parse(&phone.stored()), &Some(phone.clone()));
            for s in phone.spellings() {
                prop_assert_eq!(Phone::parse(&s), Some(phone.clone()), "{}", s);
            }
        }

        #[test]
        fn chinese_numbers_survive_any_separators(digits in "1[3-9][0-9]{9}", seps in "[ .()-]{11}") {
            let spaced: String = digits.chars().zip(seps.chars()).flat_map(|(d, s)| [d, s]).collect();
            prop_assert_eq!(Phone::parse(&spaced).map(|p| p.stored()), Some(digits.clone()));
            // The same digits after another country code belong to another person.
            prop_assert_ne!(Phone::parse(&format!("+{digits}")), Phone::parse(&digits));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            if let Some(p) = Phone::parse(&text) {
                p.spellings();
            }
        }
    }
}
