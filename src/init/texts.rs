//! The texts of `init`, in English and Chinese.

use super::given::Language;

/// The words of one language.
pub(super) struct Texts {
    pub(super) intro: &'static str,
    pub(super) origin: &'static str,
    pub(super) node: &'static str,
    /// Followed by the place.
    pub(super) secret_found: &'static str,
    pub(super) secret_file: &'static str,
    pub(super) app_key: &'static str,
    pub(super) account: &'static str,
    pub(super) password: &'static str,
    pub(super) corp_id: &'static str,
    pub(super) agent_id: &'static str,
    pub(super) secret: &'static str,
    pub(super) secret_kept: &'static str,
    pub(super) policy: &'static str,
    pub(super) policy_match: &'static str,
    pub(super) policy_create: &'static str,
    pub(super) later: &'static str,
    pub(super) again: &'static str,
    pub(super) to_do: &'static str,
    pub(super) nothing_to_do: &'static str,
    pub(super) dry_run: &'static str,
    pub(super) go: &'static str,
    pub(super) made: &'static str,
    pub(super) console: &'static str,
    pub(super) steps: Steps,
    pub(super) then: &'static str,
}

/// The seven pages of WeCom's console. `{...}` is replaced.
pub(super) struct Steps {
    pub(super) app: &'static str,
    pub(super) web_login: &'static str,
    pub(super) oauth: &'static str,
    pub(super) verify_known: &'static str,
    pub(super) verify_unknown: &'static str,
    pub(super) ip_done: &'static str,
    pub(super) ip_add: &'static str,
    pub(super) ip_unknown: &'static str,
    pub(super) company: &'static str,
    pub(super) secret: &'static str,
    pub(super) home: &'static str,
}

impl Texts {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &EN,
            Language::Zh => &ZH,
        }
    }
}

const EN: Texts = Texts {
    intro: "This sets up wecom-gate. Each answer is tried at once; nothing is changed before you have seen the plan.",
    origin: "Address that people will open, such as https://nocobase.example.com",
    node: "NocoBase's host and port",
    secret_found: "NocoBase's secret, found in",
    secret_file: "NocoBase's secret was not found here. Path of its storage/apps/main/jwt_secret.dat, or - to type its APP_KEY",
    app_key: "APP_KEY in NocoBase's .env (not shown)",
    account: "E-mail address or user name of NocoBase's administrator (used now, never stored)",
    password: "Password (not shown)",
    corp_id: "CorpID (企业ID): WeCom's console, My Company, at the bottom",
    agent_id: "AgentId of the app: WeCom's console, App Management",
    secret: "Secret of the app (not shown)",
    secret_kept: "Secret of the app (not shown; empty: keep the present one)",
    policy: "Who gets an account in NocoBase?",
    policy_match: "Only members whose phone number a NocoBase user has ({count} of {all} users have one)",
    policy_create: "Everyone who may use the app: a user is created for a member who matches none",
    later: "This belongs to WeCom's console or to the proxy in front, and can be done later.",
    again: "Answer again? (no: go on as it is)",
    to_do: "To do:",
    nothing_to_do: "Nothing to do: everything is there and as it should be.",
    dry_run: "--dry-run: nothing has been changed.",
    go: "Do this?",
    made: "Done. Checking everything:",
    console: "In WeCom's console (https://work.weixin.qq.com/wework_admin/), seven steps; each is described in docs/wecom-console.md:",
    steps: Steps {
        app: "应用管理 (App Management): the app's 可见范围 (visible range) decides who may sign in",
        web_login: "The app → 企业微信授权登录 (WeCom authorized login) → Web网页 → 授权回调域 (callback domain):",
        oauth: "The app → 网页授权及JS-SDK (Web authorization and JS-SDK) → OAuth2.0 callback domain:",
        verify_known: "then press 校验 (verify); the gate serves",
        verify_unknown: "The console names a file WW_verify_....txt. Tell the gate its name, then press 校验 (verify):",
        ip_done: "The app → 企业可信IP (Corporate trusted IP): done, WeCom accepts calls from this machine",
        ip_add: "The app → 企业可信IP (Corporate trusted IP), add:",
        ip_unknown: "The app → 企业可信IP (Corporate trusted IP): the public address of this machine; `wecom-gate check` shows it",
        company: "我的企业 (My Company) → 企业ID (CorpID): done",
        secret: "The app → AgentId and Secret: done",
        home: "The app → 应用主页 (application home page), for desktops and for phones:",
    },
    then: "Then start the gate, point the proxy in front at it, and check again:",
};

const ZH: Texts = Texts {
    intro: "本向导用于配置 wecom-gate。每个回答都会立即验证；在您看到将要执行的操作之前，不会做任何更改。",
    origin: "用户访问的地址，例如 https://nocobase.example.com",
    node: "NocoBase 的主机和端口",
    secret_found: "NocoBase 的密钥，来自",
    secret_file: "在本机没有找到 NocoBase 的密钥。请输入 storage/apps/main/jwt_secret.dat 的路径，或输入 - 以便手动输入 APP_KEY",
    app_key: "NocoBase 的 .env 中的 APP_KEY（不显示）",
    account: "NocoBase 管理员的邮箱或用户名（仅本次使用，不保存）",
    password: "密码（不显示）",
    corp_id: "企业ID：企业微信管理后台 → 我的企业，页面底部",
    agent_id: "应用的 AgentId：企业微信管理后台 → 应用管理",
    secret: "应用的 Secret（不显示）",
    secret_kept: "应用的 Secret（不显示；留空则保留现有的）",
    policy: "谁可以在 NocoBase 中拥有账号？",
    policy_match: "仅限手机号与某个 NocoBase 用户相同的成员（{all} 个用户中有 {count} 个填写了手机号）",
    policy_create: "所有可使用该应用的成员：没有匹配的用户时自动创建",
    later: "这一项属于企业微信管理后台或前端代理，可以稍后处理。",
    again: "重新回答吗？（选否：按现状继续）",
    to_do: "将要执行：",
    nothing_to_do: "无需执行任何操作：一切均已就绪。",
    dry_run: "--dry-run：没有做任何更改。",
    go: "执行吗？",
    made: "已完成。现在检查全部设置：",
    console: "在企业微信管理后台（https://work.weixin.qq.com/wework_admin/）完成七个步骤；每一步的说明见 docs/wecom-console.md：",
    steps: Steps {
        app: "应用管理：应用的“可见范围”决定谁可以登录",
        web_login: "应用 → 企业微信授权登录 → Web网页 → 设置授权回调域：",
        oauth: "应用 → 网页授权及JS-SDK → 可作为应用OAuth2.0网页授权功能的回调域名：",
        verify_known: "然后点击“校验”；网关已提供",
        verify_unknown: "后台会给出一个文件 WW_verify_....txt。把文件名告诉网关，然后点击“校验”：",
        ip_done: "应用 → 企业可信IP：已完成，企业微信接受来自本机的调用",
        ip_add: "应用 → 企业可信IP，添加：",
        ip_unknown: "应用 → 企业可信IP：本机的公网地址；`wecom-gate check` 会显示它",
        company: "我的企业 → 企业ID：已完成",
        secret: "应用 → AgentId 和 Secret：已完成",
        home: "应用 → 应用主页，电脑端和移动端：",
    },
    then: "然后启动网关，让前端代理指向它，再检查一次：",
};
