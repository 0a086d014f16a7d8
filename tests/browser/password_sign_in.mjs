// NocoBase's own password form beside WeCom: `access.browsers = "nocobase"` and `access.password_login`.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call, enter, menu } from './member.mjs';
import { stage } from './stage.mjs';

const BROWSER = { userAgent: undefined };
const PHONE =
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36';

/** Fills in NocoBase's form. */
async function password(page) {
  await page.locator('form input').first().fill('admin@nocobase.com');
  await page.locator('form input[type="password"]').fill('admin123');
  await page.locator('form button[type="submit"]').click();
}

/** Binds 李四 with a sign-in inside WeCom, whichever tests ran before. */
async function bound() {
  const client = await stage.client('lisi');
  await client.page.goto(stage.origin + stage.page);
  const allow = client.page.getByRole('button', { name: 'Allow' });
  await allow.or(client.page.getByText('Orders 订单')).first().waitFor();
  if (await allow.isVisible()) await allow.click();
  await menu(client.page);
  await client.close();
}

/** On the QR page, scans as one of its members. */
async function scan(page, who) {
  await page.getByRole('button', { name: who }).first().click();
}

describe('with access.browsers = "nocobase"', () => {
  before(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('form', { access: ['browsers = "nocobase"', 'api_keys = false'] });
    await bound();
  });
  after(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('a');
  });

  test('NocoBase’s form has a button for WeCom that looks like NocoBase’s own', async () => {
    for (const [path, device, options, name, signIn] of [
      [stage.page, 'desktop', BROWSER, 'Sign in with WeCom', '/signin'],
      ['/v/admin', 'desktop', BROWSER, 'Sign in with WeCom', '/v/signin'],
      ['/m', 'phone', { userAgent: PHONE }, 'Sign in with WeCom', '/signin'],
    ]) {
      const { page, close } = await stage.client(null, device, options);
      await page.goto(stage.origin + path);
      const button = page.getByRole('link', { name });
      await button.waitFor();
      assert.equal(new URL(page.url()).pathname, signIn);
      await stage.picture(page, `form-${path.replaceAll('/', '')}`);
      const looks = await page.evaluate(() => {
        const ours = document.querySelector('#wecom-gate a');
        const theirs = document.querySelector('form button[type="submit"]');
        const of = (e) => (({ width, x }) => ({ width, x }))(e.getBoundingClientRect());
        const style = (e) => (({ height, borderRadius, fontSize, fontFamily }) => ({ height, borderRadius, fontSize, fontFamily }))(getComputedStyle(e));
        return {
          ours: { ...of(ours), ...style(ours) }, theirs: { ...of(theirs), ...style(theirs) },
          below: ours.getBoundingClientRect().top > theirs.getBoundingClientRect().bottom,
          count: document.querySelectorAll('#wecom-gate a').length,
        };
      });
      assert.deepEqual(looks.ours, looks.theirs, path);
      assert.ok(looks.below && looks.count === 1, path);
      await close();
    }
  });

  test('the button leads through WeCom to the page that was asked for', async () => {
    const { page, context, close } = await stage.client('lisi', 'desktop', BROWSER);
    await page.goto(`${stage.origin}${stage.page}?tab=3#row-9`);
    await page.getByRole('link', { name: 'Sign in with WeCom' }).click();
    await page.waitForURL(`${stage.sim}/**`);
    await scan(page, /李四|Li Si/);
    await menu(page);
    assert.equal(page.url(), `${stage.origin}${stage.page}?tab=3#row-9`);
    assert.equal((await call(page, 'auth:check')).data.nickname, '李四');

    // And signed out: NocoBase's form signs no one in automatically, and nothing of the session is left.
    await page.getByTestId('user-center-button').hover();
    await page.getByRole('menu').getByText('Sign out').click();
    await page.getByText('You are signed out').waitFor();
    const left = (await context.cookies(stage.origin)).filter((c) => c.value).map((c) => c.name);
    // The simulator's cookie is at the same host; the language is the browser's; redirects to the form are counted for a minute.
    const kept = ['sim_member', 'wecom_gate_lang', 'wecom_gate_tries'];
    assert.deepEqual(left.filter((name) => !kept.includes(name)), ['wecom_gate_out']);
    await page.goto(stage.origin + stage.page);
    await page.getByRole('link', { name: 'Sign in with WeCom' }).waitFor();
    await close();
  });

  test('a user who signs in by password can do all that NocoBase allows', async () => {
    const { page, context, recorder, close } = await stage.client(null, 'desktop', BROWSER);
    await page.goto(`${stage.origin}${stage.page}?x=1`);
    const wrong = await page.evaluate(async () => (await fetch('/api/auth:signIn', {
      method: 'POST', headers: { 'content-type': 'application/json', 'x-authenticator': 'basic' },
      body: JSON.stringify({ account: 'admin@nocobase.com', password: 'wrong' }),
    })).status);
    assert.equal(wrong, 401, 'NocoBase checks the password');
    await password(page);
    await menu(page);
    assert.equal(page.url(), `${stage.origin}${stage.page}?x=1`);
    const me = await call(page, 'auth:check');
    assert.equal(me.data.id, 1);
    assert.match(await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN')), /^eyJ/);
    await recorder.first('frames', (f) => f.way === 'received' && f.text.includes('"authorized"'), 'authorized');

    // Pages, files and the WebSocket after a reload, and files as a link requests them.
    recorder.clear();
    await page.reload();
    await menu(page);
    await recorder.first('frames', (f) => f.way === 'received' && f.text.includes('"authorized"'), 'authorized');
    const file = await page.evaluate(async () => {
      const form = new FormData();
      form.append('file', new Blob(['by password']), 'note.txt');
      const headers = { Authorization: `Bearer ${localStorage.getItem('NOCOBASE_TOKEN')}` };
      const csrf = /nb_csrf_token_main=([^;]*)/.exec(document.cookie);
      if (csrf) headers['X-CSRF-Token'] = decodeURIComponent(csrf[1]);
      const made = await (await fetch('/api/attachments:create', { method: 'POST', headers, body: form })).json();
      const response = await fetch(made.data.url);
      return { url: made.data.url, status: response.status, text: await response.text() };
    });
    assert.deepEqual([file.status, file.text], [200, 'by password']);
    assert.deepEqual(recorder.responses.filter((r) => r.status >= 400).map((r) => `${r.status} ${r.url}`), []);

    // The token is what counts: the same without it, or with a token signed with a wrong secret.
    const cookie = (await context.cookies(stage.origin)).map((c) => `${c.name}=${c.value}`).join('; ');
    const browser = { 'user-agent': PHONE, 'sec-fetch-site': 'same-origin' };
    for (const [headers, status] of [[{ cookie }, 200], [{}, 401], [{ cookie: 'nb_auth_token_main=eyJhbGciOiJIUzI1NiJ9.e30.x' }, 401]]) {
      const got = await stage.ask(stage.gate, file.url, { headers: { ...browser, ...headers } });
      assert.equal(got.status === 302 ? 200 : got.status, status, JSON.stringify(headers).slice(0, 60));
    }
    for (const path of ['/api/users:list', '/api/auth:check']) {
      assert.equal((await stage.ask(stage.gate, path, { headers: { ...browser, cookie } })).status, 401, path);
    }
    const { token } = await stage.nocobase.call('apiKeys:create', { name: 'no', role: { name: 'root' }, expiresIn: '1d' });
    const key = await stage.ask(stage.gate, '/api/users:list', { headers: { authorization: `Bearer ${token}` } });
    assert.equal(key.status, 401, 'API keys are not allowed here');

    // Signed out with NocoBase's own menu: back at the form, and no credential works any more.
    const stolen = await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
    await page.getByTestId('user-center-button').hover();
    await page.getByRole('menu').getByText('Sign out').click();
    await page.getByRole('link', { name: 'Sign in with WeCom' }).waitFor();
    const after = await stage.ask(stage.gate, '/api/auth:check', { headers: { authorization: `Bearer ${stolen}` } });
    assert.equal(after.status, 401);
    await page.goto(stage.origin + stage.page);
    await page.getByRole('link', { name: 'Sign in with WeCom' }).waitFor();
    await close();
  });

  test('without NocoBase’s own cookies, as before 2.2, the sign-in lasts over a reload', async () => {
    const { page, context, recorder, close } = await stage.client(null, 'desktop', BROWSER);
    await page.goto(stage.origin + stage.page);
    await password(page);
    await menu(page);
    for (const name of ['nb_auth_token_main', 'nb_authenticator_main']) await context.clearCookies({ name });
    recorder.clear();
    await page.reload();
    await menu(page);
    await recorder.first('frames', (f) => f.way === 'received' && f.text.includes('"authorized"'), 'authorized');
    await context.clearCookies({ name: 'nb_auth_token_main' });
    await page.getByTestId('user-center-button').hover();
    await page.getByRole('menu').getByText('Sign out').click();
    await page.getByRole('link', { name: 'Sign in with WeCom' }).waitFor();
    const names = (await context.cookies(stage.origin)).filter((c) => c.value).map((c) => c.name);
    assert.ok(!names.includes('wecom_gate_password'), names.join());
    await close();
  });

  test('members inside WeCom see no form', async () => {
    const client = await stage.client('lisi');
    await enter(client);
    assert.equal((await call(client.page, 'auth:check')).data.nickname, '李四');
    assert.deepEqual(client.recorder.documents().filter((d) => d.url.includes('signin')), []);
    await client.close();
  });

  test('a password sign-in leaves nothing to the next member', async () => {
    const { page, context, close } = await stage.client('lisi', 'desktop', BROWSER);
    await page.goto(stage.origin + stage.page);
    await password(page);
    await menu(page);
    await page.goto(`${stage.origin}/wecom-gate/login?rd=${encodeURIComponent(stage.page)}`);
    await scan(page, /李四|Li Si/);
    await menu(page);
    assert.equal((await call(page, 'auth:check')).data.nickname, '李四');
    const names = (await context.cookies(stage.origin)).filter((c) => c.value).map((c) => c.name);
    assert.ok(!names.includes('nb_auth_token_main'), names.join());
    await close();
  });
});

describe('access.password_login', () => {
  before(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('break-glass', { access: ['browsers = "sign-in-page"', 'password_login = true'] });
  });
  after(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('a');
  });

  test('leads from the gate’s own page to NocoBase’s form and in', async () => {
    const { page, close } = await stage.client(null, 'desktop', BROWSER);
    await page.goto(`${stage.origin}${stage.page}?x=1`);
    await stage.picture(page, 'sign-in-page-with-password');
    assert.equal(page.url(), `${stage.origin}${stage.page}?x=1`);
    await page.getByRole('link', { name: 'Sign in with a password' }).click();
    await password(page);
    await menu(page);
    assert.equal(page.url(), `${stage.origin}${stage.page}?x=1`);
    assert.equal((await call(page, 'auth:check')).data.id, 1);
    await page.goto(`${stage.origin}/wecom-gate/logout`);
    const stolen = await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
    await page.getByRole('button', { name: /Sign out/i }).click();
    await page.getByText('You are signed out').waitFor();
    const after = await stage.ask(stage.gate, '/api/auth:check', { headers: { authorization: `Bearer ${stolen}` } });
    assert.equal(after.status, 401, 'the gate’s own page ends NocoBase’s own session, too');
    await page.goto(stage.origin + stage.page);
    await page.getByText('You are signed out').waitFor();
    await close();
  });

  test('works when WeCom does not', async () => {
    const { page, close } = await stage.client(null, 'desktop', BROWSER);
    await page.goto(`${stage.origin}/wecom-gate/callback?state=old`);
    await page.getByRole('link', { name: 'Sign in with a password' }).click();
    await page.locator('form input[type="password"]').waitFor();
    await close();
  });
});
