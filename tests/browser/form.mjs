// NocoBase's own sign-in form with our buttons below it: in both of its clients, in every language, accessible.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { assertAccessible, assertReachable } from './axe.mjs';
import { call, menu } from './member.mjs';
import { CORP, stage } from './stage.mjs';

const PARTNER = 'wwfedcba9876543210';
const TITLES = ['WeCom', 'Partner 伙伴'];
const BROWSER = { userAgent: undefined };
const TEXTS = new URL('../../src/pages/texts/', import.meta.url);
const LANGUAGES = ['de', 'en', 'es', 'nl', 'ru', 'sv', 'zh'];

/** A text of the gate in that language. */
function text(lang, key) {
  const found = new RegExp(`^${key} = (.+)$`, 'm').exec(readFileSync(new URL(`${lang}/parts.ftl`, TEXTS), 'utf8'));
  return found[1].trim();
}

/** The text that the gate has put below the form. */
function words(page) {
  return page.locator('#wecom-gate').evaluate((box) => [...box.children].map((c) => c.textContent));
}

/** The form, as a visitor without a session gets it at this NocoBase path. */
async function form(path) {
  const client = await stage.client(null, 'desktop', BROWSER);
  await client.page.goto(stage.origin + path);
  await client.page.locator('#wecom-gate a').nth(TITLES.length - 1).waitFor();
  return client;
}

async function isDark(page) {
  return page.evaluate(() => /rgb\((\d+)/.exec(getComputedStyle(document.body).backgroundColor)[1] < 64);
}

/** NocoBase's theme for users who have not chosen one. */
async function theme(uid) {
  for (const { id, ...one } of await stage.nocobase.call('themeConfig:list')) {
    if (one.default !== (one.uid === uid)) {
      await stage.nocobase.call(`themeConfig:update?filterByTk=${id}`, { default: one.uid === uid });
    }
  }
}

describe('the buttons below NocoBase’s form', () => {
  before(async () => {
    await stage.gate.stop();
    stage.gate = await stage.startGate('buttons', {
      access: ['browsers = "nocobase"'], others: [`${PARTNER}/1000002/${TITLES[1]}`],
    });
  });
  after(async () => {
    await theme('compact');
    await stage.gate.stop();
    stage.gate = await stage.startGate('a');
  });

  // The new client's form is light for visitors who are not signed in.
  for (const [look, path, signIn] of [
    ['compact', '/v/admin', '/v/signin'], ['compact', '/admin', '/signin'], ['compact_dark', '/admin', '/signin'],
  ]) {
    describe(`at ${signIn}, ${look}`, () => {
      let client;
      before(async () => {
        await theme(look);
        client = await form(path);
        const dark = look === 'compact_dark';
        for (let i = 0; i < 50 && (await isDark(client.page)) !== dark; i++) await pause(100);
        assert.equal(await isDark(client.page), dark);
        // Colours change with a transition.
        await client.page.evaluate(() => Promise.all(document.getAnimations()
          .filter((a) => Number.isFinite(a.effect.getComputedTiming().endTime)).map((a) => a.finished.catch(() => {}))));
      });
      after(() => client.close());

      test('are one for each entry, and each leads to its company', async () => {
        assert.equal(new URL(client.page.url()).pathname, signIn);
        for (const [i, corp] of [CORP, PARTNER].entries()) {
          const button = client.page.getByRole('link', { name: `Sign in with ${TITLES[i]}`, exact: true });
          const href = await button.getAttribute('href');
          assert.equal(new URL(href, stage.origin).searchParams.get('rd'), path);
          const response = await stage.ask(stage.gate, href, { headers: { accept: 'text/html' } });
          const asked = new URL(response.headers.location).searchParams;
          assert.deepEqual([asked.get('appid'), asked.get('agentid')], [corp, '1000002']);
        }
      });

      test('are accessible', async () => {
        const { page } = client;
        await stage.picture(page, `form-${look}${signIn.replaceAll('/', '-')}`);
        await assertAccessible(page, '#wecom-gate');
        await page.locator('form input[type="password"]').focus();
        for (const i of TITLES.keys()) await assertReachable(page, `#wecom-gate a:nth-of-type(${i + 1})`);
      });

      test('speak seven languages', async () => {
        const { page } = client;
        for (const lang of LANGUAGES) {
          // As when a language is chosen in NocoBase, which then renders its form again.
          await page.evaluate((lang) => {
            localStorage.setItem('NOCOBASE_LOCALE', lang);
            document.body.append(document.createElement('i'));
          }, `${lang}-XX`);
          const want = [text(lang, 'or'), ...TITLES.map((t) => text(lang, 'button-sign-in-with').replace('{ $name }', lang === 'zh' && t === 'WeCom' ? '企业微信' : t))];
          for (let i = 0; i < 50 && (await words(page))[0] !== want[0]; i++) await pause(50);
          assert.deepEqual(await words(page), want, lang);
        }
      });

      test('take nothing away from the form', async () => {
        const { page, recorder } = client;
        await recorder.first('responses', (r) => r.url.includes('/api/authenticators:publicList'), 'the ways to sign in');
        await recorder.first('responses', (r) => r.url.includes('/api/systemSettings:get'), 'the title');
        const refused = recorder.responses.filter((r) => r.status === 401 && r.url.startsWith(`${stage.origin}/`));
        for (const { url, id } of refused) {
          const { method, type } = recorder.requests.find((r) => r.id === id);
          // The page requests the first again after a sign-in, and retries the other until then.
          if (url.endsWith('/api/app:getInfo') || type === 'WebSocket') continue;
          const bare = await fetch(url.replace(stage.origin, stage.nocobase.base), { method });
          assert.equal(bare.status, 401, `${method} ${url} without the gate`);
        }
        assert.equal(await page.locator('form input[type="password"]').count(), 1);
      });
    });
  }

  test('do not disturb a password sign-in in the new client', async () => {
    const { page, recorder, close } = await form(`/v${stage.page}`);
    const layouts = await recorder.first('responses', (r) => r.url.includes('/api/uiLayouts:listEnabled'), 'the layouts');
    assert.equal(layouts.status, 200);
    await page.locator('form input').first().fill('admin@nocobase.com');
    await page.locator('form input[type="password"]').fill('admin123');
    recorder.clear();
    await page.locator('form button[type="submit"]').click();
    await menu(page);
    assert.equal(new URL(page.url()).pathname, `/v${stage.page}`);
    assert.equal((await call(page, 'auth:check')).data.id, 1);
    await recorder.first('frames', (f) => f.way === 'received' && f.text.includes('"authorized"'), 'authorized');
    await page.reload();
    await menu(page);
    const refused = recorder.responses.filter((r) => [401, 403].includes(r.status)).map((r) => `${r.status} ${r.url}`);
    assert.deepEqual(refused, []);
    await page.getByTestId('user-center-button').first().hover();
    await page.getByText('Sign out').last().click();
    await page.getByRole('link', { name: 'Sign in with WeCom' }).waitFor();
    assert.equal(new URL(page.url()).pathname, '/v/signin');
    await close();
  });
});
