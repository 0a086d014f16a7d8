//! People and apps on the pages.

use super::request::Lang;
use crate::data::{App, Company, Data, Member};

/// A person in a list.
pub(super) struct Card {
    /// `corpid/userid` or `corpid/openid`.
    pub(super) key: String,
    pub(super) name: String,
    /// The name in Latin letters, if it differs.
    pub(super) latin: String,
    /// Departments.
    pub(super) place: String,
    pub(super) initials: String,
    pub(super) hue: u8,
    /// A remark; empty: none.
    pub(super) badge: &'static str,
    /// CSS class of the badge.
    pub(super) tone: &'static str,
    pub(super) current: bool,
}

/// People under a heading.
pub(super) struct Group {
    pub(super) title: String,
    pub(super) people: Vec<Card>,
}

/// A colour that is always the same for the same key.
pub(super) fn hue(key: &str) -> u8 {
    let sum = key.bytes().fold(7_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
    u8::try_from((sum >> 3) % 8).unwrap_or(0)
}

/// The letters on an avatar: the given name of a Chinese name, otherwise the initials of two words.
pub(super) fn initials(name: &str) -> String {
    let mut chars = name.chars();
    if chars.next().is_some_and(|c| !c.is_ascii()) {
        let own: Vec<char> = name.chars().take_while(|c| !c.is_ascii()).collect();
        return own.iter().skip(own.len().saturating_sub(2)).collect();
    }
    name.split_whitespace().filter_map(|w| w.chars().next()).take(2).collect::<String>().to_uppercase()
}

/// The card of a member; `app`: whose visible range counts; by default that of any app of the company.
pub(super) fn member_card(
    l: Lang,
    company: &Company,
    m: &Member,
    app: Option<&App>,
    current: Option<&str>,
) -> Card {
    let key = format!("{}/{}", company.corp_id, m.userid);
    let visible = match app {
        Some(app) => company.sees(app, m),
        None => company.apps.iter().any(|a| company.sees(a, m)),
    };
    let (badge, tone) = match (m.status, visible) {
        (2, _) => (l.t("Disabled", "已禁用"), "warn"),
        (4, _) => (l.t("Not activated", "未激活"), "warn"),
        (5, _) => (l.t("Has left", "已退出"), "warn"),
        (_, false) => (l.t("May not use the app", "不在可见范围"), ""),
        _ if m.mobile.is_empty() => (l.t("No phone", "无手机号"), ""),
        _ => ("", ""),
    };
    let places: Vec<&str> = (m.departments.iter())
        .filter_map(|d| company.department(*d))
        .map(|d| if d.name_en.is_empty() { d.name.as_str() } else { l.t(&d.name_en, &d.name) })
        .collect();
    Card {
        current: current == Some(key.as_str()),
        initials: initials(&m.name),
        hue: hue(&key),
        name: m.name.clone(),
        latin: if m.name_en == m.name { String::new() } else { m.name_en.clone() },
        place: places.join(l.t(", ", "、")),
        badge,
        tone,
        key,
    }
}

/// People who are not members of this company.
fn external_cards(l: Lang, company: &Company, current: Option<&str>) -> Vec<Card> {
    let card = |e: &crate::data::External| {
        let key = format!("{}/{}", company.corp_id, e.openid);
        Card {
            current: current == Some(key.as_str()),
            initials: initials(&e.name),
            hue: 7,
            name: e.name.clone(),
            latin: String::new(),
            place: l.t("Personal WeChat, no member", "个人微信，非企业成员").to_owned(),
            badge: "",
            tone: "",
            key,
        }
    };
    company.externals.iter().map(card).collect()
}

/// Everyone, by company.
pub(super) fn all_groups(l: Lang, data: &Data, current: Option<&str>) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut others = Vec::new();
    for c in &data.companies {
        let people = c.members.iter().map(|m| member_card(l, c, m, None, current)).collect();
        groups.push(Group { title: c.name.clone(), people });
        others.extend(external_cards(l, c, current));
    }
    if !others.is_empty() {
        groups.push(Group { title: l.t("Outside the companies", "企业以外").to_owned(), people: others });
    }
    groups
}

/// The card of the person with this key.
pub(super) fn card_of(l: Lang, data: &Data, key: &str) -> Option<Card> {
    let (corp, id) = key.split_once('/')?;
    let company = data.company(corp)?;
    match company.member(id) {
        Some(m) => Some(member_card(l, company, m, None, None)),
        None => external_cards(l, company, None).into_iter().find(|c| c.key == key),
    }
}
