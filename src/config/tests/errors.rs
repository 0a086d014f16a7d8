//! Every way for a file to be wrong: the key that is named, the problem, the remedy.

use super::*;

/// Changes to the smallest valid file; key that is named; words of the problem; words of the remedy.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);

#[rustfmt::skip]
const TABLE: &[Row<'_>] = &[
    // Names and types.
    (&[("orgin", "'x'")], "orgin", "no such key", "did you mean `origin`?"),
    (&[("session.idel", "'1h'")], "session.idel", "no such key", "did you mean `idle`?"),
    (&[("wecom.0.corpid", "'x'")], "wecom[0].corpid", "no such key", "did you mean `corp_id`?"),
    (&[("session.jwt_secret", "'x'")], "session.jwt_secret", "no such key", "belongs under [nocobase]"),
    (&[("log.agent_id", "'x'")], "log.agent_id", "no such key", "belongs under [[wecom]]"),
    (&[("log.origin", "'x'")], "log.origin", "no such key", "belongs at the top"),
    (&[("zzz", "1")], "zzz", "no such key", "the keys here are access"),
    (&[("origin", "1")], "origin", "must be text", "origin = \"1\""),
    (&[("origin", "['x']")], "origin", "not a list", "remove the [ ]"),
    (&[("wecom.0.agent_id", "1000002")], "wecom[0].agent_id", "must be text", "agent_id = \"1000002\""),
    (&[("upstream.nodes", "'a:1'")], "upstream.nodes", "must be a list", "nodes = [\"a:1\"]"),
    (&[("upstream.nodes", "['a:1', 2]")], "upstream.nodes[1]", "must be text", "\"2\""),
    (&[("wecom", "{corp_id='x'}")], "wecom", "must be a list", "[[wecom]]"),
    (&[("wecom", "[7]")], "wecom[0]", "must be a section", "[wecom]"),
    (&[("log", "'info'")], "log", "must be a section", "[log]"),
    (&[("log.access_log", "'yes'")], "log.access_log", "true or false", "without quotes"),
    (&[("nocobase.service_user", "'1'")], "nocobase.service_user", "whole number", "without quotes"),
    (&[("nocobase.service_user", "1.0")], "nocobase.service_user", "whole number", "digits"),
    (&[("nocobase.service_user", "-1")], "nocobase.service_user", "out of range", "from 0"),
    (&[("wecom.0.allow_departments", "[-3]")], "wecom[0].allow_departments[0]", "out of range", "from 0"),
    (&[("limits.connections", "5000000000")], "limits.connections", "out of range", "4294967295"),
    (&[("upstream.max_requests", "'some'")], "upstream.max_requests", "not a number of requests", "auto"),
    (&[("upstream.max_requests", "-1")], "upstream.max_requests", "out of range", "1000000"),
    (&[("upstream.max_requests", "[]")], "upstream.max_requests", "not a number of requests", "auto"),
    (&[("limits.body_bytes", "-1")], "limits.body_bytes", "not a size", "1GiB"),
    (&[("limits.body_bytes", "'much'")], "limits.body_bytes", "not a size", "1GiB"),
    (&[("access.browsers", "'weblogin'")], "access.browsers", "not one of", "did you mean \"web-login\"?"),
    (&[("log.format", "'xml'")], "log.format", "not one of", "\"json\", \"pretty\""),
    (&[("nocobase.match_by", "['mail']")], "nocobase.match_by[0]", "not one of", "\"email\""),
    // Pages.
    (&[("pages.accent", "'blue'")], "pages.accent", "no colour", "#0958d9"),
    (&[("pages.accent", "'#ffd700'")], "pages.accent", "too light", "darker"),
    (&[("pages.title", "\"a\\nb\"")], "pages.title", "line break", "one line"),
    (&[("pages.logo_file", "'/nonexistent.png'")], "pages.logo_file", "cannot be read", "100 KiB"),
    (&[("pages.logo_file", "'/dev/zero'")], "pages.logo_file", "too large", "100 KiB"),
    (&[("pages.logo_file", "'/etc/hostname'")], "pages.logo_file", "no picture", "PNG"),
    (&[("pages.help", "[{}]")], "pages.help[0].text", "missing", "whom to ask"),
    (&[("pages.help", "[{text='x', language='fr'}]")], "pages.help[0].language", "no language", "zh"),
    (&[("pages.help", "[{text='x'}, {text='y'}]")], "pages.help[1].language", "twice", "one block"),
    (&[("pages.help", "[{text='x', link='javascript:alert(1)'}]")], "pages.help[0].link", "not an address", "https:"),
    (&[("pages.help", "[{text='x', link='data:text/html,x'}]")], "pages.help[0].link", "not an address", "https:"),
    (&[("pages.help", "[{text='x', link='/help'}]")], "pages.help[0].link", "not an address", "https:"),
    (&[("pages.texts", "'/nonexistent'")], "pages.texts", "cannot be read", "folder"),
    (&[("pages.maintenance_file", "'maintenance'")], "pages.maintenance_file", "absolute", "/"),
    (&[("session.idle", "2026-01-01")], "session.idle", "not a time", "12h"),
    // Several applications.
    (&[("nocobase.apps", "[{service_user=1}]"), ("access.api_keys", "false")], "nocobase.apps[0].name", "not the name", "multi-app manager"),
    (&[("nocobase.apps", "[{name='a.b',service_user=1}]"), ("access.api_keys", "false")], "nocobase.apps[0].name", "not the name", "multi-app manager"),
    (&[("nocobase.apps", "[{name='main',service_user=1}]"), ("access.api_keys", "false")], "nocobase.apps[0].name", "serves anyway", "only the others"),
    (&[("nocobase.apps", "[{name='a',service_user=1},{name='a',service_user=1}]"), ("access.api_keys", "false")], "nocobase.apps[1].name", "twice", "remove"),
    (&[("nocobase.apps", "[{name='a'}]"), ("access.api_keys", "false")], "nocobase.apps[0].service_token", "missing", "nocobase.apps[0].service_user"),
    (&[("nocobase.apps", "[{name='a',service_user=0}]"), ("access.api_keys", "false")], "nocobase.apps[0].service_user", "not a user", "1 or more"),
    (&[("nocobase.apps", "[{name='a',service_user=1,home='/admin'}]"), ("access.api_keys", "false")], "nocobase.apps[0].home", "not a page of this application", "/apps/a/"),
    (&[("nocobase.apps", "[{name='a',service_user=1,default_roles=['root']}]"), ("access.api_keys", "false")], "nocobase.apps[0].default_roles[0]", "every new user", "another role"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='x',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[0].host", "not a host name", "crm.example.com"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='https://a.example.com',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[0].host", "not a host name", "name alone"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='a.example.com:8443',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[0].host", "not a host name", "port"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='A.example.com',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[0].host", "not a host name", "lower case"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='192.0.2.1',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[0].host", "not a host name", ""),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='a.example.com.',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[0].host", "not a host name", ""),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='nb.example.com',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[0].host", "that of origin", "/apps/<name>/"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='a.example.com'}]"), ("access.api_keys", "false")], "nocobase.apps[0].wecom", "is missing", "trusted domain"),
    (&[("nocobase.apps", "[{name='a',service_user=1,wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[0].wecom", "no effect", "remove it"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='a.example.com',wecom=['nobody']}]"), ("access.api_keys", "false")], "nocobase.apps[0].wecom[0]", "names no [[wecom]] block", "name of one"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='a.example.com',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps", "leave the main application none", "at least one"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='a.example.com',wecom=['wecom']},{name='b',service_user=1,host='a.example.com',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[1].host", "another application already", "own"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='a.example.com',wecom=['wecom']},{name='b',service_user=1,host='b.example.com',wecom=['wecom']}]"), ("access.api_keys", "false")], "nocobase.apps[1].wecom[0]", "another application already", "own"),
    (&[("nocobase.apps", "[{name='a',service_user=1,host='a.example.com',wecom=['wecom'],home='/wecom-gate/me'}]"), ("access.api_keys", "false")], "nocobase.apps[0].home", "not a page of this application", "begins with /"),
    (&[("nocobase.apps", "[{name='a',service_user=1,public=['GET']}]"), ("access.api_keys", "false")], "nocobase.apps[0].public[0]", "is not a rule", "METHOD /path"),
    (&[("nocobase.apps", "[{name='a',service_user=1,public=['@public-forms']}]"), ("access.api_keys", "false")], "nocobase.apps[0].public[0]", "belong to the main application", "access.public"),
    (&[("wecom.0.roles", "[{department=3,role='sales',app='crm'}]")], "wecom[0].roles[0].app", "not an application", "[[nocobase.apps]]"),
    (&[("nocobase.apps", "[{name='a',service_user=1}]"), ("access.api_keys", "false"), ("wecom.0.roles", "[{department=3,role='sales',app='b'}]")], "wecom[0].roles[0].app", "not an application", "[[nocobase.apps]]"),
    (&[("nocobase.apps", "[{name='a',service_user=1}]"), ("access.api_keys", "false"), ("access.trusted_proxies", "['127.0.0.1']"), ("access.forward_auth_secret", "'0123456789abcdef'")], "access.forward_auth_secret", "does not see", "/wecom-gate/auth"),
    (&[("nocobase.apps", "[{name='a',service_user=1}]"), ("nocobase.app", "'crm'"), ("access.api_keys", "false")], "nocobase.app", "together with", "main"),
    (&[("nocobase.apps", "[{name='a',service_user=1}]")], "access.api_keys", "would take another's", "false"),
    (&[("nocobase.apps", "[{name='a',service_user=1}]"), ("access.api_keys", "false"), ("access.password_login", "true")], "access.password_login", "would take another's", "false"),
    (&[("nocobase.apps", "[{name='a',service_user=1}]"), ("access.api_keys", "false"), ("access.browsers", "'nocobase'")], "access.browsers", "would take another's", "web-login"),
    (&[("nocobase.apps", "[{name='a',service_user=1}]"), ("access.api_keys", "false"), ("access.bypass_networks", "['10.0.0.0/8']")], "access.bypass_networks", "would take another's", "empty"),
    (&[("nocobase.apps", "[{name='a',service_user=1}]"), ("access.api_keys", "false"), ("nocobase.token_delivery", "'browser'")], "nocobase.token_delivery", "would take another's", "sealed"),
    // origin
    (&[("origin", "")], "origin", "missing", "https://"),
    (&[("origin", "''")], "origin", "missing", "https://"),
    (&[("origin", "'nb.example.com'")], "origin", "must begin with https://", "https://"),
    (&[("origin", "'ftp://nb.example.com'")], "origin", "must begin with", "https://"),
    (&[("origin", "'https://nb.example.com/crm'")], "origin", "path", "https://"),
    (&[("origin", "'https://nb.example.com?x'")], "origin", "query", "https://"),
    (&[("origin", "'https://nb.example.com/#x'")], "origin", "fragment", "https://"),
    (&[("origin", "'https://u:p@nb.example.com'")], "origin", "user or password", "https://"),
    (&[("origin", "'https://nb.example.com:99999'")], "origin", "not an address", "https://"),
    (&[("origin", "'https://nb.example.com:0'")], "origin", "port 0", "https://"),
    (&[("origin", "'https://*.example.com'")], "origin", "host name", "https://"),
    (&[("origin", "'https://nb.example.com.'")], "origin", "host name", "https://"),
    (&[("origin", r"'https:/\nb.example.com'")], "origin", "must begin with", "https://"),
    (&[("origin", r"'https://nb\example.com'")], "origin", "must not contain", "https://"),
    (&[("origin", "\"https://nb.exam\\tple.com\"")], "origin", "must not contain", "https://"),
    // listen
    (&[("listen.http", "[]")], "listen", "no address to listen on", "listen.https"),
    (&[("listen.http", "[':8080']")], "listen.http[0]", "not an address", "0.0.0.0:8080"),
    (&[("listen.http", "['localhost:8080']")], "listen.http[0]", "not an address", "IP address"),
    (&[("listen.http", "['0.0.0.0:1', '0.0.0.0:1']")], "listen.http[1]", "twice", "remove"),
    (&[("listen.https", "['0.0.0.0:8443']")], "listen.cert", "missing", "certificate chain"),
    (&[("listen.https", "['0.0.0.0:8443']")], "listen.key", "missing", "private key"),
    (&[("listen.cert", "'/nonexistent/cert.pem'")], "listen.cert", "cannot be read", "certificate chain"),
    (&[("listen.ops", "'9090'")], "listen.ops", "not an address", "127.0.0.1:8080"),
    (&[("listen.ops", "'0.0.0.0:8080'")], "listen.ops", "public listener", "a different port"),
    // upstream
    (&[("upstream.nodes", "")], "upstream.nodes", "missing", "13000"),
    (&[("upstream.nodes", "[]")], "upstream.nodes", "missing", "13000"),
    (&[("upstream.nodes", "['http://nb:13000']")], "upstream.nodes[0]", "not host:port", "without http://"),
    (&[("upstream.nodes", "['https://nb:443']")], "upstream.nodes[0]", "not host:port", "plain HTTP"),
    (&[("upstream.nodes", "['a:1', 'https://nb']")], "upstream.nodes[1]", "not host:port", "plain HTTP"),
    (&[("upstream.nodes", "['nb']")], "upstream.nodes[0]", "not host:port", "13000"),
    (&[("upstream.nodes", "['nb:0']")], "upstream.nodes[0]", "not host:port", "13000"),
    (&[("upstream.nodes", "['nb:+80']")], "upstream.nodes[0]", "not host:port", "13000"),
    (&[("upstream.nodes", "['::1:80']")], "upstream.nodes[0]", "not host:port", "13000"),
    (&[("upstream.nodes", "['nb:80/']")], "upstream.nodes[0]", "not host:port", "13000"),
    (&[("upstream.nodes", "['nb:80', 'nb:80']")], "upstream.nodes[1]", "twice", "remove"),
    (&[("upstream.health_interval", "'5ms'")], "upstream.health_interval", "out of range", "100ms to 1m"),
    (&[("upstream.connect_timeout", "'3'")], "upstream.connect_timeout", "not a time", "30s"),
    (&[("upstream.read_timeout", "'0s'")], "upstream.read_timeout", "out of range", "1ms to 1day"),
    // nocobase
    (&[("nocobase.jwt_secret", "")], "nocobase.jwt_secret", "missing", "APP_KEY"),
    (&[("nocobase.jwt_secret", "'short'")], "nocobase.jwt_secret", "shorter than 8", "whole secret"),
    (&[("nocobase.service_user", "")], "nocobase.service_token", "missing", "API key"),
    (&[("nocobase.service_user", "0")], "nocobase.service_user", "not a user", "1 or more"),
    (&[("nocobase.service_token", "'t'")], "nocobase.service_user", "together", "keep one"),
    (&[("nocobase.service_token", "'t t'")], "nocobase.service_token", "spaces", "copy it again"),
    (&[("nocobase.app", "'my app'")], "nocobase.app", "not the name", "main"),
    (&[("nocobase.public_path", "'/crm'")], "nocobase.public_path", "not a public path", "ends with /"),
    (&[("nocobase.public_path", "'crm/'")], "nocobase.public_path", "not a public path", "begins"),
    (&[("nocobase.public_path", "'//'")], "nocobase.public_path", "not a public path", "begins"),
    (&[("nocobase.public_path", "'/../'")], "nocobase.public_path", "not a public path", "begins"),
    (&[("nocobase.match_by", "[]")], "nocobase.match_by", "empty", "phone"),
    (&[("nocobase.match_by", "['phone', 'phone']")], "nocobase.match_by[1]", "twice", "remove"),
    (&[("nocobase.default_roles", "['']")], "nocobase.default_roles[0]", "empty", "role's name"),
    (&[("nocobase.default_roles", "['member', 'root']")], "nocobase.default_roles[1]", "administrator", "another role"),
    (&[("nocobase.default_roles", "['Root ']")], "nocobase.default_roles[0]", "administrator", "another role"),
    // wecom
    (&[("wecom", "")], "wecom", "missing", "[[wecom]]"),
    (&[("wecom.0.name", "'a b'")], "wecom[0].name", "not a name", "1 to 50"),
    (&[("wecom.0.name", "''")], "wecom[0].name", "not a name", "1 to 50"),
    (&[("wecom.0.title", "' '")], "wecom[0].title", "not a title", "button"),
    (&[("wecom.1.secret", "'s'")], "wecom[1].name", "name of wecom[0]", "of its own"),
    (&[("wecom.0.auto_login", "true"), ("wecom.1.auto_login", "true")], "wecom[1].auto_login", "wecom[0] has it", "only one"),
    (&[("wecom.0.corp_id", "")], "wecom[0].corp_id", "missing", "My Company"),
    (&[("wecom.0.corp_id", "'0123'")], "wecom[0].corp_id", "not a CorpID", "ww0123456789abcdef"),
    (&[("wecom.0.corp_id", "'ww0123 456789abcdef'")], "wecom[0].corp_id", "not a CorpID", "My Company"),
    (&[("wecom.0.agent_id", "")], "wecom[0].agent_id", "missing", "App Management"),
    (&[("wecom.0.agent_id", "'a1'")], "wecom[0].agent_id", "not an AgentId", "App Management"),
    (&[("wecom.0.secret", "")], "wecom[0].secret", "missing", "App Management"),
    (&[("wecom.0.secret", "'a b'")], "wecom[0].secret", "spaces", "copy it again"),
    (&[("wecom.0.home", "'admin'")], "wecom[0].home", "cannot be a home page", "/admin"),
    (&[("wecom.0.home", "'//evil.example'")], "wecom[0].home", "cannot be a home page", "one /"),
    (&[("wecom.0.home", r"'/\evil.example'")], "wecom[0].home", "cannot be a home page", "one /"),
    (&[("wecom.0.home_mobile", "'/wecom-gate/login'")], "wecom[0].home_mobile", "cannot be a home page", "NocoBase"),
    (&[("wecom.0.verify_files", "['WW_verify_a-b.txt']")], "wecom[0].verify_files[0]", "verification file", "WW_verify_"),
    (&[("wecom.0.verify_files", "['../WW_verify_a.txt']")], "wecom[0].verify_files[0]", "verification file", "name only"),
    (&[("wecom.0.verify_files", "['WW_verify_.txt']")], "wecom[0].verify_files[0]", "verification file", "name only"),
    (&[("wecom.0.allow_users", "['a b']")], "wecom[0].allow_users[0]", "not a userid", "userid"),
    (&[("wecom.0.event_token", "'abc'")], "wecom[0].event_aes_key", "missing", "neither"),
    (&[("wecom.0.event_aes_key", "'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG'")], "wecom[0].event_token", "missing", "neither"),
    (&[("wecom.0.event_token", "'abc'"), ("wecom.0.event_aes_key", "'short'")], "wecom[0].event_aes_key", "43 letters", "Receive messages"),
    (&[("wecom.0.event_token", "'a-b'")], "wecom[0].event_token", "1 to 32", "Receive messages"),
    (&[("wecom.0.api_base", "'qyapi.weixin.qq.com'")], "wecom[0].api_base", "must begin with", "https://"),
    (&[("wecom.0.api_base", "'https://h/?a=b'")], "wecom[0].api_base", "query", "before ?"),
    (&[("wecom.0.api_base", "'https://u:p@h/'")], "wecom[0].api_base", "user or password", "https://"),
    (&[("wecom.0.authorize_url", "'https://h/#x'")], "wecom[0].authorize_url", "fragment", "#"),
    (&[("wecom.0.web_login_url", "''")], "wecom[0].web_login_url", "must begin with", "https://"),
    (&[("wecom.0.userinfo_path", "'cgi-bin'")], "wecom[0].userinfo_path", "not a path", "/cgi-bin"),
    (&[("wecom.0.userdetail_path", "'/a?b'")], "wecom[0].userdetail_path", "not a path", "/cgi-bin"),
    (&[("wecom.0.http_proxy", "'socks5://h:1'")], "wecom[0].http_proxy", "not the address of a proxy", "http://host:port"),
    (&[("wecom.0.http_proxy", "'http://h/x'")], "wecom[0].http_proxy", "not the address of a proxy", "http://host:port"),
    (&[("wecom.0.roles", "[{department=3, role='sales'}, {department=3, role='root'}]")], "wecom[0].roles[1].role", "administrator", "another role"),
    (&[("wecom.0.roles", "[{department=3, role=' RooT '}]")], "wecom[0].roles[0].role", "administrator", "another role"),
    (&[("wecom.0.roles", "[{tag=3, role='Head of sales'}]")], "wecom[0].roles[0].role", "not the name", "Role UID"),
    (&[("wecom.0.roles", "[{tag=3, role='ｒｏｏｔ'}]")], "wecom[0].roles[0].role", "not the name", "Role UID"),
    (&[("wecom.0.roles", "[{department=3, tag=1, role='sales'}]")], "wecom[0].roles[0]", "exactly one", "keep one"),
    (&[("wecom.0.roles", "[{role='sales'}]")], "wecom[0].roles[0]", "exactly one", "keep one"),
    (&[("wecom.0.roles", "[{tag=1}]")], "wecom[0].roles[0].role", "missing", "role"),
    // access
    (&[("access.public", "['/api/x']")], "access.public[0]", "not a rule", "METHOD /path"),
    (&[("access.public", "['get /api/x']")], "access.public[0]", "not a rule", "capital"),
    (&[("access.public", "['GET api/x']")], "access.public[0]", "not a rule", "begin with /"),
    (&[("access.public", "['GET /a?b=1']")], "access.public[0]", "not a rule", "leave out ?"),
    (&[("access.forward_auth_secret", "'a-secret-of-the-proxy'")], "access.forward_auth_secret", "has no effect without a proxy", "trusted_proxies"),
    (&[("access.forward_auth_secret", "'short'"), ("access.trusted_proxies", "['10.1.2.3']")], "access.forward_auth_secret", "guessed", "openssl rand"),
    (&[("access.trusted_proxies", "['proxy.example']")], "access.trusted_proxies[0]", "not a network", "10.1.2.0/24"),
    (&[("access.bypass_networks", "['10.0.0.0/33']")], "access.bypass_networks[0]", "not a network", "10.1.2.0/24"),
    (&[("access.admins", "['zhangsan']")], "access.admins[0]", "neither a member nor a role", "wecom/zhangsan"),
    (&[("access.admins", "['wecom/zhangsan', 'other/zhangsan']")], "access.admins[1]", "names no [[wecom]] entry", "give one of: wecom"),
    (&[("access.admins", "['wecom/zhang san']")], "access.admins[0]", "neither a member nor a role", "role:root"),
    (&[("access.admins", "['role:']")], "access.admins[0]", "not the name of a role", "role:root"),
    // session
    (&[("session.keys", "")], "session.keys", "missing", "keygen"),
    (&[("session.keys", "['not base64!']")], "session.keys[0]", "not base64", "keygen"),
    (&[("session.idle", "'8d'")], "session.idle", "longer than session.absolute", "shorter"),
    (&[("session.idle", "'1s'")], "session.idle", "out of range", "1m"),
    (&[("session.absolute", "'400days'")], "session.absolute", "out of range", "to"),
    (&[("session.absolute", "'99999999999999999999y'")], "session.absolute", "not a time", "7d"),
    (&[("session.cookie_name", "''")], "session.cookie_name", "not the name of a cookie", "wecom_gate_crm"),
    (&[("session.cookie_name", "'a b'")], "session.cookie_name", "not the name of a cookie", "letters, digits"),
    (&[("session.cookie_name", "'wecom_gate_out'")], "session.cookie_name", "another cookie", "wecom_gate_crm"),
    (&[("session.cookie_name", "'x_flow_1'")], "session.cookie_name", "another cookie", "wecom_gate_crm"),
    (&[("session.cookie_name", "'__Host-x'")], "session.cookie_name", "another cookie", "wecom_gate_crm"),
    (&[("session.cookie_name", "'nb_auth_token_main'")], "session.cookie_name", "another cookie", "wecom_gate_crm"),
    (&[("session.recheck", "'9s'")], "session.recheck", "out of range", "10s to 1day"),
    (&[("session.recheck", "'25h'")], "session.recheck", "out of range", "10s to 1day"),
    (&[("session.redis", "'redis'")], "session.redis", "not an address", "redis://:password@host"),
    (&[("session.redis", "'http://:secret@h'")], "session.redis", "does not begin with redis://", "rediss://"),
    (&[("session.redis", "'rediss://h#insecure'")], "session.redis", "has a #", "rediss://"),
    (&[("session.redis_file", "'/no-such-file'")], "session.redis_file", "cannot be read", "may read"),
    // log and limits
    (&[("log.level", "'verbose'")], "log.level", "not a level", "error, warn, info"),
    (&[("log.level", "' 𝒞['")], "log.level", "is not a level", "directives such as"),
    (&[("log.level", "''")], "log.level", "not a level", "error, warn, info"),
    (&[("log.level", "'info,a=b=c'")], "log.level", "not a level", "directives"),
    (&[("limits.header_bytes", "100")], "limits.header_bytes", "out of range", "4KiB to 1MiB"),
    (&[("limits.connections", "0")], "limits.connections", "lets nobody in", "1 or more"),
    (&[("limits.sign_ins_at_once", "0")], "limits.sign_ins_at_once", "lets nobody sign in", "1 or more"),
    (&[("limits.head_timeout", "'0s'")], "limits.head_timeout", "out of range", "1s to 1h"),
    (&[("limits.body_timeout", "'0s'")], "limits.body_timeout", "out of range", "1s to 1h"),
    (&[("limits.keepalive_timeout", "'2h'")], "limits.keepalive_timeout", "out of range", "1s to 1h"),
];

#[test]
fn each_mistake_is_named_with_its_key_and_a_remedy() {
    for (changes, key, problem, remedy) in TABLE {
        let errors = bad(changes);
        let Some(found) = errors.iter().find(|e| e.key == *key && e.problem.contains(problem)) else {
            panic!("{changes:?}: no {key}: {problem} in {errors:#?}");
        };
        assert!(found.remedy.contains(remedy), "{changes:?}: {remedy:?} is not in {:?}", found.remedy);
    }
}

#[test]
fn one_mistake_of_shape_is_one_error() {
    for changes in
        [[("upstream.nodes", "'a:1'")], [("wecom", "7")], [("session.keys", "[1]")], [("origin", "1")]]
    {
        assert_eq!(bad(&changes).len(), 1, "{:#?}", bad(&changes));
    }
}

#[test]
fn all_errors_are_reported_at_once_in_the_order_of_the_file() {
    let text = "
        orgin = 'x'
        [session]
        idle = 'soon'
        [wecom]
        [log]
        level = 7
    ";
    let errors = load_str(text, []).unwrap_err();
    let keys: Vec<&str> = errors.0.iter().map(|e| e.key.as_str()).collect();
    let expected = [
        "orgin",
        "session.idle",
        "wecom",
        "log.level",
        "origin",
        "upstream.nodes",
        "nocobase.jwt_secret",
        "nocobase.service_token",
        "session.keys",
    ];
    assert_eq!(keys, expected);
    let text = errors.to_string();
    assert!(text.starts_with(
        "the configuration has 9 errors:\n\n  1. orgin (line 2): there is no such key\n     -> did"
    ));
    assert!(text.contains("\n  2. session.idle = \"soon\" (line 4): is not a time\n     -> write"), "{text}");
}

#[test]
fn wrong_toml_is_reported_with_its_lines() {
    let errors = load_str("origin = nb.example.com\n[listen\nhttp = [1,\n", []).unwrap_err();
    assert!(errors.0.len() > 1, "{errors}");
    assert_eq!(errors.0[0].place.as_deref(), Some("line 1"));
    assert!(errors.0.iter().all(|e| !e.problem.is_empty() && !e.remedy.is_empty()));
}

#[test]
fn long_and_strange_values_are_shown_short_and_escaped() {
    let long = format!("'{}'", "ä".repeat(500));
    let shown = bad(&[("session.idle", &long)])[0].value.clone().unwrap();
    assert_eq!(shown, format!("\"{}\"...", "ä".repeat(80)));
    let shown = bad(&[("session.idle", "\"\\u001b[31m\"")])[0].value.clone().unwrap();
    assert_eq!(shown, "\"\\u{1b}[31m\"");
}

#[test]
fn r03_trusted_and_bypassing_networks_are_never_everyone() {
    for key in ["access.trusted_proxies", "access.bypass_networks"] {
        for list in [
            "['0.0.0.0/0']",
            "['::/0']",
            "['10.0.0.1/0']",
            "['::ffff:0:0/96']",
            "['::ffff:0.0.0.0/96']",
            "['::/64']",
            "['0.0.0.0/1', '128.0.0.0/1']",
            "['::/1', '8000::/1']",
            "['0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/1', '10.0.0.1']",
        ] {
            let errors = bad(&[(key, list)]);
            assert_eq!(errors.len(), 1, "{list}: {errors:?}");
            assert!(
                errors[0].key.starts_with(key) && errors[0].problem.contains("every address"),
                "{errors:?}"
            );
            assert!(errors[0].remedy.contains("list the actual networks"));
        }
        assert!(good(&[]).config.access.trusted_proxies.is_empty(), "nobody is trusted who is not named");
        good(&[(key, "['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::1']")]);
    }
}

#[test]
fn r14_session_keys_have_64_bytes_and_none_is_there_twice() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use secrecy::ExposeSecret;
    let bytes = |n: u8| (0..n).map(|i| i.wrapping_mul(251)).collect::<Vec<u8>>();
    for n in [0, 1, 16, 32, 63, 65, 128] {
        let errors = bad(&[("session.keys", &format!("['{}']", STANDARD.encode(bytes(n))))]);
        assert_eq!(errors[0].key, "session.keys[0]");
        assert_eq!(errors[0].problem, format!("is {n} bytes long, not 64"));
        assert!(errors[0].value.is_none());
    }
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        let config = good(&[("session.keys", &format!("['{}']", engine.encode(bytes(64))))]).config;
        assert_eq!(config.session.keys[0].expose_secret(), bytes(64));
    }
    // The same bytes in another spelling are the same key.
    let twice =
        format!("['{}', '{KEY}', '{}']", STANDARD.encode(bytes(64)), URL_SAFE_NO_PAD.encode(bytes(64)));
    let errors = bad(&[("session.keys", &twice)]);
    assert_eq!((errors[0].key.as_str(), errors[0].problem.as_str()), ("session.keys[2]", "is there twice"));
    let two = good(&[("session.keys", &format!("['{}', '{KEY}']", STANDARD.encode(bytes(64))))]).config;
    assert_eq!(two.session.keys.len(), 2, "an old key for opening beside the new one");
}

#[test]
fn certificates_and_redirects_that_cannot_work() {
    for (changes, key, words) in [
        (
            &[("listen.certificates", "[{cert = '/none', key = ''}]")][..],
            "listen.certificates[0].key",
            "is missing",
        ),
        (
            &[("listen.certificates", "[{cert = '/none', key = ''}]")],
            "listen.certificates[0].cert",
            "cannot be read",
        ),
        (&[("listen.redirect_http", "true")], "listen.redirect_http", "redirect loop"),
        (
            &[("origin", "'http://nb.example.com'"), ("listen.redirect_http", "true")],
            "listen.redirect_http",
            "cannot redirect",
        ),
    ] {
        let errors = bad(changes);
        assert!(errors.iter().any(|e| e.key == key && e.problem.contains(words)), "{changes:?}: {errors:?}");
    }
    good(&[("listen.redirect_http", "true"), ("access.trusted_proxies", "['127.0.0.1']")]);
}
