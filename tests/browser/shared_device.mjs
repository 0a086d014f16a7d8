// Several members on one computer, one after the other: inside WeCom and outside, and at another node.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call } from './member.mjs';
import { bare, bind, scan, whoami } from './outside.mjs';
import { stage } from './stage.mjs';

const BROWSER = { userAgent: undefined };
const ONE = { userid: 'shift.one', name: 'Una One', mobile: '13800000044' };
const TWO = { userid: 'shift.two', name: 'Theo Two', mobile: '13800000045' };

/** The credentials of this window. */
async function held({ page, context }) {
  return {
    cookie: (await context.cookies(stage.origin)).map((c) => `${c.name}=${c.value}`).join('; '),
    authorization: `Bearer ${await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'))}`,
  };
}

const WAYS = {
  'NocoBase’s menu': async (page) => {
    await page.getByTestId('user-center-button').hover();
    await page.getByRole('menu').getByText('Sign out').click();
  },
  'the gate’s page': async (page) => {
    await page.goto(`${stage.origin}/wecom-gate/logout`);
    await page.getByRole('button', { name: 'Sign out' }).click();
  },
};

describe('a shared device', () => {
  let second;
  before(async () => {
    await bind(ONE, TWO);
    // It has the keys and NocoBase, and shares nothing else.
    second = await stage.startGate('shared-device', { port: await stage.freePort() });
  });
  after(() => second.stop());

  async function refusedEverywhere(headers, what) {
    for (const node of [stage.gate, second]) {
      for (const path of ['/api/auth:check', '/wecom-gate/me']) {
        assert.equal((await stage.ask(node, path, { headers })).status, 401, `${what}: ${path} at ${node.name}`);
      }
    }
  }

  test('two members at one computer are never taken for each other', async () => {
    const client = await stage.client(null, 'desktop', BROWSER);
    const { page } = client;
    await page.goto(stage.origin + stage.page);
    let before;
    for (const [member, leave] of [[ONE, WAYS['the gate’s page']], [TWO, WAYS['NocoBase’s menu']], [ONE, undefined]]) {
      if (!leave) await bare(client);
      await scan(page, member.name);
      await page.waitForURL(stage.origin + stage.page);
      assert.equal((await call(page, 'auth:check')).data.nickname, member.name);
      if (before) await refusedEverywhere(before, `before ${member.name}`);
      before = await held(client);
      assert.equal((await stage.ask(second, '/api/auth:check', { headers: before })).status, 200, 'any node takes it');
      if (!leave) break;
      await page.getByTestId('user-center-button').hover();
      await page.getByRole('menu').getByText(member.name).waitFor();
      await stage.picture(page, `turn-of-${member.userid}`);
      await leave(page);
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
      await page.goto(stage.origin + stage.page);
      await page.getByRole('link', { name: 'Sign in again' }).click();
    }
    await client.close();
  });

  for (const [way, leave] of Object.entries(WAYS)) {
    test(`a member who signed out by ${way} stays signed out inside WeCom until they choose otherwise`, async () => {
      const client = await stage.client(ONE.userid);
      const { page, context, recorder } = client;
      if (leave === WAYS['the gate’s page']) await bare(client);
      await page.goto(stage.origin + stage.page);
      await page.waitForURL(stage.origin + stage.page);
      const before = await held(client);
      await leave(page);
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
      await refusedEverywhere(before, way);
      // Only the sign-out marker, the browser's language, and the simulator's own cookie are left.
      const left = (await context.cookies(stage.origin)).filter((c) => c.value).map((c) => c.name);
      assert.deepEqual(left.filter((name) => !['sim_member', 'wecom_gate_lang'].includes(name)), ['wecom_gate_out']);
      assert.equal(await whoami(context), undefined);

      recorder.clear();
      for (const path of ['/', '/m', '/v/admin', stage.page]) {
        await page.goto(stage.origin + path);
        await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
      }
      await page.reload();
      await page.goBack();
      await page.goForward();
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
      assert.deepEqual(recorder.documents().filter((d) => d.url.startsWith(stage.sim)), [], 'WeCom was not asked');
      assert.equal(await whoami(context), undefined);

      await bare(client);
      await page.getByRole('link', { name: 'Sign in again' }).click();
      await page.waitForURL(stage.origin + stage.page);
      // And from then on automatically again.
      await context.clearCookies({ name: 'wecom_gate' });
      await page.goto(stage.origin + stage.page);
      await page.waitForURL(stage.origin + stage.page);
      assert.equal((await whoami(context)).userid, ONE.userid);
      await client.close();
    });
  }
});
