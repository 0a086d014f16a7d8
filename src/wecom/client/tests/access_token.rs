//! The access token: fetched once, replaced when WeCom refuses it, never in a loop.

use super::*;

#[tokio::test]
async fn a_hundred_sign_ins_at_once_cost_one_gettoken() {
    let wecom = simulator().await;
    wecom.only_fault(Fault::latency(GETTOKEN, 100));
    let client = wecom.client();
    let mut all = JoinSet::new();
    for _ in 0..100 {
        let (client, code) = (client.clone(), wecom.code("zhangsan", None));
        all.spawn(async move { client.identify(&code).await.is_ok() });
    }
    while let Some(one) = all.join_next().await {
        assert!(one.unwrap());
    }
    assert_eq!((wecom.calls(GETTOKEN), wecom.calls(USERINFO)), (1, 100));
}

#[tokio::test]
async fn two_stale_responses_at_once_cost_one_refetch() {
    for stale in [40014, 42001, 41001, 40001] {
        let wecom = simulator().await;
        let client = wecom.client();
        client.probe().await.unwrap();
        let refused = Fault::new(USERINFO, FaultKind::Errcode(stale));
        wecom.add_fault(refused.with_param("access_token", &wecom.tokens()[0]));
        let [a, b, c] = [(); 3].map(|()| wecom.code("zhangsan", None));
        let (a, b) = tokio::join!(client.identify(&a), client.identify(&b));
        assert!(a.is_ok() && b.is_ok(), "{stale}");
        assert_eq!((wecom.calls(GETTOKEN), wecom.calls(USERINFO)), (2, 4), "{stale}");
        // And the new one is kept.
        client.identify(&c).await.unwrap();
        assert_eq!((wecom.calls(GETTOKEN), wecom.calls(USERINFO)), (2, 5), "{stale}");
    }
}

#[tokio::test]
async fn tokens_refused_for_ever_do_not_make_a_loop() {
    let wecom = simulator().await;
    wecom.only(USERINFO, FaultKind::Errcode(40014));
    let client = wecom.client();
    for _ in 0..50 {
        assert_eq!(failure(client.identify("c").await), Failure::WeComConfig);
    }
    assert_eq!(wecom.calls(GETTOKEN), 2);
    assert!(wecom.calls(USERINFO) <= 51, "one retry in all, then no more: {}", wecom.calls(USERINFO));
}

#[tokio::test]
async fn a_wrong_secret_is_tried_once_and_all_callers_get_the_reason() {
    let wecom = simulator().await;
    for wrong in [40001, 40013, 40091, 41002, 41004, 42001, 50003, 60020] {
        wecom.only("*", FaultKind::Errcode(wrong));
        wecom.clear_calls();
        let client = wecom.client();
        for _ in 0..50 {
            let error = client.identify("c").await.unwrap_err();
            assert_eq!(
                (error.call(), error.class(), error.errcode()),
                (Call::GetToken, Class::Config, Some(wrong))
            );
        }
        assert_eq!(wecom.total_calls(), 1, "{wrong}");
    }
}
