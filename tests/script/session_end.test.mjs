// The script for NocoBase's pages when the session ends: sign-in, sign-outs, unsaved forms.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { LOGIN, ORIGIN, Store, open } from './page.mjs';

describe('when the session ends', () => {
  const rd = (path) => `${LOGIN}?rd=${encodeURIComponent(path)}`;

  test('the sign-in starts again and keeps the place', () => {
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

  test('a page opened at the sign-in page continues at its redirect target', () => {
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

  test('without a sign-in address nothing is hooked', () => {
    const page = open('/signin', { data: { 'data-login': null, 'data-token': null } });
    page.history.pushState(null, '', '/signin');
    page.xhr('/api/a', 401, LOGIN);
    assert.deepEqual(page.gone, []);
  });
});

describe('after signing out on purpose', () => {
  test('no one is signed in again', () => {
    for (const url of ['/api/auth:signOut', 'auth:signOut', `${ORIGIN}/nb/api/auth%3AsignOut?x=1`]) {
      const page = open('/admin');
      page.settings();
      page.xhr(url, 200);
      page.xhr('/api/other', 401, LOGIN);
      page.history.pushState(null, '', '/signin?redirect=');
      assert.deepEqual(page.gone, ['/wecom-gate/sign-in?out=1'], url);
    }
  });
  test('in other tabs neither, until a user has signed in', () => {
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

describe('a form that is not saved', () => {
  const OVER = '{"errors":[{"message":"x","code":"BLOCKED_TOKEN"}]}';
  // An error for which NocoBase's clients show no message.
  const HELD = '{"errors":[]}';
  const strip = (page) => page.document.getElementById('wecom-gate-over');

  test('stays when the session ends, and the user is asked', () => {
    for (const [login, body] of [[LOGIN, ''], [null, OVER]]) {
      const page = open('/admin/x?a=1#y');
      page.settings();
      page.type();
      for (const path of ['/api/a', '/api/b']) {
        const seen = page.xhr(path, 401, login, body);
        assert.deepEqual([seen.status, seen.response, seen.responseText], [409, HELD, HELD], 'the page does not hear of the end');
      }
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

  test('gets a response of the kind that it has asked for', async () => {
    const page = open('/admin');
    page.type();
    assert.deepEqual({ ...page.xhr('/api/a', 401, LOGIN, '', 'json').response }, { errors: [] });
    assert.equal(await page.xhr('/api/a', 401, LOGIN, '', 'blob').response.text(), HELD);
    assert.equal(page.xhr('/api/a', 401, LOGIN, '', 'arraybuffer').response, null);
  });

  test('sees the response of the next call of the same request object', () => {
    const page = open('/admin');
    page.type();
    const xhr = page.xhr('/api/a', 401, LOGIN);
    assert.equal(xhr.status, 409);
    xhr.open('GET', '/api/b');
    xhr.finish(200, null, 'fine');
    assert.deepEqual([xhr.status, xhr.response], [200, 'fine']);
  });

  test('says whom to ask, in the language of the page', () => {
    const texts = {
      en: { out: 'Over', again: 'Again', help: 'Ask IT', link: null },
      zh: { out: '已失效', again: '重新登录', help: '请联系 IT', link: 'tel:114' },
    };
    const shown = (locale) => {
      const page = open('/admin', { texts, local: new Store(locale ? { NOCOBASE_LOCALE: locale } : {}) });
      page.type();
      page.xhr('/api/a', 401, LOGIN);
      return strip(page).children;
    };
    const [, , english] = shown();
    assert.deepEqual([english.tagName, english.to, english.children[0].text], ['span', undefined, 'Ask IT']);
    const [words, , chinese] = shown('zh-CN');
    assert.equal(words.children[0].text, '已失效');
    assert.deepEqual([chinese.tagName, chinese.to, chinese.target, chinese.rel], ['a', 'tel:114', '_blank', 'noopener noreferrer']);
  });

  test('has its link in the tab order of a dialog that traps the focus', () => {
    const page = open('/admin');
    page.type();
    page.xhr('/api/a', 401, LOGIN);
    const link = strip(page).children[1];
    const { document } = page;
    // In document order.
    const stops = ['first', 'second', 'last'].map((name, i) => ({
      name, focus() { document.activeElement = this; },
      compareDocumentPosition: (other) => (stops.indexOf(other) < i ? 2 : 4),
    }));
    link.focus = () => { document.activeElement = link; };
    const [first, second, last] = stops;
    /** The key is pressed in `from`; the browser or the dialog moves the focus to `to`. */
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
    // Signed in again: the key works as before.
    page.settings();
    page.window.emit('storage', { key: 'NOCOBASE_TOKEN', newValue: 'wcg_new' });
    assert.equal(strip(page), null);
    link.gone = true;
    assert.equal(tab(last, first), 'first');
  });

  test('by fetch as well', async () => {
    const page = open('/admin', { response: { status: 401, headers: new Map([['X-WeCom-Gate-Login', LOGIN]]) } });
    page.type();
    const response = await page.window.fetch('/api/a');
    assert.deepEqual([response.status, await response.text()], [409, HELD]);
    assert.ok(strip(page));
    assert.deepEqual(page.gone, []);
  });

  test('is ignored once it is removed, empty or hidden', () => {
    for (const change of [{ gone: true }, { value: '' }, { getClientRects: () => [] }]) {
      const page = open('/admin');
      Object.assign(page.type(), change);
      assert.equal(page.xhr('/api/a', 401, LOGIN).status, 401);
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
      const seen = page.xhr(to, status, login, body);
      assert.deepEqual([seen.status, seen.response], [status, body], to);
    }
    assert.equal(strip(page), null);
  });

  test('does not prevent signing out', () => {
    const page = open('/admin');
    page.type();
    page.xhr('/api/auth:signOut', 401, LOGIN);
    page.history.pushState(null, '', '/signin?redirect=');
    assert.deepEqual(page.gone, ['/wecom-gate/sign-in?out=1']);
  });
});

describe('while the app is closed for maintenance', () => {
  const bar = (page) => page.document.getElementById('wecom-gate-closed');
  const texts = { en: { closed: 'Closed for the others' } };

  test('an administrator sees that it is, once', () => {
    const page = open('/admin', { texts, data: { 'data-maintenance': 'on' } });
    page.document.emit('readystatechange');
    page.document.emit('readystatechange');
    assert.equal(page.document.body.children.length, 1);
    assert.deepEqual([bar(page).attributes.role, bar(page).children[0].children[0].text], ['status', 'Closed for the others']);
    assert.equal(bar(page).style.pointerEvents, 'none', 'what is below it can be clicked');
  });
  test('and otherwise nothing', () => {
    for (const data of [{ 'data-maintenance': 'off' }, {}]) {
      const page = open('/admin', { texts, data });
      page.document.emit('readystatechange');
      assert.equal(bar(page), null);
    }
  });
});
