//! `[listen.acme]`.

use super::*;

const TLS: (&str, &str) = ("listen.https", "['0.0.0.0:443']");
const PLAIN: (&str, &str) = ("listen.http", "['0.0.0.0:80']");

fn acme(changes: &[(&str, &str)]) -> Acme {
    let text = file(&[&[TLS, PLAIN, ("listen.acme", "{}")], changes].concat());
    load_str(&text, []).unwrap().config.listen.acme.unwrap()
}

#[test]
fn the_section_alone_is_enough() {
    let acme = acme(&[]);
    assert_eq!(acme.domains, ["nb.example.com"]);
    assert_eq!(acme.email, None);
    let file = Path::new("/var/lib/wecom-gate/acme/acme-v02.api.letsencrypt.org-directory/certificate.pem");
    assert_eq!((&*acme.files().cert, &*acme.files().key), (file, file));
    let by_environment = [("WECOM_GATE__LISTEN__ACME__EMAIL".to_owned(), "it@example.com".to_owned())];
    let loaded = load_str(&super::file(&[TLS, PLAIN]), by_environment).unwrap();
    assert_eq!(loaded.config.listen.acme.unwrap().email.as_deref(), Some("it@example.com"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn every_authority_has_a_folder_of_its_own() {
    let folder = |directory: &str| {
        let value = format!("'{directory}'");
        acme(&[("listen.acme.directory", &value), ("listen.acme.cache", "'/c'")]).folder()
    };
    assert_eq!(folder("https://ca.test:14000/dir/"), Path::new("/c/ca.test-14000-dir"));
    assert_eq!(folder("https://ca.test/a/../b?x=/../y"), Path::new("/c/ca.test-b-x--..-y"));
    assert!(folder("https://ca.test/a").parent() == Some(Path::new("/c")));
}

#[test]
fn names_are_those_of_the_origin_and_of_applications() {
    let listen = "listen = { http = ['0.0.0.0:80'], https = ['0.0.0.0:443'], acme = {} }";
    let text = format!("{listen}\nsession.keys = [\"{KEY}\"]\n{}", applications::THREE);
    let config = load_str(&text, []).unwrap().config;
    assert_eq!(config.listen.acme.unwrap().domains, ["nb.example.com", "sales.example.com"]);
    let given = acme(&[("listen.acme.domains", "['B.example.com', 'nb.example.com', 'b.example.com']")]);
    assert_eq!(given.domains, ["b.example.com", "nb.example.com"]);
}

#[test]
fn each_mistake_is_named() {
    let origin_by_address = ("origin", "'https://192.0.2.7'");
    for (changes, key, words) in [
        (&[PLAIN][..], "listen.acme", "no effect without listen.https"),
        (&[TLS, PLAIN, ("listen.cert", "'/dev/null'")], "listen.acme", "both given"),
        (&[TLS, PLAIN, origin_by_address], "listen.acme.domains", "it is no name"),
        (
            &[TLS, PLAIN, ("listen.acme.domains", "['*.example.com']")],
            "listen.acme.domains[0]",
            "changes in DNS",
        ),
        (
            &[TLS, PLAIN, ("listen.acme.domains", "['nb.example.com', '192.0.2.7']")],
            "listen.acme.domains[1]",
            "host name",
        ),
        (
            &[TLS, PLAIN, ("listen.acme.email", "'mailto:it@example.com'")],
            "listen.acme.email",
            "e-mail address",
        ),
        (&[TLS, PLAIN, ("listen.acme.email", "'it example.com'")], "listen.acme.email", "e-mail address"),
        (&[TLS, PLAIN, ("listen.acme.email", "'it@a@b'")], "listen.acme.email", "e-mail address"),
        (
            &[TLS, PLAIN, ("listen.acme.directory", "'http://ca.test/dir'")],
            "listen.acme.directory",
            "https://",
        ),
        (
            &[TLS, PLAIN, ("listen.acme.directory", "'https://u:p@ca.test/dir'")],
            "listen.acme.directory",
            "no user",
        ),
        (&[TLS, PLAIN, ("listen.acme.directory", "''")], "listen.acme.directory", "must begin with"),
        (&[TLS, PLAIN, ("listen.acme.cache", "''")], "listen.acme.cache", "missing"),
    ] {
        let text = file(&[&[("listen.acme", "{}")], changes].concat());
        let errors = load_str(&text, []).unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors}");
        assert!(errors.0[0].key == key && errors.to_string().contains(words), "{key}, {words}: {errors}");
    }
    let other = file(&[TLS, PLAIN, ("listen.acme", "{domains = ['other.example.com']}")]);
    let warnings = load_str(&other, []).unwrap().warnings;
    assert!(warnings[0].contains("does not contain nb.example.com"), "{warnings:?}");
}
