//! NocoBase's versions: how well the gate works with each. README.md and docs/install.md have the same table.

use std::fmt;

use crate::message::{Template, template};

/// The version with which the gate is tested for each release.
pub(crate) const TESTED: &str = "2.2.15";

/// How far a version of NocoBase is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Everything works; each release of the gate is tested with it.
    Tested,
    /// Tried with a running one.
    Tried,
    /// Its source was read, but it was not tried: it should work.
    Expected,
    /// Newer than the known versions.
    Unknown,
    /// Sign-in cannot work.
    Refused,
}

impl Support {
    /// Stable name, for the log.
    pub const fn name(self) -> &'static str {
        match self {
            Support::Tested => "tested",
            Support::Tried => "tried",
            Support::Expected => "expected",
            Support::Unknown => "unknown",
            Support::Refused => "refused",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The versions, as the documents write them.
    pub versions: &'static str,
    /// The first (major, minor) of them.
    from: (u64, u64),
    /// How far they are supported.
    pub support: Support,
    /// What that means, in a sentence.
    pub means: Template,
}

/// All versions, in order; a row ends where the next one begins.
pub(crate) const TABLE: [Row; 6] = [
    Row {
        versions: "up to 1.5",
        from: (0, 0),
        support: Support::Refused,
        means: template!(
            "no sign-in: NocoBase has no table issuedTokens there, so it cannot renew or end the gate's sessions; update NocoBase"
        ),
    },
    Row {
        versions: "1.6 to 1.8",
        from: (1, 6),
        support: Support::Expected,
        means: template!("should work as 1.9 does: read, not tried"),
    },
    Row {
        versions: "1.9, 2.0",
        from: (1, 9),
        support: Support::Tried,
        means: template!(
            "sign-in, sessions, sign-out, roles, uploads and sign-in by password work; there is no client below /v"
        ),
    },
    Row {
        versions: "2.1",
        from: (2, 1),
        support: Support::Tried,
        means: template!("sign-in, sessions, sign-out, roles, uploads and sign-in by password work"),
    },
    Row {
        versions: "2.2",
        from: (2, 2),
        support: Support::Tested,
        means: template!("everything works; each release is tested with 2.2.15"),
    },
    Row {
        versions: "2.3 and later 2.x",
        from: (2, 3),
        support: Support::Expected,
        means: template!("should work as 2.2 does: the betas of 2.3 were read, not tried"),
    },
];

/// The row after [`TABLE`].
pub(crate) const LATER: Row = Row {
    versions: "3.x",
    from: (3, 0),
    support: Support::Unknown,
    means: template!(
        "not known: the sign-in of its client is written again, so that a page may not take the gate's session, or not see its \
            end; try it before members depend on it"
    ),
};

/// A version as NocoBase reports it: `2.2.15`, `2.3.0-beta.3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    text: String,
    number: (u64, u64),
}

impl Version {
    /// `None` if it does not begin with two numbers.
    pub fn parse(text: &str) -> Option<Version> {
        let mut parts = text.trim().trim_start_matches('v').split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.split('-').next()?.parse().ok()?;
        let good = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
        good.then(|| Version { text: text.to_owned(), number: (major, minor) })
    }

    /// Its row of the table.
    pub fn row(&self) -> &'static Row {
        if self.number >= LATER.from {
            return &LATER;
        }
        let row = TABLE.iter().rev().find(|row| row.from <= self.number);
        row.unwrap_or(&LATER)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_its_row() {
        for (version, support, versions) in [
            ("0.21.0", Support::Refused, "up to 1.5"),
            ("1.5.25", Support::Refused, "up to 1.5"),
            ("1.6.0", Support::Expected, "1.6 to 1.8"),
            ("1.8.30", Support::Expected, "1.6 to 1.8"),
            ("1.9.74", Support::Tried, "1.9, 2.0"),
            ("1.10.0", Support::Tried, "1.9, 2.0"),
            ("2.0.62", Support::Tried, "1.9, 2.0"),
            ("2.1.45", Support::Tried, "2.1"),
            ("2.2.0", Support::Tested, "2.2"),
            ("2.2.15", Support::Tested, "2.2"),
            ("2.3.0-beta.3", Support::Expected, "2.3 and later 2.x"),
            ("2.20.1", Support::Expected, "2.3 and later 2.x"),
            ("3.0.0-alpha.1", Support::Unknown, "3.x"),
            ("4.0.0", Support::Unknown, "3.x"),
        ] {
            let row = Version::parse(version).unwrap().row();
            assert_eq!((row.support, row.versions), (support, versions), "{version}");
        }
        for none in ["", "x", "2", "2.", "two.two", "2.2.15\nx", &format!("2.2.{}", "1".repeat(99))] {
            assert_eq!(Version::parse(none), None, "{none}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_leaves_nothing_out() {
        assert!(TABLE.windows(2).all(|rows| rows[0].from < rows[1].from));
        assert!(TABLE[0].from == (0, 0) && TABLE[TABLE.len() - 1].from < LATER.from);
        assert_eq!(Version::parse(TESTED).unwrap().row().support, Support::Tested);
    }

    /// README.md and docs/install.md hold the table, row by row.
    #[test]
    fn the_documents_hold_the_same_table() {
        for file in ["README.md", "docs/install.md"] {
            let text =
                std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
            for row in TABLE.iter().chain([&LATER]) {
                let line = format!("| {} | {} | {} |", row.versions, row.support.name(), row.means);
                assert!(text.contains(&line), "{file} lacks: {line}");
            }
        }
    }
}
