// TLS in front, and pages of other sites.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { call } from './member.mjs';
import { CORP, stage } from './stage.mjs';

describe('with TLS', () => {
  let gate;
  before(async () => {
    const data = await stage.simulate('GET', 'data');
    const company = data.companies.find((c) => c.corp_id === CORP);
    company.apps.find((a) => a.agent_id === 1000003).gate = stage.tlsOrigin;
    await stage.simulate('PUT', 'data', data);
    gate = await stage.startGate('tls', {
      origin: stage.tlsOrigin,
      agent: 1000003,
      tls: await stage.certificate(),
      access: ['bypass_networks = ["127.0.0.1"]'],
    });
  });
  after(() => gate.stop());

  test('NocoBase’s own password form works', async () => {
    const client = await stage.client(null, 'desktop', { ignoreHTTPSErrors: true });
    await client.page.goto(`${stage.tlsOrigin}/signin`);
    await client.page.getByPlaceholder(/Username|Email/).first().fill('admin@nocobase.com');
    await client.page.getByPlaceholder('Password').fill('admin123');
    await client.page.getByRole('button', { name: 'Sign in' }).click();
    const answer = await client.watch.first('responses', (r) => /auth:signIn/.test(r.url), 'auth:signIn');
    assert.equal(answer.status, 200);
    await client.page.waitForURL(`${stage.tlsOrigin}/admin**`);
    await client.close();
  });

  test('a member signs in, and the cookie is bound to this host', async () => {
    const client = await stage.client('lisi', 'desktop', { ignoreHTTPSErrors: true });
    const link = `${stage.tlsOrigin}/wecom-gate/login?rd=${encodeURIComponent(stage.page)}`;
    await client.page.goto(link);
    await client.page.waitForURL(stage.tlsOrigin + stage.page);
    assert.equal((await call(client.page, 'auth:check')).data.nickname, '李四');
    const cookie = (await client.context.cookies(stage.tlsOrigin)).find((c) => c.name === '__Host-wecom_gate');
    assert.ok(cookie, 'the session cookie');
    assert.deepEqual(
      { secure: cookie.secure, httpOnly: cookie.httpOnly, sameSite: cookie.sameSite, path: cookie.path },
      { secure: true, httpOnly: true, sameSite: 'Lax', path: '/' },
    );
    const page = client.watch.responses.find((r) => r.url === stage.tlsOrigin + stage.page);
    assert.equal(page.protocol, 'h2');
    await client.watch.assertNoToken();
    await client.close();
  });
});

describe('a page of another site', () => {
  const wait = () => new Promise((resolve) => (arrived = resolve));
  let arrived;
  let server;
  let evil;
  let victim;
  before(async () => {
    victim = await stage.nocobase.call('users:create', { nickname: 'Victim', username: 'victim' });
    const destroy = `${stage.origin}/api/users:destroy?filterByTk=${victim.id}`;
    const pages = {
      '/img': `<img src="${destroy}" onerror="fetch('/done')">`,
      '/fetch': `<script>fetch("${destroy}", { method: "POST", mode: "no-cors", credentials: "include" })
        .catch(() => {}).then(() => fetch("/done"))</script>`,
      '/form': `<form method="post" action="${destroy}"><button>Win a prize</button></form>`,
      '/link': `<a href="${destroy}">Win a prize</a>`,
    };
    server = createServer((request, response) => {
      if (request.url === '/done') arrived?.();
      response.setHeader('content-type', 'text/html');
      response.end(`<!doctype html>${pages[request.url] ?? ''}`);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    evil = `http://localhost:${server.address().port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  test('does nothing in the name of whoever is signed in', async () => {
    // Somebody who could do it; otherwise this would show nothing.
    await stage.nocobase.call('users:create', { nickname: 'Boss', phone: '13800000001', roles: ['admin'] });
    const client = await stage.client('zhangsan');
    await client.page.goto(stage.origin + stage.page);
    await client.page.getByRole('button', { name: 'Allow' }).click();
    await client.page.getByTestId('user-center-button').waitFor();
    assert.equal((await call(client.page, 'auth:check')).data.nickname, 'Boss');
    const there = async () => (await stage.nocobase.users({ id: victim.id })).length;

    for (const way of ['/img', '/fetch']) {
      const done = wait();
      await client.page.goto(evil + way);
      await done;
      assert.equal(await there(), 1, way);
    }
    for (const [way, role] of [['/form', 'button'], ['/link', 'link']]) {
      await client.page.goto(evil + way);
      await client.page.getByRole(role, { name: 'Win a prize' }).click();
      await client.page.waitForURL(/users:destroy/);
      await client.page.waitForLoadState();
      assert.equal(await there(), 1, way);
      await stage.picture(client.page, `cross-site${way.replace('/', '-')}`);
    }

    await client.page.goto(stage.origin + stage.page);
    const own = await call(client.page, `users:destroy?filterByTk=${victim.id}`, { method: 'POST' });
    assert.equal(own.status, 200);
    assert.equal(await there(), 0, 'NocoBase’s own page may');
    await client.close();
  });
});
