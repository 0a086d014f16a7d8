use nocobase_standin::NocoBase as StandIn;

use super::*;
use crate::nocobase::test_client::{client, rules};

#[tokio::test]
async fn only_a_success_of_bounded_size_is_read() {
    let info = |length: usize| {
        let body = r#"{"data":{"version":"2.1.7"}}"#;
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    let standin = StandIn::start().await;
    let nocobase = client(&[standin.address], &rules(&[], false));
    for (status, length, is_read) in [
        (200, 100, true),
        (200, LARGEST, true),
        (200, LARGEST + 1, false),
        (500, 100, false),
        (302, 100, false),
    ] {
        standin.fail("app:getInfo", status, &info(length), 1);
        let about = nocobase.about(&standin.address.to_string()).await;
        assert_eq!(about.version, Version::parse("2.1.7").filter(|_| is_read), "{status} {length}");
    }
}
