//! A browser's name, for people who read a list of sessions. No decision depends on it.

use super::client::{find, find_word};

/// Which program on which system, by `User-Agent`; one byte, so that each session can keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Browser(u8);

/// A word of a `User-Agent` (lower case), and what it stands for. The first that occurs counts: WeCom names WeChat too, Edge
/// names Chrome, and Chrome names Safari.
type Words = [(&'static str, &'static str)];

const PROGRAMS: &Words = &[
    ("wxworklocal/", WECOM),
    ("wxwork/", WECOM),
    ("micromessenger/", "WeChat"),
    ("edg/", "Edge"),
    ("edga/", "Edge"),
    ("edgios/", "Edge"),
    ("opr/", "Opera"),
    ("huaweibrowser/", "Huawei Browser"),
    ("samsungbrowser/", "Samsung Internet"),
    ("firefox/", "Firefox"),
    ("fxios/", "Firefox"),
    ("crios/", "Chrome"),
    ("chrome/", "Chrome"),
    ("safari/", "Safari"),
];

const SYSTEMS: &Words = &[
    ("iphone", "iPhone"),
    ("ipad", "iPad"),
    ("openharmony", "HarmonyOS"),
    ("harmonyos", "HarmonyOS"),
    ("android", "Android"),
    ("windows nt", "Windows"),
    ("macintosh", "macOS"),
    ("cros ", "ChromeOS"),
    ("linux", "Linux"),
];

/// The name of WeCom's own browser.
pub const WECOM: &str = "WeCom";

impl Browser {
    /// By `User-Agent`.
    pub fn of(user_agent: Option<&str>) -> Browser {
        let ua = user_agent.unwrap_or_default();
        let program = PROGRAMS.iter().position(|(word, _)| find_word(ua, word).is_some());
        let system = SYSTEMS.iter().position(|(word, _)| find(ua, word).is_some());
        // 0 is "not known".
        let number = |position: Option<usize>| position.map_or(0, |at| at + 1);
        Browser(u8::try_from(number(program) << 4 | number(system)).unwrap_or_default())
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The one with this number.
    pub fn from_number(number: u8) -> Browser {
        Browser(number)
    }

    /// Name of the program, such as "Firefox", or [`WECOM`].
    pub fn program(self) -> Option<&'static str> {
        name(PROGRAMS, self.0 >> 4)
    }

    /// Name of the system, such as "iPhone".
    pub fn system(self) -> Option<&'static str> {
        name(SYSTEMS, self.0 & 0xf)
    }
}

fn name(words: &Words, number: u8) -> Option<&'static str> {
    words.get(usize::from(number).checked_sub(1)?).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_in_words() {
        for (user_agent, program, system) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 wxwork/4.1.39 MicroMessenger/7.0.1",
                "WeCom",
                "iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; wv) Chrome/130.0.6723.86 Mobile Safari/537.36 wxwork/4.1.36 MicroMessenger/7.0.1",
                "WeCom",
                "Android",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; WOW64) Chrome/129.0 Safari/537.36 wxwork/5.0.8 (MicroMessenger/6.2) WindowsWechat",
                "WeCom",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 Chrome/114.0 Safari/537.36 ArkWeb/4.1 Mobile",
                "Chrome",
                "HarmonyOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) MicroMessenger/8.0.40",
                "WeChat",
                "iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0 Safari/537.36 Edg/130.0",
                "Edge",
                "Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.4 Safari/605.1.15",
                "Safari",
                "macOS",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox", "Linux"),
            ("Mozilla/5.0 (X11; CrOS x86_64 14541) Chrome/130.0 Safari/537.36", "Chrome", "ChromeOS"),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) CriOS/130.0 Mobile Safari/604.1",
                "Chrome",
                "iPad",
            ),
            ("curl/8.5.0", "", ""),
            ("", "", ""),
        ] {
            let browser = Browser::from_number(Browser::of(Some(user_agent)).number());
            let (got, on) = (browser.program().unwrap_or_default(), browser.system().unwrap_or_default());
            assert_eq!((got, on), (program, system), "{user_agent}");
        }
        assert_eq!(Browser::of(None).number(), 0);
        // Every number is harmless, also one left by an older list.
        for number in 0..=u8::MAX {
            let browser = Browser::from_number(number);
            assert!(
                browser.program().is_none_or(|name| !name.is_empty())
                    && browser.system().is_none_or(|name| !name.is_empty())
            );
        }
        assert!(PROGRAMS.len() < 16 && SYSTEMS.len() < 16, "half a byte each");
    }
}
