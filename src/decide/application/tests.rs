use super::*;

#[test]
fn r44_headers_are_found_in_every_spelling() {
    for name in ["X-App", "x-app", "X_APP", "x.app", "x_App", "x!app", "x~app"] {
        assert_eq!(AppHeader::find(name), Some(AppHeader::App), "{name}");
    }
    for name in ["X-Hostname", "x_hostname", "x.hostname", "X-HOSTNAME"] {
        assert_eq!(AppHeader::find(name), Some(AppHeader::Hostname), "{name}");
    }
    for name in ["x-apps", "xapp", "x-ap", "y-app", "y-hostname", "x-host-name", "x-hostnames", "host", ""] {
        assert_eq!(AppHeader::find(name), None, "{name}");
    }
}

#[test]
fn r44_one_header_with_our_own_name_is_all_that_may_be_there() {
    let ours = |named: Named<'_>| !named.is_other(|name| name == "main");
    assert!(ours(Named::Nothing));
    assert!(ours(Named::Nothing.and(Some("main"))) && ours(Named::Nothing.and(Some(""))));
    for named in [
        Named::Nothing.and(Some("sub1")),
        Named::Nothing.and(Some("Main")),
        Named::Nothing.and(Some("main, sub1")),
        Named::Nothing.and(None),
        Named::Nothing.and(Some("main")).and(Some("main")),
        Named::Nothing.and(Some("main")).and(Some("sub1")),
        Named::Nothing.and(Some("")).and(Some("sub1")),
    ] {
        assert!(!ours(named), "{named:?}");
    }
}

#[test]
fn r44_another_application_in_the_query_is_found() {
    for query in [
        "__appName=sub1",
        "a=1&__appName=sub1",
        "%5F_appName=sub1",
        "__app%4Eame=sub1",
        "%5f%5f%61ppName=sub1",
        "__appName=main&__appName=sub1",
        "__appName=main&__appName=main",
        "__appName=&__appName=sub1",
        "__appName[]=sub1",
        "__appName%5B%5D=sub1",
        "__appName[0]=main",
        "__appName[x]=sub1",
        "[__appName]=sub1",
        "%5B__appName%5D[]=sub1",
        "__appName=%73ub1",
        "__appName=main+",
        "__appName=main%00",
        "__appName=sub1%ff",
        "__appname=sub1",
        "filter=%7B%7D&sort=a&__appName=sub1",
    ] {
        assert!(is_other_by_query("main", query), "{query}");
    }
    for query in [
        "",
        "a=b",
        "__appName",
        "__appName=",
        "__appName=main",
        "a=1&__appName=%6Dain&b=%zz",
        "filter=%7B%22name%22%3A%22__appName%22%7D",
        "_app=sub1",
        "__app=sub1",
        "appName=sub1",
        "x=__appName=sub1",
        "%255F_appName=sub1",
    ] {
        assert!(!is_other_by_query("main", query), "{query}");
    }
    assert!(is_other_by_query("sub1", "__appName=main"));
}
