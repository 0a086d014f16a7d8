// The script for NocoBase's pages, from the token to the language. `node --test tests/script/`
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import vm from 'node:vm';

import { LOGIN, Store, TOKEN, open } from './page.mjs';

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
  test('nor does the first one who signs in through the gate', () => {
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
    // Back to the default, this time deliberately.
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

describe('the language of NocoBase’s texts', () => {
  const info = (lang) => JSON.stringify({ data: { version: '2.2.15', lang, name: 'main' } });
  /** A page whose inline script has run, and its request for the language, if any. */
  function opened(path = '/admin', options = {}, settings = []) {
    const page = open(path, options);
    page.settings(...settings);
    page.document.emit('readystatechange');
    page.document.emit('readystatechange');
    assert.ok(page.requests.length < 2);
    return { page, request: page.requests[0] };
  }
  const answer = (request, status, body) => {
    request.responseText = body;
    request.finish(status, null, body);
  };

  test('is asked for in a new browser, and is where the client looks', () => {
    for (const [path, settings, to, key] of [
      ['/admin', [], '/api/app:getInfo', 'NOCOBASE_LOCALE'],
      ['/nb/admin', ['crm_', { __nocobase_public_path__: '/nb/' }], '/nb/api/app:getInfo', 'CRM_LOCALE'],
    ]) {
      const { page, request } = opened(path, {}, settings);
      assert.deepEqual([request.opened, request.sent], [['GET', to], [['Authorization', `Bearer ${TOKEN}`]]]);
      assert.equal(page.local.getItem(key), null);
      answer(request, 200, info('zh-CN'));
      assert.equal(page.local.getItem(key), 'zh-CN');
    }
  });

  // The script of a page that NocoBase sends without an inline script runs when the document has been read.
  test('is asked for at once where no settings follow', () => {
    const { local, requests } = open('/admin', { readyState: 'interactive' });
    assert.deepEqual(requests.map((request) => request.opened), [['GET', '/api/app:getInfo']]);
    answer(requests[0], 200, info('zh-CN'));
    assert.equal(local.getItem('NOCOBASE_LOCALE'), 'zh-CN');
  });

  test('is any that NocoBase can name', () => {
    for (const lang of ['de', 'zh-CN', 'zh_TW', 'fil', 'zh-Hant-TW', 'es-419', 'sr-Latn']) {
      const { page, request } = opened();
      answer(request, 200, info(lang));
      assert.equal(page.local.getItem('NOCOBASE_LOCALE'), lang);
    }
  });

  test('is the client’s own where it has one', () => {
    assert.equal(opened('/admin', { local: new Store({ NOCOBASE_LOCALE: 'de-DE' }) }).request, undefined);
    const { page, request } = opened();
    page.local.setItem('NOCOBASE_LOCALE', 'de-DE');
    answer(request, 200, info('zh-CN'));
    assert.equal(page.local.getItem('NOCOBASE_LOCALE'), 'de-DE', 'stored meanwhile');
  });

  test('is not asked for where the client stores it elsewhere, or without a session', () => {
    const session = { __nocobase_api_client_storage_type__: 'sessionStorage' };
    assert.equal(opened('/admin', {}, ['NOCOBASE_', session]).request, undefined);
    assert.equal(opened('/apps/crm/admin').request, undefined);
    assert.equal(opened('/signin', { data: { 'data-token': null, 'data-user': null, 'data-entries': '[]' } }).request, undefined);
  });

  test('is none that NocoBase did not say', () => {
    for (const [status, body] of [[200, ''], [200, '{"data":{}}'], [200, info('')], [200, info('../x')], [200, info('x')], [200, info('zh-')], [200, info('zh CN')], [200, info('4e-US')], [500, info('zh-CN')], [0, '']]) {
      const { page, request } = opened();
      answer(request, status, body);
      assert.equal(page.local.getItem('NOCOBASE_LOCALE'), null, `${status} ${body}`);
    }
  });
});

describe('the files of plugins', () => {
  const told = { 'data-plugins': '/nb/static/plugins/ client-v2 ai=3c client acl=1a @x/mine=2b client-v2 map=1a' };
  const links = (page) => page.head.children.map(({ attributes: { href, ...others } }) => [href, JSON.stringify(others)]);
  const first = ['/nb/static/plugins/@nocobase/plugin-ai/dist/client-v2/index.js?hash=3c'];
  const low = JSON.stringify({ rel: 'preload', as: 'script', fetchpriority: 'low' });

  test('are requested once nearly all of the page’s own scripts are there', () => {
    const page = open('/nb/admin', { data: told });
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
    page.modules.push(...names.map((name) => ({ src: `${name}.js` })));
    const arrive = (...names) => {
      names.forEach((name) => page.loaded.set(`${name}.js`, 1000));
      page.tick();
    };
    page.tick();
    arrive('a', 'b', 'c');
    assert.deepEqual(links(page), [], 'the document is still being read: there may be more scripts');
    page.document.readyState = 'interactive';
    page.loaded.delete('c.js');
    page.tick();
    assert.deepEqual(links(page), []);
    arrive('c');
    page.tick();
    assert.deepEqual(links(page), [[...first, low]], 'what the others have in common with it');
    page.head.children[0].onload();
    arrive('d', 'e', 'f');
    assert.equal(links(page).length, 1, 'three are missing');
    arrive('g');
    page.tick();
    assert.deepEqual(links(page), [
      [...first, low],
      ['/nb/static/plugins/@nocobase/plugin-acl/dist/client/index.js?hash=1a', low],
      ['/nb/static/plugins/@x/mine/dist/client/index.js?hash=2b', low],
      ['/nb/static/plugins/@nocobase/plugin-map/dist/client-v2/index.js?hash=1a', low],
    ]);
  });

  test('wait for the first one, whether it arrives or fails', () => {
    for (const event of ['onload', 'onerror']) {
      const page = open('/admin', { data: told, readyState: 'interactive' });
      page.modules.push({ src: 'a.js' });
      page.loaded.set('a.js', 1000);
      page.tick();
      page.tick();
      assert.deepEqual(links(page).map(([url]) => url), first);
      assert.equal(page.looking(), 0, 'a browser without preload never tells');
      page.head.children[0][event]();
      assert.equal(links(page).length, 4, event);
    }
  });

  test('are requested where the browser does not tell what it transferred', () => {
    const page = open('/admin', { data: told, readyState: 'interactive' });
    page.modules.push({ src: 'a.js' });
    page.loaded.set('a.js', undefined);
    page.tick();
    assert.deepEqual(links(page).map(([url]) => url), first);
  });

  test('are left to NocoBase’s client where none are known, or the browser has them', () => {
    for (const [data, bytes] of [[{}, 1000], [told, 0]]) {
      const page = open('/admin', { data, readyState: 'interactive' });
      page.modules.push({ src: 'a.js' });
      page.loaded.set('a.js', bytes);
      page.tick();
      assert.deepEqual([links(page), page.looking()], [[], 0]);
    }
  });
});
