/*
 * wecom-gate in NocoBase's pages. Runs before the page's own code, in every webview that WeCom still ships (ES5).
 *
 * 1. Puts the token that the gate gave (its tag's data-token) where NocoBase's client looks for it, and takes away
 *    what another member left in this browser.
 * 2. Takes WeCom's `#wechat_redirect` off the address.
 * 3. When the session ends while the page is open, starts the way in again and keeps the place; after a sign-out it
 *    shows the signed-out page instead. A form that is not saved stays open, and the person is asked first.
 * 4. Where NocoBase's own sign-in page is in use: puts a button per WeCom entry below its form.
 *
 * It holds no secret of its own, and writes the token nowhere but there.
 */
(function () {
  'use strict';

  var PREFIX = '__nocobase_api_client_storage_prefix__';
  var TYPE = '__nocobase_api_client_storage_type__';
  var SHARE = '__nocobase_api_client_share_token__';
  var PUBLIC_PATH = '__nocobase_public_path__';
  var DEFAULT_PREFIX = 'NOCOBASE_';
  var LOGIN_HEADER = 'X-WeCom-Gate-Login';
  var MARK_USER = 'WECOM_GATE_USER_'; // + app: whose leftovers these are
  var MARK_LANGUAGE = 'WECOM_GATE_LOCALE'; // NocoBase's language when first seen, or CHOSEN once it changed
  var CHOSEN = '*';
  var MARK_OUT = 'WECOM_GATE_SIGNED_OUT'; // somebody signed out on purpose, in any tab
  var MARK_BACK = 'WECOM_GATE_BACK'; // when this tab was sent to sign in by itself
  var COOKIE_LANGUAGE = 'wecom_gate_lang';
  var PHANTOM = /^wcg_/;
  var SIGN_OUT = /(^|\/)auth(:|%3A)signOut([\/?#]|$)/i;
  // What NocoBase's page takes for the end of a session.
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
  var TEXTS = {} /* texts */;
  tag.removeAttribute('data-token');

  // The end of WeCom's own link, which browsers carry through every redirect: no place in NocoBase.
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

  /* What we say to people: in the language that NocoBase's page speaks, else in the one that the gate chose. */
  function text(name, title) {
    var lang = String(read(local, prefix() + 'LOCALE') || document.documentElement.lang || '').split('-')[0];
    var texts = TEXTS[lang] || TEXTS[spoken] || TEXTS.en || {};
    // The title that is there unless another is configured: each language has its own name for it.
    return (texts[name] || '').replace('{title}', title === 'WeCom' ? texts.wecom : title);
  }

  /* What the names in the browser's storage begin with: the default until the page's inline script, which comes after us, has
     said so. */
  function prefix() {
    return String(window[PREFIX] || DEFAULT_PREFIX).toUpperCase();
  }

  /* Storage may be switched off, full or forbidden: then nothing is kept, and nothing breaks here. */
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
   * The gate's own pages speak the language chosen in NocoBase: only a script can read where NocoBase keeps it. It
   * keeps its default there too, which nobody has chosen: what the browser does not speak counts only once it changed.
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

  // ---- 1. The token ----

  var local = storage('localStorage');
  var placed = null; // where the token is now
  var noLaterSettings = document.readyState !== 'loading';

  /*
   * The page's inline script, which comes after us, says where its client keeps things; its client, a module, runs
   * after that. So we listen to those settings being made.
   */
  function watch(name) {
    var value = window[name];
    try {
      Object.defineProperty(window, name, {
        configurable: true,
        enumerable: true,
        get: function () {
          return value;
        },
        set: function (v) {
          value = v;
          place();
        }
      });
    } catch (e) {
      /* Then the token is placed when the document has been read. */
    }
  }

  /* NocoBase's sub-applications live below /apps/<name>/ and keep their things under names of their own. */
  function subApp() {
    var root = publicPath() + 'apps/';
    if (location.pathname.indexOf(root) !== 0) return '';
    return location.pathname.slice(root.length).split('/')[0];
  }
  /* Where the pages of this application lie. */
  function root() {
    var name = subApp();
    return publicPath() + (name ? 'apps/' + name + '/' : '');
  }
  function publicPath() {
    return window[PUBLIC_PATH] || '/';
  }

  function place() {
    var prefix = window[PREFIX];
    if (!prefix) {
      if (!noLaterSettings) return;
      prefix = DEFAULT_PREFIX;
    }
    var store = window[TYPE] === 'sessionStorage' ? storage('sessionStorage') : local;
    if (!store || !token) return;
    var shared = window[SHARE] === true || window[SHARE] === 'true';
    var base = String(prefix).toUpperCase();
    var own = base + (subApp() === app ? app.toUpperCase() + '_' : '');
    var key = (shared ? base : own) + 'TOKEN';

    if (placed && (placed.key !== key || placed.store !== store) && read(placed.store, placed.key) === token) {
      write(placed.store, placed.key, null);
    }
    forgetOthers(store, base);
    write(store, key, token);
    // Without a name NocoBase takes its default authenticator, which is what checks our token.
    write(store, own + 'AUTH', null);
    placed = { store: store, key: key };
  }

  /* Another member used this browser before: role, tokens of sub-applications and the like are theirs. */
  function forgetOthers(store, base) {
    var mark = MARK_USER + app;
    if (user === null || read(store, mark) === user) return;
    // Another application's user is another one, and leaves what is the main one's.
    if (subApp() === app) base += app.toUpperCase() + '_';
    try {
      for (var i = store.length - 1; i >= 0; i--) {
        var key = store.key(i);
        // The language is a setting of the device as much as of the person.
        if (key && key.indexOf(base) === 0 && !/LOCALE$/.test(key)) store.removeItem(key);
      }
      var cookie = 'nb_role_' + app + '=; Max-Age=0; Path=';
      document.cookie = cookie + '/';
      document.cookie = cookie + (publicPath().replace(/\/+$/, '') || '/');
    } catch (e) {
      /* See above. */
    }
    write(store, mark, user);
  }

  function forgetPhantom() {
    var stores = [local, storage('sessionStorage')];
    for (var i = 0; i < stores.length; i++) {
      if (PHANTOM.test(read(stores[i], prefix() + 'TOKEN') || '')) write(stores[i], prefix() + 'TOKEN', null);
    }
  }

  if (entries) {
    // No session of the gate: what the gate put here has ended, and the person who signs in now leaves their own entries.
    forgetPhantom();
    document.addEventListener('readystatechange', forgetPhantom);
    write(local, MARK_USER + app, null);
  }
  if (token) {
    write(local, MARK_OUT, null);
    watch(PREFIX);
    watch(TYPE);
    watch(SHARE);
    place();
    document.addEventListener('readystatechange', function () {
      // "interactive" comes before deferred scripts and modules run.
      if (noLaterSettings) return;
      noLaterSettings = true;
      place();
    });
  }

  if (!login) return;
  if (entries) return form();

  // ---- 3. The way back in ----

  var gate = login.replace(/login$/, '');
  var leaving = false;
  var signedOut = false;
  var spot = isSignIn(location.pathname) ? '' : here(); // the last page that was not the sign-in page

  function here() {
    return location.pathname + location.search + location.hash;
  }

  /* NocoBase's own sign-in page, of any of its clients; what lies below /admin/ is pages that people made. */
  function isSignIn(path) {
    return /\/signin\/?$/.test(path) && path.indexOf('/admin/') < 0;
  }

  /* `?redirect=` of NocoBase's sign-in page, where we did not see the page before; it may lack the public path. */
  function asked() {
    var found = /[?&]redirect=([^&]*)/.exec(location.search);
    var path = '';
    try {
      path = found ? decodeURIComponent(found[1].replace(/\+/g, ' ')) : '';
    } catch (e) {
      path = '';
    }
    if (!/^\/(?![\/\\])/.test(path) || isSignIn(path.split(/[?#]/)[0])) path = '/';
    return path.indexOf(root()) === 0 ? path : root().replace(/\/$/, '') + path;
  }

  /* At most twice a minute by itself: whatever goes wrong, nobody is caught in a redirect loop. */
  function mayGo() {
    var store = storage('sessionStorage');
    var now = new Date().getTime();
    var times;
    try {
      times = JSON.parse(read(store, MARK_BACK) || '[]');
    } catch (e) {
      times = [];
    }
    var recent = [];
    for (var i = 0; i < (times && times.length) || 0; i++) {
      if (typeof times[i] === 'number' && Math.abs(now - times[i]) < MINUTE) recent.push(times[i]);
    }
    if (recent.length >= MOST_BACK) return false;
    recent.push(now);
    // Where nothing can be counted, nothing happens by itself.
    return !!store && write(store, MARK_BACK, JSON.stringify(recent));
  }

  /* Leaves this page: to sign in, to the sign-in page that waits for a click, or to the signed-out page. */
  function leave() {
    if (leaving) return;
    leaving = true;
    tellLanguage();
    var back = encodeURIComponent(spot || asked());
    var to;
    if (signedOut || read(local, MARK_OUT)) to = gate + 'sign-in?out=1' + (subApp() ? '&rd=' + encodeURIComponent(root()) : '');
    else to = (mayGo() ? login : gate + 'sign-in') + '?rd=' + back;
    hide();
    location.replace(to);
  }

  /* No flash of NocoBase's own sign-in form on the way out. */
  function hide() {
    var root = document.documentElement;
    root.style.visibility = 'hidden';
    setTimeout(function () {
      root.style.visibility = '';
      leaving = false;
    }, 10000);
  }

  function moved() {
    if (isSignIn(location.pathname)) leave();
    else spot = here();
  }

  function hookHistory(name) {
    var original = history[name];
    history[name] = function () {
      if (!isSignIn(location.pathname)) spot = here();
      var result = original.apply(this, arguments);
      moved();
      return result;
    };
  }

  /* Every response to a call of the page. */
  function answered(url, status, loginHeader) {
    if (SIGN_OUT.test(url)) {
      // 401: the session had ended already, and out is where the person wants to be.
      if (status === 401 || (status >= 200 && status < 300)) {
        signedOut = true;
        write(local, MARK_OUT, '1');
      }
    } else if (status === 401 && loginHeader) {
      if (!isSignIn(location.pathname)) spot = here();
      leave();
    }
  }

  /* Does this response tell NocoBase's page that the session is over? It would put its sign-in form in place of all else. */
  function isOver(xhr) {
    if (xhr.status !== 401 || !isOurs(xhr.wecomGate) || SIGN_OUT.test(xhr.wecomGate)) return false;
    if (xhr.getResponseHeader(LOGIN_HEADER)) return true;
    try {
      return OVER.test(typeof xhr.response === 'string' ? xhr.response : JSON.stringify(xhr.response));
    } catch (e) {
      return false;
    }
  }

  // ---- What is not saved yet ----

  var edited = []; // fields that somebody has typed into

  document.addEventListener('input', function (event) {
    if (event.target && edited.indexOf(event.target) < 0) edited.push(event.target);
  }, true);

  /* Is there, on the page as it is now, something that somebody has typed? */
  function isBusy() {
    edited = edited.filter(function (field) {
      return document.documentElement.contains(field);
    });
    return edited.some(function (field) {
      return field.getClientRects().length && (field.value || field.textContent || field.checked);
    });
  }

  /* Asks a person who has a form open, and keeps the form; true if so. */
  function offer() {
    if (signedOut || leaving || !isBusy()) return false;
    var strip = document.getElementById('wecom-gate-over');
    if (strip || !document.body) return !!strip;
    strip = document.createElement('div');
    strip.id = 'wecom-gate-over';
    strip.setAttribute('role', 'alert');
    style(strip, {
      position: 'fixed', zIndex: '2147483000', top: '0', left: '0', right: '0', padding: '10px 16px',
      display: 'flex', flexWrap: 'wrap', alignItems: 'center', justifyContent: 'center',
      background: '#fffbe6', color: '#1f1f1f', borderBottom: '1px solid #d48806', fontSize: '14px', lineHeight: '1.5'
    });
    var words = document.createElement('span');
    words.appendChild(document.createTextNode(text('out')));
    style(words, { margin: '4px 16px 4px 0' });
    var link = document.createElement('a');
    link.href = login + '?rd=' + encodeURIComponent(here());
    // In a window of its own: this one goes on with the session that is made there.
    link.target = '_blank';
    link.appendChild(document.createTextNode(text('again')));
    style(link, {
      padding: '8px 16px', borderRadius: '6px', background: '#0958d9', color: '#fff', textDecoration: 'none', whiteSpace: 'nowrap'
    });
    strip.appendChild(words);
    strip.appendChild(link);
    document.body.appendChild(strip);
    joinRound(link);
    return true;
  }

  /*
   * In NocoBase's drawers and dialogs the tab key goes round and never leaves them: where it starts again, `link` is one
   * more stop on the way.
   */
  function joinRound(link) {
    var next = null; // where the round goes on
    document.addEventListener('keydown', function (event) {
      if (event.keyCode !== 9 || !document.documentElement.contains(link)) return;
      var from = document.activeElement;
      // Backwards a round starts again where the next in focus is later in the document.
      var wraps = event.shiftKey ? 4 : 2;
      if (from === link) {
        if (next) event.preventDefault();
        if (next) next.focus();
        next = null;
        return;
      }
      // By then the browser has moved the focus.
      setTimeout(function () {
        var now = document.activeElement;
        if (!from || !now || now === from || now === link || from === document.body || now === document.body) return;
        if (!(from.compareDocumentPosition(now) & wraps)) return;
        next = now;
        link.focus();
      }, 0);
    }, true);
  }

  function style(element, rules) {
    for (var name in rules) element.style[name] = rules[name];
  }

  function hookXhr() {
    var proto = window.XMLHttpRequest && XMLHttpRequest.prototype;
    if (!proto) return;
    var open = proto.open;

    /* First to see every response. To the page, one that would cost a form is a failure of the network. */
    function hold(event) {
      var xhr = this;
      if (xhr.readyState !== 4 || !(xhr.wecomGateHeld || (isOver(xhr) && offer()))) return;
      event.stopImmediatePropagation();
      if (xhr.wecomGateHeld) return;
      xhr.wecomGateHeld = true;
      setTimeout(function () {
        var failed = document.createEvent('Event');
        failed.initEvent('error', false, false);
        xhr.dispatchEvent(failed);
      }, 0);
    }

    proto.open = function (method, url) {
      var xhr = this;
      if (!xhr.wecomGate) {
        xhr.addEventListener('readystatechange', hold);
        xhr.addEventListener('load', hold);
        xhr.addEventListener('loadend', hold);
        xhr.addEventListener('load', function () {
          var header = xhr.status === 401 && isOurs(xhr.wecomGate) && xhr.getResponseHeader(LOGIN_HEADER);
          answered(xhr.wecomGate, xhr.status, header);
        });
      }
      xhr.wecomGate = String(url);
      return open.apply(xhr, arguments);
    };
  }

  function hookFetch() {
    var original = window.fetch;
    if (!original) return;
    window.fetch = function (input) {
      var url = String((input && input.url) || input);
      return original.apply(window, arguments).then(function (response) {
        var header = response.status === 401 && isOurs(url) && response.headers.get(LOGIN_HEADER);
        if (header && !SIGN_OUT.test(url) && offer()) throw new TypeError('Failed to fetch');
        answered(url, response.status, header);
        return response;
      });
    };
  }

  /* Asking another site's response for its headers makes browsers complain. */
  function isOurs(url) {
    var link = document.createElement('a');
    link.href = url;
    return link.host === location.host;
  }

  hookHistory('pushState');
  hookHistory('replaceState');
  window.addEventListener('popstate', moved);
  window.addEventListener('hashchange', moved);
  hookXhr();
  hookFetch();

  // Another tab has become another member's: what this one shows is not theirs.
  window.addEventListener('storage', function (event) {
    if (user !== null && event.key === MARK_USER + app && event.newValue && event.newValue !== user) {
      location.reload();
    }
    // The same member has signed in again there: this page goes on, with the token that is there now.
    var strip = document.getElementById('wecom-gate-over');
    if (strip && placed && event.key === placed.key && event.newValue) strip.parentNode.removeChild(strip);
  });

  moved();

  // ---- 4. NocoBase's own sign-in page ----

  /* Runs in pages without a session of the gate: NocoBase's form, and the pages of those who signed in there. */
  function form() {
    // NocoBase's page goes where `redirect` says; what a deep link had after its `#` goes along.
    var hash = isSignIn(location.pathname) ? location.hash : '';
    if (hash) {
      var to = /[?&]redirect=[^&#]/.test(location.search) && location.search.indexOf('%23') < 0;
      history.replaceState(history.state, '', location.pathname + location.search + (to ? encodeURIComponent(hash) : ''));
    }
    // NocoBase draws its form at any time, and draws it again when the language changes.
    if (window.MutationObserver) new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true });
    document.addEventListener('readystatechange', soon);
    window.addEventListener('storage', function (event) {
      // Somebody has come through the gate in another tab.
      if (event.key === MARK_USER + app && event.newValue) location.reload();
    });
    soon();

    var waiting = false;
    function soon() {
      if (waiting) return;
      waiting = true;
      setTimeout(function () {
        waiting = false;
        buttons();
      }, 50);
    }
  }

  /* The buttons, once, below the form with the password; nothing where there is none. */
  function buttons() {
    if (!isSignIn(location.pathname)) return;
    var password = document.querySelector('form input[type="password"]');
    var box = document.getElementById('wecom-gate');
    var words = text('or') + spoken + document.documentElement.lang;
    if (!password) return;
    var form = password;
    while (form && form.tagName !== 'FORM') form = form.parentNode;
    var place = form;
    for (var up = form; up && up !== document.body; up = up.parentNode) {
      if (/(^|\s)ant-space-vertical(\s|$)/.test(up.className || '')) {
        place = up;
        break;
      }
    }
    if (box && box.previousSibling === place && box.getAttribute('data-words') === words) return;
    if (box) box.parentNode.removeChild(box);
    var submit = form.querySelector('button[type="submit"]') || form.querySelector('button');
    // NocoBase's own class for this very theme, on buttons that are not the main one.
    var hashed = /(^|\s)(css-[\w-]+)/.exec((submit && submit.className) || '');
    var look = 'ant-btn ant-btn-default ant-btn-color-default ant-btn-variant-outlined ant-btn-block ';
    if (submit && /ant-btn-lg/.test(submit.className)) look += 'ant-btn-lg ';
    look += (hashed && hashed[2]) || '';

    box = document.createElement('div');
    box.id = 'wecom-gate';
    box.setAttribute('data-words', words);
    box.style.marginTop = '16px';
    var or = document.createElement('div');
    or.setAttribute('role', 'separator');
    or.style.textAlign = 'center';
    or.style.opacity = '.65';
    or.style.fontSize = '14px';
    or.appendChild(document.createTextNode(text('or')));
    box.appendChild(or);
    for (var i = 0; i < entries.length; i++) {
      var link = document.createElement('a');
      link.className = look;
      link.style.marginTop = '12px';
      link.href = login + '?rd=' + encodeURIComponent(asked()) + '&with=' + encodeURIComponent(entries[i][0]);
      var label = document.createElement('span');
      label.appendChild(document.createTextNode(text('with', entries[i][1])));
      link.appendChild(label);
      box.appendChild(link);
    }
    place.parentNode.insertBefore(box, place.nextSibling);
  }
})();
