// Two companies at one gate.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call } from './member.mjs';
import { PHONE, bare, scan, whoami } from './outside.mjs';
import { CORP, stage } from './stage.mjs';

const PARTNER = 'wwfedcba9876543210';
const BROWSER = { userAgent: undefined };

/** Waits for the page, past consent where WeCom asks for it; the user that NocoBase sees. */
async function arrive({ page }) {
  const there = page.waitForURL(stage.origin + stage.page);
  const allow = page.getByRole('button', { name: 'Allow' });
  const asked = await Promise.race([there.then(() => false), allow.waitFor().then(() => true, () => false)]);
  if (asked) await allow.click();
  await there;
  const { data } = await call(page, 'auth:check');
  return { id: data.id, nickname: data.nickname };
}

/** A window that loads only the page itself from NocoBase. */
async function open(member, device, options) {
  return bare(await stage.client(member, device, options));
}

describe('two WeCom entries', () => {
  before(async () => {
    // The same userid is a different person in each company; one person works for both.
    await stage.member({ userid: 'same.id', name: 'Same Here', mobile: '13800000051' });
    await stage.member({ userid: 'same.id', name: 'Same There', mobile: '13900000051' }, PARTNER);
    await stage.member({ userid: 'both.here', name: 'Works For Both', mobile: '13800000052' });
    await stage.member({ userid: 'both.there', name: 'Works For Both', mobile: '13800000052' }, PARTNER);
    await stage.gate.stop();
    stage.gate = await stage.startGate('entries', {
      access: ['browsers = "sign-in-page"'], others: [`${PARTNER}/1000002/Partner & Co`],
    });
  });
  after(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('a');
  });

  /** Inside WeCom: the first entry automatically, another with the link that `check` prints for its workbench. */
  async function enter(client, entry) {
    const login = `${stage.origin}/wecom-gate/login?rd=${encodeURIComponent(stage.page)}&with=${entry}`;
    await client.page.goto(entry ? login : stage.origin + stage.page);
    return arrive(client);
  }

  test('have a button each on the sign-in page, which leads to that company’s QR page', async () => {
    const { page, close } = await open(null, 'desktop', BROWSER);
    for (const [i, corp] of [CORP, PARTNER].entries()) {
      await page.goto(stage.origin + stage.page);
      await stage.picture(page, 'sign-in-page-two-entries');
      const buttons = page.getByRole('link', { name: /^Sign in with / });
      assert.deepEqual(await buttons.allTextContents(), ['Sign in with WeCom', 'Sign in with Partner & Co']);
      await buttons.nth(i).click();
      await page.waitForURL(`${stage.sim}/**`);
      const asked = new URL(page.url()).searchParams;
      assert.deepEqual([asked.get('appid'), asked.get('agentid')], [corp, '1000002']);
    }
    await close();
  });

  test('keep people of one userid apart', async () => {
    const [here, there] = [await open(`${CORP}/same.id`), await open(`${PARTNER}/same.id`, 'phone')];
    const [a, b] = [await enter(here), await enter(there, 'partner')];
    assert.deepEqual([a.nickname, b.nickname], ['Same Here', 'Same There']);
    assert.notEqual(a.id, b.id);

    // Each cookie belongs to its own entry, and no other phantom is accepted with it.
    const held = async ({ page, context }) => ({
      cookie: (await context.cookies(stage.origin)).map((c) => `${c.name}=${c.value}`).join('; '),
      authorization: `Bearer ${await page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'))}`,
    });
    const [one, two] = [await held(here), await held(there)];
    for (const [{ context }, entry, id] of [[here, 'wecom', a.id], [there, 'partner', b.id]]) {
      const me = await whoami(context);
      assert.deepEqual([me.entry, me.userid, me.nocobase_user_id], [entry, 'same.id', id]);
    }
    for (const mixed of [{ ...one, cookie: two.cookie }, { ...two, cookie: one.cookie }]) {
      assert.equal((await stage.ask(stage.gate, '/api/auth:check', { headers: mixed })).status, 401);
    }

    // One signs out; the other's session continues.
    await here.page.goto(`${stage.origin}/wecom-gate/logout`);
    await here.page.getByRole('button', { name: 'Sign out' }).click();
    await here.page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    await stage.picture(here.page, 'signed-out-two-entries');
    assert.equal((await stage.ask(stage.gate, '/api/auth:check', { headers: one })).status, 401);
    assert.equal((await stage.ask(stage.gate, '/api/auth:check', { headers: two })).status, 200);
    await here.close();

    // In one window, members of both companies one after the other: the entry is chosen, and the session is a new one.
    await there.page.goto(`${stage.origin}/wecom-gate/logout`);
    await there.page.getByRole('button', { name: 'Sign out' }).click();
    await there.page.goto(stage.origin + stage.page);
    assert.equal(await there.page.getByRole('link', { name: /^Sign in with / }).count(), 2);
    await stage.pick(there.context, `${CORP}/same.id`);
    await there.page.getByRole('link', { name: /^Sign in with / }).first().click();
    assert.equal((await arrive(there)).id, a.id);
    await there.close();

    // And the bindings: an entry does not find those of the other.
    for (const [entry, id] of [['wecom', a.id], ['partner', b.id]]) {
      const filter = encodeURIComponent(JSON.stringify({ authenticator: entry, uuid: 'same.id' }));
      const rows = await stage.nocobase.call(`usersAuthenticators:list?filter=${filter}`);
      assert.deepEqual(rows.map((r) => r.userId), [id], entry);
    }
  });

  test('lead a member of the other company in from a plain link', async () => {
    const client = await open(`${PARTNER}/same.id`, 'phone');
    await client.page.goto(stage.origin + stage.page);
    await client.page.getByRole('heading', { name: 'This app is for another company' }).waitFor();
    await stage.picture(client.page, 'other-company-two-entries');
    await client.page.getByRole('link', { name: /^Sign in with / }).click();
    assert.equal((await arrive(client)).nickname, 'Same There');
    await client.close();
  });

  test('bind a member of both companies to one user, and say how to open that company’s app', async () => {
    const here = await open(`${CORP}/both.here`);
    const first = await enter(here);
    await here.close();

    // By QR code, and in a phone's own browser: either way the link contains the entry.
    const desk = await open(null, 'desktop', BROWSER);
    await desk.page.goto(stage.origin + stage.page);
    await desk.page.getByRole('link', { name: /^Sign in with / }).nth(1).click();
    await scan(desk.page, 'Works For Both');
    await desk.page.getByRole('heading', { name: 'Sign in once inside WeCom' }).waitFor();
    const link = await desk.page.locator('#link').textContent();
    const phone = await open(null, 'phone', { userAgent: PHONE });
    await phone.page.goto(`${stage.origin}/wecom-gate/sign-in?rd=${encodeURIComponent(stage.page)}`);
    await phone.page.getByRole('link', { name: /^Sign in with / }).nth(1).click();
    await phone.page.getByRole('heading', { name: 'Open this page in WeCom' }).waitFor();
    assert.equal(await phone.page.locator('#link').textContent(), link);
    await phone.close();

    const there = await open(`${PARTNER}/both.there`, 'phone');
    await there.page.goto(link);
    assert.equal((await arrive(there)).id, first.id);
    assert.equal((await whoami(there.context)).entry, 'partner');
    await there.close();
    const filter = encodeURIComponent(JSON.stringify({ userId: first.id }));
    const rows = await stage.nocobase.call(`usersAuthenticators:list?filter=${filter}`);
    assert.deepEqual(rows.map((r) => `${r.authenticator} ${r.uuid}`).sort(), ['partner both.there', 'wecom both.here']);

    // From now on the QR code is enough.
    await desk.page.getByRole('link', { name: 'Try again' }).click();
    await scan(desk.page, 'Works For Both');
    assert.equal((await arrive(desk)).id, first.id);
    await desk.close();
  });
});
