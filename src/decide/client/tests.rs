use proptest::prelude::*;

use super::*;

const PHONE: Caller = Caller::WeCom { mobile: true };
const DESKTOP: Caller = Caller::WeCom { mobile: false };

/// Samples from WeCom and WeChat; `…` stands for unknown parts. Double spaces are in the original.
const SAMPLES: [(&str, Caller, Option<&str>); 14] = [
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_2 like Mac OS X) AppleWebKit/603.2.4 (KHTML, like Gecko) Mobile/14F89 wxwork/2.2.0 MicroMessenger/6.3.2",
        PHONE,
        None,
    ),
    (
        "Mozilla/5.0 (Linux; Android 7.1.2; g3ds Build/NJH47F; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/53.0.2785.49 Mobile MQQBrowser/6.2 TBS/043508 Safari/537.36 wxwork/2.2.0 MicroMessenger/6.3.22 NetType/WIFI Language/zh",
        PHONE,
        Some("zh"),
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/49.0.2623.110 Safari/537.36 wxwork/2.1.3 (MicroMessenger/6.2) WindowsWechat QBCore/3.43.644.400 QQBrowser/9.0.2524.400",
        DESKTOP,
        None,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_12_6) AppleWebKit/603.3.8 (KHTML, like Gecko) wxwork/2.2.0 (MicroMessenger/6.2) WeChat/2.0.4",
        DESKTOP,
        None,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.6668.101 Safari/537.36 Language/zh ColorScheme/Light wxwork/4.1.39 (MicroMessenger/6.2) WindowsWechat  MailPlugin_Electron WeMail embeddisk wwmver/3.26.39.639 noMediaCs/false",
        DESKTOP,
        Some("zh"),
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)  Mobile/15E148 wxwork/4.1.39 MicroMessenger/7.0.1 Language/zh ColorScheme/Light wwmver/3.26.38.377",
        PHONE,
        Some("zh"),
    ),
    (
        "Mozilla/5.0 (Linux; Android 15; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.86 Mobile Safari/537.36 wxwork/4.1.36 MicroMessenger/7.0.1 NetType/4G Language/zh Lang/zh ColorScheme/Dark wwmver/3.26.36.632",
        PHONE,
        Some("zh"),
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Language/zh ColorScheme/Light DistType/publish-website wxwork/4.1.36 (MicroMessenger/6.2) WeChat/2.0.4 wwmver/3.26.36.625 Safari/605.1.15",
        DESKTOP,
        Some("zh"),
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.6668.101 Safari/537.36 Language/zh ColorScheme/Light wxwork/5.0.8 (MicroMessenger/6.2) WindowsWechat  MailPlugin_Electron WeMail embeddisk wwmver/3.26.508.633",
        DESKTOP,
        Some("zh"),
    ),
    (
        "… XWEB/1380347 MMWEBSDK/20250202 MMWEBID/6351 wxwork/5.0.6.66174 MicroMessenger/8.0.28.48(0x28001c30) MiniProgramEnv/android Luggage/… NetType/WIFI Language/en ABI/arm64",
        PHONE,
        Some("en"),
    ),
    (
        "… wxwork/5.0.8 MicroMessenger/7.0.0(0x17000000) MacWechat/5.0.8(0x15000800) MiniProgramEnv/Mac MiniProgram/",
        DESKTOP,
        None,
    ),
    (
        "… wxworklocal/3.2.200 wwlocal/3.2.200 wxwork/4.0.0 appname/wxworklocal-customized … MicroMessenger/7.0.1 appScheme/wxworklocalcustomized Language/zh_CN …",
        DESKTOP, // the part that would name a phone is not known
        Some("zh_CN"),
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 15_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.22(0x18001626) NetType/WIFI Language/zh_CN",
        Caller::WeChat,
        Some("zh_CN"),
    ),
    (
        "Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile MicroMessenger/1.0.3.52(0xf3100334) Weixin NetType/4G Language/zh_CN …",
        Caller::WeChat,
        Some("zh_CN"),
    ),
];

#[test]
fn every_sample_is_recognised() {
    for (number, (ua, want, tongue)) in SAMPLES.into_iter().enumerate() {
        assert_eq!(caller(Some(ua)), want, "sample {}", number + 1);
        assert_eq!(language(ua), tongue, "sample {}", number + 1);
        // Windows 3.0.21 sent everything twice.
        let twice = format!("{ua} {ua}");
        assert_eq!(caller(Some(&twice)), want, "sample {} twice", number + 1);
        assert_eq!(language(&twice), tongue, "sample {} twice", number + 1);
        assert_eq!(caller(Some(&ua.to_lowercase())), want, "sample {} in lower case", number + 1);
        assert_eq!(caller(Some(&ua.to_uppercase())), want, "sample {} in upper case", number + 1);
        // The order of the tokens varies.
        let reversed = ua.rsplit(' ').collect::<Vec<_>>().join(" ");
        assert_eq!(caller(Some(&reversed)), want, "sample {} reversed", number + 1);
    }
}

#[test]
fn private_builds_and_look_alikes() {
    let android = "Mozilla/5.0 (Linux; Android 12) AppleWebKit/537.36 Mobile";
    for (tail, want) in [
        ("wxworklocal/3.2.200 MicroMessenger/7.0.1", PHONE),
        ("WxWorkLocal/3", PHONE),
        ("(wxwork/1)", PHONE),
        // Not a word of its own, or not followed by a version.
        ("notwxwork/4.1", Caller::Browser { mobile: true }),
        ("my_wxwork/4.1", Caller::Browser { mobile: true }),
        ("wxwork", Caller::Browser { mobile: true }),
        ("appScheme/wxworklocalcustomized", Caller::Browser { mobile: true }),
        ("notwxwork/4.1 wxwork/4.1", PHONE),
        ("notwxwork/4.1 MicroMessenger/8", Caller::WeChat),
    ] {
        assert_eq!(caller(Some(&format!("{android} {tail}"))), want, "{tail}");
    }
}

#[test]
fn other_browsers_and_programs() {
    for (ua, want) in [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            Caller::Browser { mobile: false },
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            Caller::Browser { mobile: false },
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
            Caller::Browser { mobile: false },
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            Caller::Browser { mobile: true }, // a webview on an iPad
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            Caller::Browser { mobile: true },
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
            Caller::Browser { mobile: true },
        ),
        (
            "Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36 ArkWeb/6.0 Mobile",
            Caller::Browser { mobile: true },
        ),
        (
            "Mozilla/5.0 (PC; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36 ArkWeb/6.0",
            Caller::Browser { mobile: false },
        ),
        ("curl/8.14.1", Caller::Program),
        ("python-requests/2.32", Caller::Program),
        ("axios/1.7.9", Caller::Program),
        ("Go-http-client/2.0", Caller::Program),
        ("", Caller::Program),
        ("Mozilla", Caller::Program),
    ] {
        assert_eq!(caller(Some(ua)), want, "{ua}");
    }
    assert_eq!(caller(None), Caller::Program);
}

#[test]
fn language_hints() {
    for (ua, want) in [
        ("wxwork/1 Lang/en", Some("en")),
        ("wxwork/1 language/ZH-hans;q", Some("ZH-hans")),
        ("wxwork/1 Language/", None),
        ("wxwork/1 Language/z", None),
        ("wxwork/1 Language/abcdefghijklmnopq", None),
        ("wxwork/1 Language/<script>", None),
        ("wxwork/1 Language/中文", None),
        ("wxwork/1 SomeLanguage/zh", None),
        ("wxwork/1", None),
    ] {
        assert_eq!(language(ua), want, "{ua}");
    }
}

proptest! {
    #[test]
    fn nothing_in_a_user_agent_panics(ua in ".*", tail in "(wxwork/|Language/|é| |mobile|_)*") {
        let ua = ua + &tail;
        caller(Some(&ua));
        language(&ua);
    }
}

#[test]
fn phones_are_recognised() {
    for mobile in [true, false] {
        assert_eq!(Caller::WeCom { mobile }.is_mobile(), mobile);
        assert_eq!(Caller::Browser { mobile }.is_mobile(), mobile);
    }
    assert!(Caller::WeChat.is_mobile() && !Caller::Program.is_mobile());
}
