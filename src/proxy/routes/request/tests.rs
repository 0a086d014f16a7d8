use super::*;

#[test]
fn a_parameter_is_the_first_of_its_name_decoded() {
    let head = |target: &str| Head::of(&RequestHeader::build("GET", target.as_bytes(), None).unwrap());
    let one = head("/wecom-gate/login?via=web&rd=%2Fa%3Fb+c&rd=%2Fd&empty=&%72x=y");
    for (name, value) in [
        ("via", Some("web")),
        ("rd", Some("/a?b c")),
        ("empty", Some("")),
        ("rx", Some("y")),
        ("r", None),
        ("with", None),
    ] {
        assert_eq!(one.parameter(name).as_deref(), value, "{name}");
    }
    assert_eq!(head("/wecom-gate/login").parameter("via"), None);
    assert_eq!((one.method, one.query.is_some()), (Method::GET, true));
}
