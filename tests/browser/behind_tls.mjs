// The gate with an https origin and its own certificate.
import assert from 'node:assert/strict';
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
    const response = await client.recorder.first('responses', (r) => /auth:signIn/.test(r.url), 'auth:signIn');
    assert.equal(response.status, 200);
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
    const page = client.recorder.responses.find((r) => r.url === stage.tlsOrigin + stage.page);
    assert.equal(page.protocol, 'h2');
    await client.recorder.assertNoToken();
    await client.close();
  });
});
