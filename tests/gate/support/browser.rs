//! A browser, as far as sign-in is concerned: cookies, redirects, and the headers that browsers add.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::{Gate, HOST};

pub const WECOM_PHONE: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 wxwork/4.1.28 MicroMessenger/7.0.1 NetType/WIFI Language/en";
pub const WECOM_DESKTOP: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 wxwork/4.1.28 (MicroMessenger/6.2) WindowsWechat Language/en";
pub const WECHAT: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.49 NetType/WIFI Language/en";
pub const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
pub const CHROME_PHONE: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36";
pub const CURL: &str = "curl/8.5.0";

/// Redirects that are followed at most.
const MAX_HOPS: usize = 15;

#[derive(Clone)]
pub struct Browser {
    http: Client,
    gate: SocketAddr,
    host: &'static str,
    user_agent: &'static str,
    member: Option<String>,
    /// The gate's and NocoBase's cookies: name, value.
    pub cookies: BTreeMap<String, String>,
    /// Sent with every request to the gate.
    pub extra: HeaderMap,
    /// Discards all cookies.
    pub cookies_blocked: bool,
    page: String,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// Path and query on the gate, or the whole URL elsewhere.
    pub at: String,
    /// All addresses requested on the way, in the same form.
    pub hops: Vec<String>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.body))
    }

    /// `code` of an error in NocoBase's format.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn set_cookies(&self) -> Vec<String> {
        let all = self.headers.get_all("set-cookie").iter();
        all.map(|v| v.to_str().unwrap().to_owned()).collect()
    }

    /// Does the response set a cookie of this name (and not delete it)?
    pub fn sets(&self, name: &str) -> bool {
        self.set_cookies().iter().any(|c| c.starts_with(&format!("{name}=")) && !c.contains("Max-Age=0"))
    }
}

impl Browser {
    pub fn new(gate: &Gate, user_agent: &'static str) -> Browser {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Browser {
            http,
            gate: gate.http,
            host: HOST,
            user_agent,
            member: None,
            cookies: BTreeMap::new(),
            extra: HeaderMap::new(),
            cookies_blocked: false,
            page: String::new(),
        }
    }

    /// The member whose device it is, for the simulator.
    pub fn member(mut self, userid: &str) -> Browser {
        self.member = Some(userid.to_owned());
        self
    }

    pub fn user_agent(mut self, user_agent: &'static str) -> Browser {
        self.user_agent = user_agent;
        self
    }

    /// At this host name instead of the usual one.
    pub fn at(mut self, host: &'static str) -> Browser {
        self.host = host;
        self
    }

    /// From now on the name resolves to this node.
    pub fn go_to(&mut self, gate: &Gate) -> &mut Browser {
        self.gate = gate.http;
        self
    }

    /// A request to the gate with only host, User-Agent and cookies.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request =
            self.http.request(method, format!("http://{}{path}", self.gate)).header("host", self.host);
        request = request.header("user-agent", self.user_agent).headers(self.extra.clone());
        if self.cookies.is_empty() {
            return request;
        }
        let all: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        request.header("cookie", all.join("; "))
    }

    /// Sends it, and stores the cookies of the response.
    pub async fn send(&mut self, request: RequestBuilder) -> Response {
        let response = self.exchange(request).await;
        self.keep(&response);
        response
    }

    /// Loads a page, without following redirects.
    pub async fn visit(&mut self, path: &str) -> Response {
        let request = navigation(self.request(Method::GET, path));
        let response = self.send(request).await;
        if response.status == 200 {
            self.page.clone_from(&response.body);
        }
        response
    }

    /// Loads a page and follows redirects, also to WeCom's pages. Ends at a response that is not a redirect.
    pub async fn open(&mut self, path: &str) -> Response {
        let first = self.visit(path).await;
        self.follow(first).await
    }

    /// Follows the redirects of a response.
    pub async fn follow(&mut self, mut response: Response) -> Response {
        let mut hops = vec![response.at.clone()];
        while (300..400).contains(&response.status) && response.status != 304 {
            assert!(hops.len() < MAX_HOPS, "a redirect loop: {hops:#?}");
            let to = response.location().to_owned();
            response = match on(self.host, &to) {
                Some(path) => self.visit(path).await,
                None => self.visit_elsewhere(&to).await,
            };
            hops.push(response.at.clone());
        }
        response.hops = hops;
        response
    }

    /// One of WeCom's pages.
    pub async fn visit_elsewhere(&self, url: &str) -> Response {
        let mut request = self.http.get(url).header("user-agent", self.user_agent);
        if let Some(member) = &self.member {
            request = request.header("x-sim-member", member);
        }
        let mut response = self.exchange(navigation(request)).await;
        response.at = url.to_owned();
        response
    }

    /// Starts a sign-in at this page and stops before the callback; its path and query.
    pub async fn up_to_callback(&mut self, path: &str) -> String {
        let to_wecom = self.visit(path).await;
        assert_eq!(to_wecom.status, 302, "{}", to_wecom.body);
        let back = self.visit_elsewhere(to_wecom.location()).await;
        on(self.host, back.location()).expect("back to the gate").to_owned()
    }

    /// An API call as NocoBase's page makes it, with the page's token.
    pub async fn api(&mut self, method: Method, path: &str) -> Response {
        let phantom = self.phantom();
        let request = self.fetch(method, path).header("authorization", format!("Bearer {phantom}"));
        self.send(request).await
    }

    /// A request of the page's scripts, without a token.
    pub fn fetch(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path)
            .header("accept", "application/json, text/plain, */*")
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "cors")
            .header("sec-fetch-dest", "empty")
    }

    /// The token in the page that was loaded last.
    pub fn phantom(&self) -> String {
        let (_, rest) =
            self.page.split_once("data-token=\"").unwrap_or_else(|| panic!("no token in: {}", self.page));
        rest.split('"').next().unwrap().to_owned()
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Address to which the gate's name resolves.
    pub fn address(&self) -> SocketAddr {
        self.gate
    }

    async fn exchange(&self, request: RequestBuilder) -> Response {
        let response = request.send().await.unwrap();
        let url = response.url();
        let at = url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path()));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        Response { status, headers, body, at: at.clone(), hops: vec![at] }
    }

    fn keep(&mut self, response: &Response) {
        for line in response.set_cookies() {
            let cookie = cookie::Cookie::parse(line).unwrap();
            let gone = cookie.max_age().is_some_and(|a| a.is_zero());
            if gone || self.cookies_blocked {
                self.cookies.remove(cookie.name());
            } else {
                self.cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
    }
}

/// The headers of a page load by a person.
pub fn navigation(request: RequestBuilder) -> RequestBuilder {
    let header = |v| HeaderValue::from_static(v);
    request
        .header("accept", header("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"))
        .header("accept-language", header("en"))
        .header("sec-fetch-site", header("none"))
        .header("sec-fetch-mode", header("navigate"))
        .header("sec-fetch-dest", header("document"))
}

/// The path of a URL of the gate.
pub fn on_gate(address: &str) -> Option<&str> {
    on(HOST, address)
}

/// The path of a URL at this host name.
fn on<'a>(host: &str, address: &'a str) -> Option<&'a str> {
    if address.starts_with('/') {
        return Some(address);
    }
    let rest = address.strip_prefix("http://")?.strip_prefix(host)?;
    match rest {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}
