/*
 * wecom-gate's script in NocoBase's pages. Runs before the page's own code, in every webview that WeCom still uses (ES5).
 *
 * 1. Puts the token from the gate (the tag's data-token) where NocoBase's client looks for it, and removes what another member
 * has left in this browser.
 * 2. Removes WeCom's `#wechat_redirect` from the address.
 * 3. When the session ends while the page is open, starts a new sign-in that returns to the same place; after a sign-out it shows
 * the signed-out page instead. An unsaved form stays open, and the user is asked first.
 * 4. If NocoBase's own sign-in page is in use: adds a button per WeCom entry below its form.
 * 5. While the app is closed for maintenance, tells administrators, who may still use it.
 * 6. In a new browser, asks NocoBase early for the user's language.
 * 7. Has the browser request the files of NocoBase's plugins before its client does.
 *
 * It holds no secret of its own, and writes the token nowhere else.
 */

var PREFIX = '__nocobase_api_client_storage_prefix__';
var TYPE = '__nocobase_api_client_storage_type__';
var SHARE = '__nocobase_api_client_share_token__';
var PUBLIC_PATH = '__nocobase_public_path__';
var DEFAULT_PREFIX = 'NOCOBASE_';
var LOGIN_HEADER = 'X-WeCom-Gate-Login';
var MARK_USER = 'WECOM_GATE_USER_'; // + app: the user whose data this is
var MARK_LANGUAGE = 'WECOM_GATE_LOCALE'; // NocoBase's language when first seen, or CHOSEN once it changed
var CHOSEN = '*';
var MARK_OUT = 'WECOM_GATE_SIGNED_OUT'; // the user signed out on purpose, in any tab
var MARK_BACK = 'WECOM_GATE_BACK'; // times of automatic redirects to the sign-in in this tab
var COOKIE_LANGUAGE = 'wecom_gate_lang';
var PHANTOM = /^wcg_/;
var SIGN_OUT = /(^|\/)auth(:|%3A)signOut([\/?#]|$)/i;
// Error codes that tell NocoBase's page that the session has ended.
var OVER = /"code":"(EMPTY_TOKEN|EXPIRED_TOKEN|INVALID_TOKEN|TOKEN_RENEW_FAILED|BLOCKED_TOKEN|EXPIRED_SESSION|NOT_EXIST_USER)"/;
var MOST_BACK = 2;
var MINUTE = 60000;

var tag = document.currentScript || ownTag();
if (!tag) return;
var token = tag.getAttribute('data-token');
var app = tag.getAttribute('data-app') || 'main';
var user = tag.getAttribute('data-user');
var login = tag.getAttribute('data-login');
var entries = list(tag.getAttribute('data-entries')); // [name, title]: a page without a session of the gate
var spoken = tag.getAttribute('data-lang');
var ACCENT = '#0958d9' /* accent */;
var TEXTS = {} /* texts */;
tag.removeAttribute('data-token');

// The fragment of WeCom's own link, which browsers keep through every redirect: it is no place in NocoBase.
if (location.hash === '#wechat_redirect') {
  history.replaceState(history.state, '', location.pathname + location.search);
}

function ownTag() {
  var all = document.getElementsByTagName('script');
  for (var i = all.length - 1; i >= 0; i--) {
    if (/\/wecom-gate\/gate\.js(\?|$)/.test(all[i].src)) return all[i];
  }
  return null;
}

function list(json) {
  try {
    return JSON.parse(json || 'null');
  } catch (e) {
    return null;
  }
}

/* The script's texts: in the language of NocoBase's page, else in the one that the gate chose. */
function text(name, title) {
  var lang = String(read(local, prefix() + 'LOCALE') || document.documentElement.lang || '').split('-')[0];
  var texts = TEXTS[lang] || TEXTS[spoken] || TEXTS.en || {};
  // The default title: each language has its own name for WeCom.
  return (texts[name] || '').replace('{title}', title === 'WeCom' ? texts.wecom : title);
}

/* Whom to ask, if the configuration has it. */
function help() {
  var words = text('help');
  if (!words) return null;
  var to = text('link');
  var element = document.createElement(to ? 'a' : 'span');
  element.appendChild(document.createTextNode(words));
  if (to) {
    element.href = to;
    // What is on this page is not lost.
    element.target = '_blank';
    element.rel = 'noopener noreferrer';
    style(element, { color: 'inherit', textDecoration: 'underline' });
  }
  return element;
}

function style(element, rules) {
  for (var name in rules) element.style[name] = rules[name];
}

/* Prefix of the names in the browser's storage: the default until the page's inline script, which runs after this one,
   sets it. */
function prefix() {
  return String(window[PREFIX] || DEFAULT_PREFIX).toUpperCase();
}

/* Storage may be disabled or full: then nothing is kept, and nothing fails. */
function storage(name) {
  try {
    return window[name] || null;
  } catch (e) {
    return null;
  }
}
function read(store, key) {
  try {
    return store ? store.getItem(key) : null;
  } catch (e) {
    return null;
  }
}
function write(store, key, value) {
  try {
    if (value === null) store.removeItem(key);
    else store.setItem(key, value);
  } catch (e) {
    return false;
  }
  return true;
}

/*
 * The gate's own pages use the language chosen in NocoBase: only a script can read where NocoBase stores it. NocoBase also stores
 * its default there, which no one has chosen: a language that the browser does not prefer counts only once it has changed.
 */
function tellLanguage() {
  var store = storage('localStorage');
  var lang = read(store, prefix() + 'LOCALE');
  if (!/^[a-z]{2,3}([-_][a-z0-9]{2,8})*$/i.test(lang || '')) return;
  var first = read(store, MARK_LANGUAGE);
  if (!first) write(store, MARK_LANGUAGE, lang);
  else if (first !== lang && first !== CHOSEN) write(store, MARK_LANGUAGE, CHOSEN);
  if ((!first || first === lang) && !isSpoken(lang)) return;
  var secure = location.protocol === 'https:' ? '; Secure' : '';
  document.cookie = COOKIE_LANGUAGE + '=' + lang + '; Path=/; SameSite=Lax; Max-Age=31536000' + secure;
}
function isSpoken(lang) {
  var browser = window.navigator || {};
  var all = browser.languages || (browser.language ? [browser.language] : []);
  for (var i = 0; i < all.length; i++) {
    if (all[i].split('-')[0].toLowerCase() === lang.split(/[-_]/)[0].toLowerCase()) return true;
  }
  return !all.length;
}
tellLanguage();
document.addEventListener('readystatechange', tellLanguage);
