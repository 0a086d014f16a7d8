// Signing out; which NocoBase user a member is; who is refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, call, enter, marked, menu } from './member.mjs';
import { signOutElsewhere } from './helpers.mjs';
import { UA, stage } from './stage.mjs';

/** The gate's cookies of a window, as a `Cookie` header. */
async function cookies(client) {
  return (await client.context.cookies(stage.origin)).map((c) => `${c.name}=${c.value}`).join('; ');
}

function phantom(page) {
  return page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'));
}

describe('signing out', () => {
  test('with NocoBase’s own menu is final, on every node', async () => {
    const [leaving, staying] = [await stage.client('lisi'), await stage.client('lisi', 'phone')];
    await enter(leaving);
    await enter(staying);
    const stolen = { cookie: await cookies(leaving), authorization: `Bearer ${await phantom(leaving.page)}` };

    await leaving.page.getByTestId('user-center-button').hover();
    await leaving.page.getByRole('menu').getByText('Sign out').click();
    await leaving.page.waitForURL('**/wecom-gate/sign-in?out=1');
    await leaving.page.getByText('You are signed out').waitFor();
    await stage.picture(leaving.page, 'signed-out-desktop');
    assert.equal((await leaving.page.goto(`${stage.origin}/wecom-gate/me`)).status(), 401);

    // The second node has the keys and NocoBase, and shares nothing else.
    const second = await stage.startGate('b', { port: await stage.freePort() });
    const kept = { cookie: await cookies(staying), authorization: `Bearer ${await phantom(staying.page)}` };
    for (const node of [stage.gate, second]) {
      assert.equal((await stage.ask(node, '/api/auth:check', { headers: kept })).status, 200, node.name);
      assert.equal((await stage.ask(node, '/api/auth:check', { headers: stolen })).status, 401, node.name);
      assert.equal((await stage.ask(node, '/wecom-gate/me', { headers: stolen })).status, 401, node.name);
    }
    await second.stop();

    // Signing in again takes a click.
    await leaving.page.goto(`${stage.origin}/wecom-gate/sign-in?out=1`);
    await leaving.page.getByRole('link', { name: /Sign in/i }).first().click();
    await leaving.page.waitForURL((url) => !url.pathname.startsWith('/wecom-gate/'));
    await leaving.close();
    await staying.close();
  });

  test('in a Chinese browser ends on a Chinese page, although NocoBase’s own default is English', async () => {
    const userAgent = UA.desktop.replace('Lang/en', 'Lang/zh');
    const client = await stage.client('lisi', 'desktop', { locale: 'zh-CN', userAgent });
    await enter(client);
    // No one has chosen it: NocoBase stores its default.
    assert.equal(await client.page.evaluate(() => localStorage.getItem('NOCOBASE_LOCALE')), 'en-US');
    await client.page.getByTestId('user-center-button').hover();
    await client.page.getByRole('menu').getByText('Sign out').click();
    await client.page.getByText('您已退出登录').waitFor();
    assert.equal(await client.page.locator('html').getAttribute('lang'), 'zh');
    await client.page.getByRole('link', { name: '重新登录' }).waitFor();
    await client.close();
  });

  test('with the gate’s own page ends NocoBase’s session, too', async () => {
    const client = await stage.client('lisi', 'phone');
    await enter(client);
    const stolen = { cookie: await cookies(client), authorization: `Bearer ${await phantom(client.page)}` };
    await client.page.goto(`${stage.origin}/wecom-gate/logout`);
    await stage.picture(client.page, 'sign-out-question');
    await client.page.getByRole('button', { name: /Sign out/i }).click();
    await client.page.getByText('You are signed out').waitFor();
    await stage.picture(client.page, 'signed-out-phone');
    assert.equal((await stage.ask(stage.gate, '/api/auth:check', { headers: stolen })).status, 401);
    await client.close();
  });

  test('elsewhere brings the open page back to the same place with a new session', async () => {
    const client = await stage.client('lisi');
    await enter(client);
    await client.page.goto(`${stage.origin}${stage.page}?tab=3#row-9`);
    await menu(client.page);
    const before = await client.context.cookies(stage.origin);
    // From here on: the end of its WebSocket informs the page, possibly before this request gets its response.
    const changed = await marked(client.page);
    client.recorder.clear();
    await signOutElsewhere({ cookie: await cookies(client), authorization: `Bearer ${await phantom(client.page)}` });
    await ask(client.page);
    await client.recorder.first('requests', (r) => r.type === 'Document' && r.url.startsWith(stage.sim), 'WeCom');
    await changed();
    await client.page.waitForURL(`${stage.origin}${stage.page}?tab=3#row-9`);
    await menu(client.page);
    const now = await client.context.cookies(stage.origin);
    const session = (all) => all.find((c) => c.name === 'wecom_gate')?.value;
    assert.notEqual(session(now), session(before));
    await client.close();
  });
});

describe('who a member is in NocoBase', () => {
  test('the user with the same phone number', async () => {
    const made = await stage.nocobase.call('users:create', {
      username: 'wang', nickname: 'Wang of the sales team', phone: '+86-13800000003',
    });
    const client = await stage.client('WangWu');
    await enter(client, { consent: true });
    const me = await call(client.page, 'auth:check');
    assert.equal(me.data.id, made.id);
    assert.equal(me.data.nickname, 'Wang of the sales team');
    await client.close();
  });

  test('no user, where two users have that number', async () => {
    for (const phone of ['13800000007', '+8613800000007']) {
      await stage.nocobase.call('users:create', { nickname: phone, phone });
    }
    await refused('sunqi', 'Several accounts could be yours', { consent: true });
  });

  test('no user, where the member is disabled', () => refused('zhaoliu', 'Your account is not active'));

  test('no user, where the app is not visible to the member', () => refused('outsider', 'You cannot use this app yet'));

  async function refused(member, title, { consent = false } = {}) {
    const client = await stage.client(member, 'phone');
    await client.page.goto(stage.origin + stage.page);
    if (consent) await client.page.getByRole('button', { name: 'Allow' }).click();
    await client.page.getByRole('heading', { name: title }).waitFor();
    await stage.picture(client.page, `refused-${member}`);
    const me = await stage.ask(stage.gate, '/wecom-gate/me', { headers: { cookie: await cookies(client) } });
    assert.equal(me.status, 401);
    await client.close();
  }
});

describe('a program', () => {
  test('passes with an API key and gets NocoBase’s own 401 without', async () => {
    const { token } = await stage.nocobase.call('apiKeys:create', {
      name: 'report', role: { name: 'root' }, expiresIn: '1d',
    });
    const headers = { 'user-agent': 'curl/8.5.0', accept: '*/*' };
    const with_key = await stage.ask(stage.gate, '/api/users:list', {
      headers: { ...headers, authorization: `Bearer ${token}` },
    });
    assert.equal(with_key.status, 200);
    assert.ok(JSON.parse(with_key.body).data.length > 0);

    const without = await stage.ask(stage.gate, '/api/users:list', { headers });
    assert.equal(without.status, 401);
    assert.match(without.headers['content-type'], /^application\/json/);
    assert.equal(JSON.parse(without.body).errors[0].code, 'EMPTY_TOKEN');

    const forged = `${token.slice(0, -8)}AAAAAAAA`;
    const wrong = await stage.ask(stage.gate, '/api/users:list', {
      headers: { ...headers, authorization: `Bearer ${forged}` },
    });
    assert.equal(wrong.status, 401);
  });
});
