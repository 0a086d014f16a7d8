// A session that ends while a page is open.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { assertAccessible, assertReachable } from './axe.mjs';
import { signOutElsewhere } from './helpers.mjs';
import { ask, call, marked, menu } from './member.mjs';
import { CORP, stage } from './stage.mjs';
import { CdpRecorder } from './cdp_recorder.mjs';

const MEMBER = { userid: 'expiring', name: 'Hanna Expiry', mobile: '13800000061' };
const QUERY = '?tab=3';
const FRAGMENT = '#row-9';

/** Opens a page inside WeCom without a session, past consent where WeCom asks for it. */
async function inside(url) {
  const client = await stage.client(MEMBER.userid);
  await client.page.goto(url);
  const allow = client.page.getByRole('button', { name: 'Allow' });
  await allow.or(client.page.getByText('Orders 订单').first()).first().waitFor();
  if (await allow.isVisible()) await allow.click();
  await menu(client.page);
  return client;
}

/** The same, and then navigates inside the page, as a click does. */
async function at(url) {
  const client = await inside(url);
  await client.page.evaluate((to) => (location.hash = to), FRAGMENT);
  return { ...client, place: client.page.url() };
}

async function cookies({ context, page }) {
  return (await context.cookies(page.url())).map((c) => `${c.name}=${c.value}`).join('; ');
}

function session(client) {
  return cookies(client).then((all) => /(?:^|; )wecom_gate=([^;]*)/.exec(all)?.[1]);
}

function askedOfWeCom(recorder) {
  return recorder.documents().filter((d) => d.url.startsWith(`${stage.sim}/connect`)).length;
}

/** Deletes the browser's cookies. */
async function forget({ context }) {
  await context.clearCookies({ name: 'wecom_gate' });
}

/** Another client ends the session, so that its token is blocked in NocoBase. */
async function block(client) {
  const authorization = `Bearer ${await client.page.evaluate(() => localStorage.getItem('NOCOBASE_TOKEN'))}`;
  await signOutElsewhere({ cookie: await cookies(client), authorization });
}

/** The page returns automatically to where it was, through WeCom, once. */
async function heals(client, end) {
  const { page, recorder, place } = client;
  assert.ok(place.endsWith(`${stage.page}${QUERY}${FRAGMENT}`), place);
  const before = await session(client);
  const changed = await marked(page);
  recorder.clear();
  await end(client);
  await ask(page);
  await recorder.first('requests', (r) => r.type === 'Document' && r.url.startsWith(stage.sim), 'WeCom');
  await changed();
  await page.waitForURL(place);
  await menu(page);
  assert.equal((await call(page, 'auth:check')).data.nickname, MEMBER.name);
  assert.equal(askedOfWeCom(recorder), 1);
  assert.equal(page.url(), place);
  const now = await session(client);
  assert.ok(now && now !== before);
}

/** Typed text stays until the user has signed in again in another tab, and then it can be saved. */
async function keeps(client, end, name) {
  const { page, context, recorder, place } = client;
  await page.getByTestId('user-center-button').first().hover();
  await page.getByText('Edit profile').last().click();
  const dialog = page.getByRole('dialog');
  const field = dialog.getByRole('textbox').first();
  await field.waitFor();
  // The form is filled in by then, and does not overwrite what is typed.
  await recorder.first('responses', (r) => /\/api\/users:get\?|\/api\/auth:check/.test(r.url), 'the profile');
  // Nothing on the page shows when React has rendered it: wait a moment, then until the page is idle and the typed text stays.
  const until = Date.now() + 60_000;
  do {
    assert.ok(Date.now() < until, 'the form keeps nothing');
    await field.fill(name);
    await dialog.getByRole('textbox').nth(1).fill(MEMBER.userid);
    await pause(500);
    await page.evaluate(() => new Promise((done) => requestIdleCallback(() => requestIdleCallback(done))));
  } while (await field.inputValue() !== name);
  recorder.clear();
  await end(client);

  const save = dialog.getByRole('button', { name: 'Submit' });
  await save.click();
  const strip = page.getByRole('alert').filter({ hasText: 'Your session has ended' });
  await strip.waitFor();
  // NocoBase's client would have shown its own message about the failed call within this time.
  await pause(1000);
  const messages = await page.locator('.ant-notification-notice, .ant-message-notice').allInnerTexts();
  // About a call of its own when a page opens (`flowModels:save`), which NocoBase refuses to this role.
  assert.deepEqual(messages.filter((message) => message !== 'No permissions'), []);
  const picture = `session-over-${new URL(place).pathname.replaceAll('/', '-')}`;
  await stage.picture(page, picture);
  if (place.includes('/v/')) {
    // NocoBase's other client shows another page in a window that becomes narrow.
    const size = page.viewportSize();
    await page.setViewportSize({ width: 390, height: 844 });
    await stage.picture(page, `${picture}-phone`);
    await page.setViewportSize(size);
  }
  await assertAccessible(page, '#wecom-gate-over');
  await field.focus();
  await assertReachable(page, '#wecom-gate-over a');
  assert.equal(await field.inputValue(), name);
  assert.equal(page.url(), place);
  assert.equal(askedOfWeCom(recorder), 0, 'nothing happens by itself');

  const opened = context.waitForEvent('page');
  await page.keyboard.press('Enter');
  const other = await opened;
  await menu(other);
  assert.equal(other.url(), place);
  await strip.waitFor({ state: 'detached' });
  await other.close();
  assert.equal(await field.inputValue(), name);
  recorder.clear();
  await save.click();
  const response = await recorder.first('responses', (r) => r.url.includes('/api/users:updateProfile'), 'saved');
  assert.equal(response.status, 200);
  assert.equal((await call(page, 'auth:check')).data.nickname, name);
  const { data } = await call(page, 'auth:check');
  await stage.nocobase.call(`users:update?filterByTk=${data.id}`, { nickname: MEMBER.name });
}

/** WeCom refuses: a page explains it, and the place is still known when WeCom accepts again. */
async function refused({ page, recorder, place, ...client }, end) {
  const no = page.getByRole('heading', { name: 'Your account is not active' });
  await stage.member({ ...MEMBER, status: 2 });
  try {
    recorder.clear();
    await end({ page, ...client });
    await ask(page);
    await no.waitFor();
    // A page in a redirect loop would have sent another request within this time.
    await pause(2000);
    assert.equal(askedOfWeCom(recorder), 1);
    await no.waitFor();
  } finally {
    await stage.member(MEMBER);
  }
  await page.getByRole('link', { name: 'Try again' }).click();
  await menu(page);
  assert.equal(page.url(), place);
}

describe('a session that ends while the page is open', () => {
  let old; // a gate whose sessions last a minute, and a window that waits for the end of one
  let waiting;
  let since;
  before(async () => {
    await stage.member(MEMBER);
    const origin = `http://old.test:${await stage.freePort()}`;
    const data = await stage.simulate('GET', 'data');
    const company = data.companies.find((c) => c.corp_id === CORP);
    company.apps.find((a) => a.agent_id === 1000003).gate = origin;
    await stage.simulate('PUT', 'data', data);
    old = await stage.startGate('old', { origin, agent: 1000003, session: ['absolute = "1m"', 'idle = "1m"'] });
    waiting = await at(`${origin}${stage.page}${QUERY}`);
    since = Date.now();
  }, { timeout: 120_000 });
  after(async () => {
    await waiting?.context.close();
    await old?.stop();
  });

  // Each way in one of NocoBase's clients, all of them in one window.
  for (const [how, end, prefix] of [['its token is blocked', block, '/v'], ['the cookies are gone', forget, '']]) {
    describe(how, () => {
      let client;
      before(async () => {
        client = await at(`${stage.origin}${prefix}${stage.page}${QUERY}`);
      });
      after(() => client.close());

      test('and is renewed at the same place', () => heals(client, end));
      test('and leaves an unsaved form alone, and lets it be saved', () => keeps(client, end, `${MEMBER.name}, ${how}`));
      test('and does not redirect in a loop when WeCom refuses', () => refused(client, end));
    });
  }

  describe('and a link that is opened without a session', () => {
    let client;
    before(async () => {
      client = await inside(`${stage.origin}${stage.page}${QUERY}${FRAGMENT}`);
    });
    after(() => client.close());

    // WeCom's own fragment replaces it during the sign-in: see docs/how-it-works.md.
    test('loses its fragment, and only that', () => {
      const asked = client.recorder.documents().map((d) => d.url);
      assert.ok(asked.some((url) => url.startsWith(`${stage.sim}/connect`)), asked.join(' '));
      assert.equal(client.page.url(), `${stage.origin}${stage.page}${QUERY}`);
    });

    test('is not followed without a click in any window once the member has signed out in one', async () => {
      const { page, context, recorder } = client;
      const other = await context.newPage();
      const seen = await CdpRecorder.on(other);
      await other.goto(stage.origin + stage.page);
      await menu(other);
      for (const w of [recorder, seen]) w.clear();
      await page.getByTestId('user-center-button').hover();
      await page.getByRole('menu').getByText('Sign out').click();
      await page.getByText('You are signed out').waitFor();
      await ask(other);
      await other.getByText('You are signed out').waitFor();
      // A page that continued without a click would have done so within this time.
      await pause(1000);
      assert.deepEqual([askedOfWeCom(recorder), askedOfWeCom(seen)], [0, 0]);
      await other.close();
    });
  });

  test('at its greatest age it is renewed at the same place', async () => {
    await heals(waiting, () => pause(Math.max(0, since + 61_000 - Date.now())));
  });
});
