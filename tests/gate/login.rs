//! How members get in.

use crate::support::{Browser, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_member_lands_on_the_deep_link() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut phone: Browser = stage.phone("zhangsan");
    let page = phone.open("/admin/orders?status=open&q=%E5%BC%A0").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/orders?status=open&q=%E5%BC%A0"));
    assert!(phone.phantom().starts_with("wcg_"));
    let me = phone.api(reqwest::Method::GET, "/wecom-gate/me").await.json();
    assert_eq!(me["userid"], "zhangsan");
}
