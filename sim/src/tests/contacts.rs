//! Members, departments, tags, the app.

use serde_json::json;

use super::*;

#[tokio::test]
async fn user_get_returns_what_a_new_app_may_see() {
    let b = bench().await;
    let v = b.call("user/get?userid=wangwu").await;
    assert_eq!(v["userid"], "WangWu", "a key without regard to case, spelled as it was made");
    assert_eq!((&v["name"], &v["alias"], &v["status"]), (&json!("王五"), &json!("Wang Wu"), &json!(1)));
    assert_eq!((&v["department"], &v["main_department"]), (&json!([4, 2]), &json!(4)));
    assert_eq!(v["is_leader_in_dept"], json!([0, 0]));
    for field in SENSITIVE {
        assert!(v.get(field).is_none(), "{field} is not given since 2022-06-20");
    }
    assert_eq!(b.call("user/get?userid=lisi").await["is_leader_in_dept"], json!([1]));

    let old_app = b.token_of(CORP, SECRET_SALES).await;
    let v = b.call_with(&old_app, "user/get?userid=wangwu").await;
    assert_eq!((&v["mobile"], &v["biz_mail"]), (&json!("13800000003"), &json!("wangwu@example.com")));
    assert_eq!(v["department"], json!([4]), "only departments that the app may view");
    let v = b.call_with(&old_app, "user/get?userid=zhangsan").await;
    assert_eq!((v["department"].clone(), v.get("main_department")), (json!([]), None));
}

#[tokio::test]
async fn user_get_is_the_test_of_the_visible_range() {
    let b = bench().await;
    for (userid, errcode) in [
        ("zhangsan", 0),
        ("zhaoliu", 0), // disabled: status shows it
        ("outsider", 60011),
        ("nobody", 60111),
        ("wwfedcba9876543210%2Fchenyi", 40003),
        ("%20", 40003),
        ("", 41009),
    ] {
        assert_eq!(b.call(&format!("user/get?userid={userid}")).await["errcode"], errcode, "{userid}");
    }
    for (userid, status) in [("zhaoliu", 2), ("wujiu", 4), ("zhengshi", 5)] {
        assert_eq!(b.call(&format!("user/get?userid={userid}")).await["status"], status);
    }
    b.configure(|s| s.outside_range = 60111);
    assert_eq!(b.call("user/get?userid=outsider").await["errcode"], 60111);
}

#[tokio::test]
async fn the_range_takes_departments_tags_and_members() {
    let b = bench().await;
    let token = b.token_of(CORP, SECRET_SALES).await;
    // 1000003: department 3 with all below it, tags 1 (lisi) and 2 (department 4), member zhangsan.
    for (userid, errcode) in
        [("lisi", 0), ("WangWu", 0), ("zhangsan", 0), ("sunqi", 60011), ("zhouba", 60011)]
    {
        assert_eq!(
            b.call_with(&token, &format!("user/get?userid={userid}")).await["errcode"],
            errcode,
            "{userid}"
        );
    }
    b.edit_data(|d| d.companies[0].apps[1].visible = Visible { tags: vec![1], ..Visible::default() })
        .unwrap();
    assert_eq!(b.call_with(&token, "user/get?userid=lisi").await["errcode"], 0, "by tag");
    assert_eq!(b.call_with(&token, "user/get?userid=WangWu").await["errcode"], 60011);
    b.edit_data(|d| d.companies[0].apps[1].visible.tags = vec![2]).unwrap();
    assert_eq!(b.call_with(&token, "user/get?userid=WangWu").await["errcode"], 0, "by the tag's department");
}

#[tokio::test]
async fn departments() {
    let b = bench().await;
    let ids = |v: &Value| -> Vec<u64> {
        v["department_id"].as_array().unwrap().iter().map(|d| d["id"].as_u64().unwrap()).collect()
    };
    let all = b.call("department/simplelist").await;
    assert_eq!(ids(&all), [2, 3, 4, 5], "its own range, without root and warehouse");
    assert_eq!(all["department_id"][2]["parentid"], 3);
    assert_eq!(ids(&b.call("department/simplelist?id=3").await), [3, 4]);
    for (id, errcode) in [("6", 60011), ("99", 60003), ("x", 60123), ("1", 60011)] {
        assert_eq!(b.call(&format!("department/simplelist?id={id}")).await["errcode"], errcode, "{id}");
        assert_eq!(b.call(&format!("department/get?id={id}")).await["errcode"], errcode, "{id}");
    }
    let one = b.call("department/get?id=3").await;
    assert_eq!(one["department"]["name_en"], "Sales");
    assert_eq!(one["department"]["department_leader"], json!(["lisi"]));
    assert_eq!(b.call("department/list").await["department"].as_array().unwrap().len(), 4);
    let sync = b.token_of(CORP, SECRET_SYNC).await;
    assert_eq!(ids(&b.call_with(&sync, "department/simplelist").await).len(), 6, "contact sync sees all");
}

#[tokio::test]
async fn member_lists() {
    let b = bench().await;
    let names = |v: &Value| -> Vec<String> {
        v["userlist"].as_array().unwrap().iter().map(|u| u["userid"].as_str().unwrap().to_owned()).collect()
    };
    let v = b.call("user/simplelist?department_id=3").await;
    assert_eq!(names(&v), ["lisi", "anna.smith", "wujiu", "zhengshi"], "direct members only");
    assert_eq!(v["userlist"][0], json!({ "userid": "lisi", "name": "李四", "department": [3] }));
    let v = b.call("user/list?department_id=4").await;
    assert_eq!(names(&v), ["WangWu"]);
    assert!(v["userlist"][0].get("mobile").is_none() && v["userlist"][0]["status"] == 1);
    assert_eq!(b.call("user/simplelist").await["errcode"], 40063);
    assert_eq!(b.call("user/simplelist?department_id=6").await["errcode"], 60011);

    let path = |t: &str| format!("/cgi-bin/user/list_id?access_token={t}");
    assert_eq!(b.post(&path(&b.token().await), json!({})).await["errcode"], 48002);
    let sync = b.token_of(CORP, SECRET_SYNC).await;
    let first = b.post(&path(&sync), json!({ "limit": 6 })).await;
    assert_eq!(first["dept_user"].as_array().unwrap().len(), 6);
    let rest = b.post(&path(&sync), json!({ "cursor": first["next_cursor"], "limit": 100 })).await;
    assert_eq!((rest["dept_user"].as_array().unwrap().len(), &rest["next_cursor"]), (5, &json!("")));
}

#[tokio::test]
async fn tags() {
    let b = bench().await;
    let list = b.call("tag/list").await;
    assert_eq!(list["taglist"].as_array().unwrap().len(), 3);
    let managers = b.call("tag/get?tagid=1").await;
    assert_eq!(managers["userlist"], json!([{ "userid": "lisi", "name": "李四" }]));
    let field = b.call("tag/get?tagid=2").await;
    assert_eq!((&field["partylist"], &field["userlist"]), (&json!([4]), &json!([])), "not expanded");
    for (id, errcode) in [("99", 40068), ("x", 40068), ("", 40068), ("3", 81011)] {
        assert_eq!(b.call(&format!("tag/get?tagid={id}")).await["errcode"], errcode, "{id}");
    }
}

#[tokio::test]
async fn the_app_itself() {
    let b = bench().await;
    let v = b.call("agent/get?agentid=1000002").await;
    assert_eq!((&v["close"], &v["redirect_domain"]), (&json!(0), &json!("nocobase.example.com")));
    assert_eq!(v["allow_partys"]["partyid"], json!([2, 3, 5]));
    assert_eq!(v["home_url"], "https://nocobase.example.com/admin");
    for (q, errcode) in
        [("agentid=1000003", 301002), ("agentid=1", 301002), ("agentid=x", 40056), ("", 41011)]
    {
        assert_eq!(b.call(&format!("agent/get?{q}")).await["errcode"], errcode, "{q}");
    }
    for path in ["get_api_domain_ip", "getcallbackip"] {
        assert_eq!(b.call(path).await["ip_list"].as_array().unwrap().len(), 2);
    }
}
