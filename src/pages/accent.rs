//! The colour of buttons that a company chooses, and the colours derived from it.

use std::fmt;

/// Channels of a colour, red first.
type Rgb = [u8; 3];

const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];
/// Background of the card in dark mode, on which the icon is shown.
const DARK_CARD: Rgb = [0x1f, 0x1f, 0x1f];
/// Minimum contrast of text (WCAG 2.2, 1.4.3, level AA).
const READABLE: f64 = 4.5;

/// A colour on which white text is readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accent(Rgb);

/// Why a colour cannot be used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum BadAccent {
    /// Not `#rrggbb`.
    Form,
    /// White text on it has only this contrast.
    Contrast(f64),
}

impl Accent {
    /// From `#rrggbb`.
    pub(crate) fn parse(text: &str) -> Result<Accent, BadAccent> {
        let digits = text.strip_prefix('#').ok_or(BadAccent::Form)?;
        let rgb: Rgb = hex::decode(digits).ok().and_then(|b| b.try_into().ok()).ok_or(BadAccent::Form)?;
        let contrast = contrast(rgb, WHITE);
        if contrast < READABLE { Err(BadAccent::Contrast(contrast)) } else { Ok(Accent(rgb)) }
    }

    /// As `#rrggbb`.
    pub(super) fn css(self) -> String {
        Css(self.0).to_string()
    }

    /// The rules that follow the style sheet.
    pub(super) fn style(self) -> String {
        let (main, over) = (Css(self.0), Css(mixed(self.0, BLACK, 20)));
        // On the dark card the icon is lighter, as much as necessary.
        let lighter = (0..=20).map(|step| mixed(self.0, WHITE, step * 5));
        let tint = Css(lighter.into_iter().find(|c| contrast(*c, DARK_CARD) >= READABLE).unwrap_or(WHITE));
        format!(
            ":root{{--main:{main};--tint:{main};--over:{over}}}\
             @media (prefers-color-scheme:dark){{:root{{--main:{main};--tint:{tint};--over:{over}}}}}"
        )
    }
}

struct Css(Rgb);

impl fmt::Display for Css {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", hex::encode(self.0))
    }
}

/// `percent` of the second colour in the first.
fn mixed(a: Rgb, b: Rgb, percent: u16) -> Rgb {
    let one = |a: u8, b: u8| {
        let sum = u16::from(a) * (100 - percent.min(100)) + u16::from(b) * percent.min(100);
        u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX)
    };
    let ([r, g, b_], [r2, g2, b2]) = (a, b);
    [one(r, r2), one(g, g2), one(b_, b2)]
}

/// WCAG 2.2's contrast ratio, 1 to 21.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// WCAG 2.2's relative luminance, 0 to 1.
fn luminance([r, g, b]: Rgb) -> f64 {
    let linear = |channel: u8| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        for (a, b, want) in [
            (WHITE, BLACK, 21.0),
            (WHITE, WHITE, 1.0),
            // Examples from WCAG contrast calculators.
            ([0x76, 0x76, 0x76], WHITE, 4.54),
            ([0x77, 0x77, 0x77], WHITE, 4.48),
            ([0, 0, 255], WHITE, 8.59),
        ] {
            let found = contrast(a, b);
            assert!((found - want).abs() < 0.01, "{a:?} {b:?}: {found}");
        }
    }

    #[test]
    fn a_colour_must_be_readable_under_white_text() {
        assert_eq!(Accent::parse("#0958d9"), Ok(Accent([9, 0x58, 0xd9])));
        assert!(matches!(Accent::parse("#ffd700"), Err(BadAccent::Contrast(c)) if c < 2.0));
        for bad in
            ["", "#", "0958d9", "#0958d", "#0958d9ff", "red", "#gggggg", "#09 8d9", "#0958d9;}", "#é58d9"]
        {
            assert_eq!(Accent::parse(bad), Err(BadAccent::Form), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_accepted_colour_is_readable(rgb in any::<[u8; 3]>()) {
            let text = format!("#{}", hex::encode(rgb));
            if let Ok(accent) = Accent::parse(&text) {
                prop_assert!(contrast(rgb, WHITE) >= READABLE);
                prop_assert!(contrast(mixed(rgb, BLACK, 20), WHITE) >= READABLE);
                let style = accent.style();
                prop_assert!(style.matches(&text).count() >= 2 && !style.contains('<'), "{}", style);
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Accent::parse(&text);
        }
    }
}
