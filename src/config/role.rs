//! Names of NocoBase's roles: which of them may be assigned.

/// Far longer than NocoBase's names.
const LONGEST: usize = 100;

/// Could this name `root`, the role that may do everything? Databases compare differently: some ignore case, or trailing spaces.
pub(crate) fn is_root(name: &str) -> bool {
    name.trim().eq_ignore_ascii_case("root")
}

/// Could this be `admin`, NocoBase's role for administrators?
pub(crate) fn is_admin(name: &str) -> bool {
    name.trim().eq_ignore_ascii_case("admin")
}

/// A name that is the same to every database: letters, digits, `_`, `-`.
pub(crate) fn is_plain(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_root_to_some_database() {
        for name in ["root", "Root", "ROOT", " root", "root ", "root\t", "rOOt\u{a0}"] {
            assert!(is_root(name), "{name:?}");
        }
        for name in ["admin", "Admin", " ADMIN"] {
            assert!(is_admin(name) && !is_root(name), "{name:?}");
        }
        for name in
            ["root ", "röot", "ｒｏｏｔ", "ro\u{200b}ot", "", "a b", "a.b", "a,b", "[\"root\"]", "root\0"]
        {
            assert!(!is_plain(name), "{name:?}");
        }
        for name in ["sales", "r_x1-2", "rooter", "member"] {
            assert!(is_plain(name) && !is_root(name) && !is_admin(name), "{name:?}");
        }
    }
}
