// The script for NocoBase's pages, run in a stub of a browser window. `node --test tests/script/`
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import vm from 'node:vm';

const SOURCE = readFileSync(new URL('../../src/pages/gate.js', import.meta.url), 'utf8');
const ORIGIN = 'https://nocobase.example.com';
const TOKEN = 'wcg_phantom';
const LOGIN = '/wecom-gate/login';
const HEADER = 'x-wecom-gate-login';

class Store {
  constructor(items = {}) {
    this.items = new Map(Object.entries(items));
  }
  get length() {
    return this.items.size;
  }
  key(i) {
    return [...this.items.keys()][i] ?? null;
  }
  getItem(k) {
    return this.items.get(k) ?? null;
  }
  setItem(k, v) {
    this.items.set(k, String(v));
  }
  removeItem(k) {
    this.items.delete(k);
  }
  all() {
    return Object.fromEntries(this.items);
  }
}

class Emitter {
  listeners = {};
  addEventListener(name, f) {
    (this.listeners[name] ??= []).push(f);
  }
  emit(name, event = {}) {
    for (const f of this.listeners[name] ?? []) f(event);
  }
}

/** A page at `path`, with the gate's tag in it; the script has run, NocoBase's own code has not. */
function open(path, options = {}) {
  const { data = {}, local = new Store(), session = new Store(), readyState = 'loading', response } = options;
  const window = new Emitter();
  const attributes = {
    'data-token': TOKEN, 'data-app': 'main', 'data-delivery': 'sealed', 'data-login': LOGIN, 'data-user': '7', ...data,
  };
  const tag = {
    src: `${ORIGIN}/wecom-gate/gate.js?v=1`,
    getAttribute: (n) => attributes[n] ?? null,
    removeAttribute: (n) => delete attributes[n],
  };
  let url = new URL(path, ORIGIN);
  const gone = [];
  const location = {
    get pathname() { return url.pathname; },
    get search() { return url.search; },
    get hash() { return url.hash; },
    get host() { return url.host; },
    get protocol() { return url.protocol; },
    replace: (to) => gone.push(to),
    reload: () => gone.push('reload'),
  };
  const history = {
    pushState(_s, _t, to) { url = new URL(to, url); },
    replaceState(_s, _t, to) { url = new URL(to, url); },
  };
  const cookies = [];
  const element = (tagName) => ({
    tagName, style: {}, children: [], attributes: {}, set href(h) { this.to = h; this.host = new URL(h, url).host; },
    appendChild(child) { this.children.push(child); child.parentNode = this; },
    removeChild(child) { this.children = this.children.filter((c) => c !== child); },
    setAttribute(n, v) { this.attributes[n] = v; },
  });
  const body = element('BODY');
  const document = Object.assign(new Emitter(), {
    body,
    getElementById: (id) => body.children.find((c) => c.id === id) ?? null,
    createTextNode: (text) => ({ text }),
    createEvent: () => ({ initEvent(type) { this.type = type; } }),
    currentScript: options.noCurrentScript ? null : tag,
    readyState,
    documentElement: { style: {}, contains: (e) => !e.gone },
    getElementsByTagName: () => [{ src: '' }, tag, { src: `${ORIGIN}/assets/x.js` }],
    createElement: element,
  });
  Object.defineProperty(document, 'cookie', { set: (c) => cookies.push(c) });
  class XMLHttpRequest extends Emitter {
    open(method, to) { this.opened = [method, to]; }
    getResponseHeader(n) { return n.toLowerCase() === HEADER ? this.login ?? null : null; }
    finish(status, login, response = '') {
      Object.assign(this, { status, login, response, readyState: 4 });
      let events = [];
      const emit = (type) => {
        for (const f of this.listeners[type] ?? []) {
          let stop = false;
          f.call(this, { type, stopImmediatePropagation: () => (stop = true) });
          if (stop) return;
        }
        events.push(type);
      };
      this.dispatchEvent = (event) => events.push(event.type);
      ['readystatechange', 'load', 'loadend'].forEach(emit);
      this.events = events;
    }
  }
  const timers = [];
  let now = 1_000_000_000_000;
  const context = Object.assign(window, {
    window, document, location, history, XMLHttpRequest, encodeURIComponent, decodeURIComponent, JSON, Math, String, Object,
    setTimeout: (f, ms) => timers.push([f, ms]),
    Date: class { getTime() { return options.clock ? options.clock() : now; } },
    fetch: async () => response ?? { status: 200, headers: new Map() },
    ...(options.languages && { navigator: { languages: options.languages } }),
  });
  for (const [name, store] of [['localStorage', local], ['sessionStorage', session]]) {
    Object.defineProperty(context, name, {
      get() {
        if (store instanceof Error) throw store;
        return store;
      },
    });
  }
  vm.runInContext(SOURCE, vm.createContext(context));
  const inline = (settings) => vm.runInContext(
    Object.entries(settings).map(([k, v]) => `window['${k}'] = ${JSON.stringify(v)};`).join('\n'), context);
  return {
    window, local, session, document, history, gone, cookies, attributes, timers, context, inline,
    /** Cookies but the one of the language. */
    get roles() { return cookies.filter((c) => !c.startsWith('wecom_gate_lang=')); },
    /** What NocoBase's inline script does. */
    settings: (prefix = 'NOCOBASE_', more = {}) => inline({
      __nocobase_public_path__: '/', __nocobase_api_client_storage_prefix__: prefix,
      __nocobase_api_client_storage_type__: 'localStorage', __nocobase_api_client_share_token__: false, ...more,
    }),
    xhr(to, status, login, response) {
      const xhr = new window.XMLHttpRequest();
      xhr.open('GET', to);
      xhr.finish(status, login, response);
      timers.splice(0).forEach(([f, ms]) => ms === 0 && f());
      return xhr.events;
    },
    type(value = 'a draft') {
      const field = { value, getClientRects: () => [{}] };
      document.emit('input', { target: field });
      return field;
    },
  };
}

describe('the address', () => {
  test('loses the end of WeCom’s own link, and keeps every other', () => {
    for (const [opened, kept] of [
      ['/admin/x?tab=1#wechat_redirect', '/admin/x?tab=1'],
      ['/m#wechat_redirect', '/m'],
      ['/admin/x#row-7', '/admin/x#row-7'],
      ['/admin/x#wechat_redirects', '/admin/x#wechat_redirects'],
    ]) {
      const { location } = open(opened).window;
      assert.equal(location.pathname + location.search + location.hash, kept);
    }
  });
});

describe('the token', () => {
  test('is where the client looks before the client runs', () => {
    const page = open('/admin');
    assert.deepEqual(page.local.all(), {}, 'not before the page has set where');
    page.settings();
    assert.equal(page.local.getItem('NOCOBASE_TOKEN'), TOKEN);
    assert.equal(page.attributes['data-token'], undefined, 'removed from the tag');
    assert.equal(page.window.__nocobase_api_client_storage_prefix__, 'NOCOBASE_', 'the page reads back what it set');
  });

  test('follows the settings of the page', () => {
    for (const [path, data, settings, store, key] of [
      ['/admin', {}, ['crm_'], 'local', 'CRM_TOKEN'],
      ['/admin', {}, ['NOCOBASE_', { __nocobase_api_client_storage_type__: 'sessionStorage' }], 'session', 'NOCOBASE_TOKEN'],
      ['/apps/crm/admin', { 'data-app': 'crm' }, ['NOCOBASE_'], 'local', 'NOCOBASE_CRM_TOKEN'],
      ['/apps/crm/admin', {}, ['NOCOBASE_'], 'local', 'NOCOBASE_TOKEN'],
      ['/apps/crm/admin', { 'data-app': 'crm' }, ['NOCOBASE_', { __nocobase_api_client_share_token__: true }], 'local', 'NOCOBASE_TOKEN'],
      ['/nb/apps/crm/admin', { 'data-app': 'crm' }, ['NB_', { __nocobase_public_path__: '/nb/' }], 'local', 'NB_CRM_TOKEN'],
    ]) {
      const page = open(path, { data });
      page.settings(...settings);
      const holds = (s) => [...s.items].filter(([, v]) => v === TOKEN).map(([k]) => k);
      const other = store === 'local' ? 'session' : 'local';
      assert.deepEqual([holds(page[store]), holds(page[other])], [[key], []], `${path} ${JSON.stringify(settings)}`);
    }
  });

  test('works with settings that keep what is there', () => {
    const page = open('/v/admin');
    vm.runInContext(
      'window.__nocobase_api_client_storage_prefix__ = window.__nocobase_api_client_storage_prefix__ || "NOCOBASE_"',
      page.context);
    assert.equal(page.local.getItem('NOCOBASE_TOKEN'), TOKEN);
  });

  test('takes the usual place when the page sets none', () => {
    const page = open('/admin');
    page.document.emit('readystatechange');
    assert.equal(page.local.getItem('NOCOBASE_TOKEN'), TOKEN);
    assert.equal(open('/admin', { readyState: 'interactive' }).local.getItem('NOCOBASE_TOKEN'), TOKEN);
  });

  test('is found through the tag of that name in old webviews', () => {
    const page = open('/admin', { noCurrentScript: true });
    page.settings();
    assert.equal(page.local.getItem('NOCOBASE_TOKEN'), TOKEN);
  });

  test('is nowhere else', () => {
    const page = open('/admin');
    page.settings();
    page.xhr('/api/x', 401, LOGIN);
    const holders = [...page.local.items, ...page.session.items].filter(([, v]) => v.includes(TOKEN));
    assert.deepEqual(holders.map(([k]) => k), ['NOCOBASE_TOKEN']);
    assert.ok(!JSON.stringify([page.gone, page.cookies]).includes(TOKEN));
    assert.ok(!Object.values(page.window).includes(TOKEN));
  });

  test('breaks nothing where storage is forbidden or full', () => {
    const no = new Error('SecurityError');
    open('/admin', { local: no, session: no }).settings();
    const full = new Store();
    full.setItem = () => { throw new Error('QuotaExceededError'); };
    open('/admin', { local: full, session: full }).settings();
  });
});

describe('NocoBase’s own sign-in page', () => {
  const form = { 'data-token': null, 'data-user': null, 'data-entries': '[["wecom","WeCom"]]' };
  for (const [prefix, key, name] of [
    ['NOCOBASE_', 'NOCOBASE_TOKEN', 'local'], ['crm_', 'CRM_TOKEN', 'local'], ['crm_', 'CRM_TOKEN', 'session'],
  ]) {
    test(`keeps no phantom of a session that has ended, under ${key} in ${name}Storage`, () => {
      const page = open('/signin', { data: form, [name]: new Store({ [key]: TOKEN, OTHER: 'kept' }) });
      page.settings(prefix);
      page.document.emit('readystatechange');
      assert.equal(page[name].getItem(key), null);
      assert.equal(page[name].getItem('OTHER'), 'kept');
    });
    test(`keeps a token that is no phantom, under ${key} in ${name}Storage`, () => {
      const page = open('/signin', { data: form, [name]: new Store({ [key]: 'eyJ.a.b' }) });
      page.settings(prefix);
      page.document.emit('readystatechange');
      assert.equal(page[name].getItem(key), 'eyJ.a.b');
    });
  }
});

describe('another member on the same computer', () => {
  const left = {
    NOCOBASE_TOKEN: 'old', NOCOBASE_ROLE: 'admin', NOCOBASE_AUTH: 'basic', NOCOBASE_LOCALE: 'zh-CN', NOCOBASE_CRM_TOKEN: 'old',
    OTHER: 'kept', WECOM_GATE_USER_main: '3',
  };
  test('inherits no role and no token', () => {
    const page = open('/admin', { local: new Store(left) });
    page.settings();
    assert.deepEqual(page.local.all(), {
      NOCOBASE_LOCALE: 'zh-CN', OTHER: 'kept', NOCOBASE_TOKEN: TOKEN, WECOM_GATE_USER_main: '7', WECOM_GATE_LOCALE: 'zh-CN',
    });
    assert.ok(page.cookies.some((c) => c.startsWith('nb_role_main=; Max-Age=0; Path=/')));
  });
  test('neither does the first who comes through the gate', () => {
    const { WECOM_GATE_USER_main: _, ...unmarked } = left;
    const page = open('/admin', { local: new Store(unmarked) });
    page.settings();
    assert.equal(page.local.getItem('NOCOBASE_ROLE'), null);
  });
  test('the same member keeps the role', () => {
    const page = open('/admin', { local: new Store({ ...left, WECOM_GATE_USER_main: '7' }) });
    page.settings();
    assert.equal(page.local.getItem('NOCOBASE_ROLE'), 'admin');
    assert.equal(page.local.getItem('NOCOBASE_AUTH'), null, 'the default authenticator checks our token');
    assert.deepEqual(page.roles, []);
  });
  test('a tab of the member before loads again', () => {
    const page = open('/admin');
    page.settings();
    page.window.emit('storage', { key: 'WECOM_GATE_USER_main', newValue: '7' });
    page.window.emit('storage', { key: 'NOCOBASE_TOKEN', newValue: 'x' });
    assert.deepEqual(page.gone, []);
    page.window.emit('storage', { key: 'WECOM_GATE_USER_main', newValue: '8' });
    assert.deepEqual(page.gone, ['reload']);
  });
});

describe('when the session ends', () => {
  const rd = (path) => `${LOGIN}?rd=${encodeURIComponent(path)}`;

  test('the way in begins again and keeps the place', () => {
    for (const how of ['pushState', 'replaceState']) {
      const page = open('/admin');
      page.history.pushState(null, '', '/admin/orders?id=1&b=%20#top');
      page.history[how](null, '', '/signin?redirect=/admin/orders?id=1');
      assert.deepEqual(page.gone, [rd('/admin/orders?id=1&b=%20#top')], how);
      assert.equal(page.document.documentElement.style.visibility, 'hidden', 'no flash of the form');
    }
  });

  test('also by the browser’s own history, once', () => {
    const page = open('/admin?a=1');
    page.history.pushState.call(page.history, null, '', '/admin/b');
    page.history.pushState(null, '', '/m/signin');
    page.window.emit('popstate');
    page.xhr('/api/x', 401, LOGIN);
    assert.deepEqual(page.gone, [rd('/admin/b')]);
  });

  test('a page that was opened at the sign-in page goes where that was to lead', () => {
    for (const [path, publicPath, want] of [
      ['/signin?redirect=%2Fadmin%2Fx%3Fa%3D1', '/', '/admin/x?a=1'],
      ['/signin', '/', '/'],
      ['/signin?redirect=//evil.example', '/', '/'],
      ['/signin?redirect=/%5Cevil.example', '/', '/'],
      ['/signin?redirect=https://evil.example', '/', '/'],
      ['/signin?redirect=%zz', '/', '/'],
      ['/signin?redirect=/signin?redirect=/signin', '/', '/'],
    ]) {
      assert.deepEqual(open(path).gone, [rd(want)], path + publicPath);
    }
  });

  test('the redirect of a sign-in page without a place keeps the public path', () => {
    const page = open('/nb/admin', {});
    page.inline({ __nocobase_public_path__: '/nb/' });
    page.history.pushState(null, '', '/nb/signin?redirect=/admin');
    assert.deepEqual(page.gone, [rd('/nb/admin')]);
  });

  test('pages that people made may be called signin', () => {
    const page = open('/admin/signin');
    page.history.pushState(null, '', '/admin/x/signin');
    page.history.pushState(null, '', '/admin/signing');
    assert.deepEqual(page.gone, []);
  });

  test('a refused call is enough, but only when the gate refused it', async () => {
    const page = open('/admin/x#y');
    page.xhr('/api/a', 401, null);
    page.xhr('/api/a', 403, LOGIN);
    page.xhr('https://elsewhere.example/api', 401, LOGIN);
    assert.deepEqual(page.gone, []);
    page.xhr('/api/a', 401, LOGIN);
    assert.deepEqual(page.gone, [rd('/admin/x#y')]);

    const fetching = open('/admin', { response: { status: 401, headers: new Map([['X-WeCom-Gate-Login', LOGIN]]) } });
    await fetching.window.fetch('https://elsewhere.example/');
    assert.deepEqual(fetching.gone, []);
    const response = await fetching.window.fetch({ url: '/api/a' });
    assert.equal(response.status, 401, 'the page still gets its response');
    assert.deepEqual(fetching.gone, [rd('/admin')]);
  });

  test('never more than twice a minute by itself', () => {
    const session = new Store();
    let now = 1000;
    const visit = () => {
      const page = open('/admin', { session, clock: () => now });
      page.xhr('/api/a', 401, LOGIN);
      return page.gone[0];
    };
    assert.deepEqual([visit(), visit(), visit()], [rd('/admin'), rd('/admin'), '/wecom-gate/sign-in?rd=%2Fadmin']);
    now += 60_001;
    assert.equal(visit(), rd('/admin'));
    session.setItem('WECOM_GATE_BACK', '{"not":"a list"}');
    assert.equal(visit(), rd('/admin'));
    session.setItem('WECOM_GATE_BACK', 'null');
    assert.equal(visit(), rd('/admin'));
  });

  test('where nothing can be counted, a click is needed', () => {
    const page = open('/admin', { session: new Error('SecurityError') });
    page.xhr('/api/a', 401, LOGIN);
    assert.deepEqual(page.gone, ['/wecom-gate/sign-in?rd=%2Fadmin']);
  });

  test('without a way in nothing is hooked', () => {
    const page = open('/signin', { data: { 'data-login': null, 'data-token': null } });
    page.history.pushState(null, '', '/signin');
    page.xhr('/api/a', 401, LOGIN);
    assert.deepEqual(page.gone, []);
  });
});

describe('after signing out on purpose', () => {
  test('nobody is signed in again', () => {
    for (const url of ['/api/auth:signOut', 'auth:signOut', `${ORIGIN}/nb/api/auth%3AsignOut?x=1`]) {
      const page = open('/admin');
      page.settings();
      page.xhr(url, 200);
      page.xhr('/api/other', 401, LOGIN);
      page.history.pushState(null, '', '/signin?redirect=');
      assert.deepEqual(page.gone, ['/wecom-gate/sign-in?out=1'], url);
    }
  });
  test('in other tabs neither, until somebody has signed in', () => {
    const local = new Store();
    const tabs = [open('/admin', { local }), open('/admin', { local })];
    tabs[0].xhr('/api/auth:signOut', 200);
    tabs[1].xhr('/api/other', 401, LOGIN);
    assert.deepEqual(tabs[1].gone, ['/wecom-gate/sign-in?out=1']);
    const again = open('/admin', { local });
    again.xhr('/api/other', 401, LOGIN);
    assert.deepEqual(again.gone, [`${LOGIN}?rd=%2Fadmin`]);
  });
  test('a sign-out that failed is none', () => {
    const page = open('/admin');
    page.xhr('/api/auth:signOut', 502);
    page.xhr('/api/auth:signOutSomething', 200);
    page.xhr('/api/other', 401, LOGIN);
    assert.deepEqual(page.gone, [`${LOGIN}?rd=%2Fadmin`]);
  });
  test('a sign-out after the session’s end is one', async () => {
    const page = open('/admin', { response: { status: 401, headers: new Map([['X-WeCom-Gate-Login', LOGIN]]) } });
    await page.window.fetch('/api/auth:signOut');
    page.history.replaceState(null, '', '/signin');
    assert.deepEqual(page.gone, ['/wecom-gate/sign-in?out=1']);
  });
});

describe('the language chosen in NocoBase', () => {
  const cookieLines = (page) => page.cookies.filter((c) => c.startsWith('wecom_gate_lang='));

  test('is sent to the gate, when the page opens and when it is left', () => {
    const page = open('/admin', { local: new Store({ NOCOBASE_LOCALE: 'de-DE' }) });
    assert.deepEqual(cookieLines(page), ['wecom_gate_lang=de-DE; Path=/; SameSite=Lax; Max-Age=31536000; Secure']);
    page.local.setItem('NOCOBASE_LOCALE', 'zh-CN');
    page.history.pushState(null, '', '/signin?redirect=/admin');
    assert.match(cookieLines(page)[1], /^wecom_gate_lang=zh-CN;/);
  });

  test('is sent once it was changed, not while it is a default that the browser does not speak', () => {
    const local = new Store({ NOCOBASE_LOCALE: 'en-US' });
    const next = (languages = ['zh-CN', 'zh']) => cookieLines(open('/admin', { local, languages }));
    assert.deepEqual(next(), []);
    assert.deepEqual(next(), []);
    assert.equal(next(['en-GB', 'zh-CN']).length, 1);
    assert.deepEqual(next(), []);
    local.setItem('NOCOBASE_LOCALE', 'de-DE');
    assert.match(next()[0], /^wecom_gate_lang=de-DE;/);
    // Back to the default, on purpose this time.
    local.setItem('NOCOBASE_LOCALE', 'en-US');
    assert.match(next()[0], /^wecom_gate_lang=en-US;/);
    assert.match(next()[0], /^wecom_gate_lang=en-US;/);
  });

  test('is found under the prefix that the page sets', () => {
    const page = open('/admin', { local: new Store({ CRM_LOCALE: 'de-DE', NOCOBASE_LOCALE: '' }) });
    assert.deepEqual(cookieLines(page), []);
    page.settings('crm_');
    page.document.emit('readystatechange');
    assert.match(cookieLines(page)[0], /^wecom_gate_lang=de-DE;/);
  });

  test('is not sent where there is none, or something else', () => {
    for (const items of [{}, { NOCOBASE_LOCALE: '' }, { NOCOBASE_LOCALE: 'de; Domain=example.com' }, { NOCOBASE_LOCALE: '张' }]) {
      assert.deepEqual(cookieLines(open('/admin', { local: new Store(items) })), [], JSON.stringify(items));
    }
  });
});

describe('a form that is not saved', () => {
  const OVER = '{"errors":[{"message":"x","code":"BLOCKED_TOKEN"}]}';
  const strip = (page) => page.document.getElementById('wecom-gate-over');

  test('stays when the session ends, and its person is asked', () => {
    for (const [login, body] of [[LOGIN, ''], [null, OVER]]) {
      const page = open('/admin/x?a=1#y');
      page.settings();
      page.type();
      assert.deepEqual(page.xhr('/api/a', 401, login, body), ['error'], 'the page does not hear of the end');
      page.xhr('/api/b', 401, login, body);
      assert.deepEqual(page.gone, []);
      assert.equal(page.document.body.children.length, 1);
      assert.equal(strip(page).attributes.role, 'alert');
      const link = strip(page).children[1];
      assert.deepEqual([link.to, link.target], [`${LOGIN}?rd=${encodeURIComponent('/admin/x?a=1#y')}`, '_blank']);
      // Signed in again in that window.
      page.window.emit('storage', { key: 'NOCOBASE_TOKEN', newValue: 'wcg_new' });
      assert.equal(strip(page), null);
    }
  });

  test('has its link on the way of the tab key that goes round in a dialog', () => {
    const page = open('/admin');
    page.type();
    page.xhr('/api/a', 401, LOGIN);
    const link = strip(page).children[1];
    const { document } = page;
    // In the order of the document.
    const stops = ['first', 'second', 'last'].map((name, i) => ({
      name, focus() { document.activeElement = this; },
      compareDocumentPosition: (other) => (stops.indexOf(other) < i ? 2 : 4),
    }));
    link.focus = () => { document.activeElement = link; };
    const [first, second, last] = stops;
    /** The key is pressed in `from`; the browser, or the dialog, goes to `to`. */
    const tab = (from, to, shiftKey = false) => {
      let prevented = false;
      document.activeElement = from;
      document.emit('keydown', { keyCode: 9, shiftKey, preventDefault: () => (prevented = true) });
      if (!prevented) document.activeElement = to;
      page.timers.splice(0).forEach(([f, ms]) => ms === 0 && f());
      return document.activeElement.name ?? (document.activeElement === link ? 'link' : 'body');
    };
    assert.equal(tab(first, second), 'second');
    assert.equal(tab(last, first), 'link');
    assert.equal(tab(link, document.body), 'first', 'and on from where the round begins');
    assert.equal(tab(last, second, true), 'second');
    assert.equal(tab(first, last, true), 'link');
    assert.equal(tab(link, document.body, true), 'last');
    assert.equal(tab(link, document.body), 'body', 'out of the page, where no round led here');
    assert.equal(tab(last, document.body), 'body');
    document.emit('keydown', { keyCode: 13 });
    // Signed in again: the key does what it did.
    page.settings();
    page.window.emit('storage', { key: 'NOCOBASE_TOKEN', newValue: 'wcg_new' });
    assert.equal(strip(page), null);
    link.gone = true;
    assert.equal(tab(last, first), 'first');
  });

  test('by fetch as well', async () => {
    const page = open('/admin', { response: { status: 401, headers: new Map([['X-WeCom-Gate-Login', LOGIN]]) } });
    page.type();
    await assert.rejects(page.window.fetch('/api/a'), { name: 'TypeError' });
    assert.ok(strip(page));
    assert.deepEqual(page.gone, []);
  });

  test('is none once it is gone, empty or out of sight', () => {
    for (const change of [{ gone: true }, { value: '' }, { getClientRects: () => [] }]) {
      const page = open('/admin');
      Object.assign(page.type(), change);
      assert.deepEqual(page.xhr('/api/a', 401, LOGIN), ['readystatechange', 'load', 'loadend']);
      assert.deepEqual(page.gone, [`${LOGIN}?rd=%2Fadmin`]);
    }
  });

  test('hides no other response', () => {
    const page = open('/admin');
    page.type();
    for (const [to, status, login, body] of [
      ['/api/a', 200, null, OVER], ['/api/a', 403, LOGIN, OVER], ['/api/a', 401, null, '{"errors":[{"code":"USER_HAS_NO_ROLES_ERR"}]}'],
      ['https://elsewhere.example/a', 401, LOGIN, OVER],
    ]) {
      assert.deepEqual(page.xhr(to, status, login, body), ['readystatechange', 'load', 'loadend'], `${to} ${status}`);
    }
    assert.equal(strip(page), null);
  });

  test('does not keep anybody from signing out', () => {
    const page = open('/admin');
    page.type();
    page.xhr('/api/auth:signOut', 401, LOGIN);
    page.history.pushState(null, '', '/signin?redirect=');
    assert.deepEqual(page.gone, ['/wecom-gate/sign-in?out=1']);
  });
});
