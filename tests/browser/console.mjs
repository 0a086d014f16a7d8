// The console in Chromium, for a member whose user has a role of `access.admins` in the real NocoBase, as long as it has.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertAccessible } from './axe.mjs';
import { enter } from './helpers.mjs';
import { stage } from './stage.mjs';

const CONSOLE = '/wecom-gate/console';

describe('the console', () => {
  let own;

  before(async () => {
    await stage.nocobase.call('roles:create', { name: 'overseer', title: 'Overseer' });
    await stage.gate.stop();
    own = stage.serviceUser;
    stage.serviceUser = await stage.nocobase.serviceUser('wecom_gate_console', ({ users, issuedTokens }) => {
      users.view.push('roles');
      issuedTokens.view.push('signInTime');
    });
    stage.gate = await stage.startGate('console', { access: ['admins = ["role:overseer"]'] });
    await stage.member({ userid: 'olga', name: 'Olga', mobile: '13800000072', departments: [2] });
  });

  after(async () => {
    await stage.gate.stop();
    stage.serviceUser = own;
    stage.gate = await stage.startGate('a-after-console');
  });

  for (const device of ['desktop', 'phone']) {
    test(`shows on a ${device} what was refused, while its user has the role`, async () => {
      const client = await stage.client('olga', device);
      const { page } = client;
      await enter(client, { consent: device === 'desktop' });
      const { nocobase_user_id: id } = await page.evaluate(() => fetch('/wecom-gate/me').then((r) => r.json()));
      const roles = (...names) => stage.nocobase.call(`users:update?filterByTk=${id}`, { roles: ['member', ...names] });

      await roles();
      assert.equal((await page.goto(stage.origin + CONSOLE)).status(), 404);
      await page.getByRole('heading', { name: 'Page not found' }).waitFor();
      await roles('overseer');

      // A visitor without a session reads a request id to the help desk.
      const other = await stage.client(null, 'desktop', { userAgent: undefined });
      await other.page.goto(`${stage.origin}/wecom-gate/callback?code=abc&state=nothing`);
      const number = await other.page.locator('dl dd').nth(1).innerText();
      await other.close();

      assert.equal((await page.goto(stage.origin + CONSOLE)).status(), 200);
      await page.getByRole('img', { name: /Sign-ins of the last 24 hours/ }).waitFor();
      await stage.picture(page, `console-now-${device}`);
      await assertAccessible(page, 'body');
      await page.getByRole('link', { name: 'Not let in' }).click();
      await page.getByLabel('Userid, name or request number').fill(number);
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByText(number).waitFor();
      assert.equal(await page.locator('.rows > li').count(), 1);
      await stage.picture(page, `console-refused-${device}`);
      await assertAccessible(page, 'body');

      // An administrator ends a member's sessions: the open page redirects to sign-in.
      const guest = await stage.client('lisi', device);
      await enter(guest);
      await page.getByRole('link', { name: 'Members' }).click();
      await page.getByLabel('Userid or name').fill('wecom/lisi');
      await page.getByRole('button', { name: 'Search' }).click();
      await page.getByText('Signed in since').first().waitFor();
      await page.getByText(/Last seen .*(AM|PM)/).first().waitFor();
      await page.getByText(/WeCom, \w+/).first().waitFor();
      await page.getByText('销售部 (3)').waitFor();
      await stage.picture(page, `console-member-${device}`);
      await assertAccessible(page, 'body');
      await page.getByRole('button', { name: 'End all sessions' }).click();
      await page.getByText('Is not signed in.').waitFor();
      const me = await guest.context.request.get(`${stage.origin}/wecom-gate/me`);
      assert.equal(me.status(), 401);
      await guest.close();

      // The complete `wecom-gate check`, only after the button is pressed.
      await page.getByRole('link', { name: 'Check' }).click();
      assert.equal(await page.locator('.rows').count(), 0);
      await page.getByRole('button', { name: 'Check now' }).click();
      await page.getByText('nocobase_rights').waitFor();
      await stage.picture(page, `console-check-${device}`);
      await assertAccessible(page, 'body');
      // What it found is in the language chosen in NocoBase.
      await client.context.addCookies([{ name: 'wecom_gate_lang', value: 'zh-CN', url: stage.origin }]);
      await page.getByRole('button', { name: 'Check now' }).click();
      await page.getByRole('heading', { name: '服务账号的权限' }).waitFor();
      await stage.picture(page, `console-check-${device}-zh`);
      await assertAccessible(page, 'body');

      await roles();
      assert.equal((await page.reload()).status(), 404);
      await client.close();
    });
  }
});
