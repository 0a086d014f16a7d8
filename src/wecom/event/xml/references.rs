//! XML's predefined entities.

use super::*;

#[test]
fn each_name_is_its_character() {
    let got = fields("<xml><A>&lt;&gt;&amp;&apos;&quot;&#65;&#x42;</A></xml>").unwrap();
    assert_eq!(got["A"], "<>&'\"AB");
}
