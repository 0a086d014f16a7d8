// What a company chooses: its texts, colour and help inside NocoBase's pages, names kept current, and maintenance.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertAccessible, assertReachable } from './axe.mjs';
import { ask, call, menu } from './helpers.mjs';
import { stage } from './stage.mjs';

const HELP = { en: 'Ask the IT desk, ext. 1234', zh: '请联系 IT 服务台，分机 1234' };
const OVER = 'You were away for too long. Your text is still here.';
const CLOSED = 'Closed for maintenance. Only administrators can use the app now.';
const BROWSER = { userAgent: undefined };
const MEMBER = { userid: 'renamed', name: 'Rosa Old', mobile: '13800000091' };
const ADMIN = { userid: 'keeper', name: 'Karl Keeper', mobile: '13800000092' };

describe('a company’s own', () => {
  let file;
  let own;
  before(async () => {
    const texts = join(stage.dir, 'texts');
    file = join(stage.dir, 'maintenance');
    mkdirSync(texts);
    writeFileSync(join(texts, 'en.ftl'), `session-over = ${OVER}\nbutton-sign-in-with = Enter with { $name }\n`);
    await stage.member(MEMBER);
    await stage.member(ADMIN);
    await stage.gate.stop();
    own = stage.serviceUser;
    stage.serviceUser = await stage.nocobase.serviceUser('wecom_gate_company', ({ users }) => { users.update = ['nickname']; });
    stage.gate = await stage.startGate('company', {
      nocobase: ['update_profile = ["nickname"]'],
      access: ['browsers = "nocobase"', `admins = ["wecom/${ADMIN.userid}"]`],
      session: [
        '[pages]', 'title = "Example Ltd"', 'accent = "#8a1538"', `texts = ${JSON.stringify(texts)}`,
        `maintenance_file = ${JSON.stringify(file)}`,
        '[[pages.help]]', `text = ${JSON.stringify(HELP.en)}`, 'link = "https://help.example.com/it"',
        '[[pages.help]]', 'language = "zh"', `text = ${JSON.stringify(HELP.zh)}`,
      ],
    });
  });
  after(async () => {
    await stage.gate.stop();
    stage.serviceUser = own;
    stage.gate = await stage.startGate('a-after-company');
  });

  /** Opens a page inside WeCom, signed in. */
  async function inside(member, path = stage.page) {
    const client = await stage.client(member.userid);
    await client.page.goto(stage.origin + path);
    const allow = client.page.getByRole('button', { name: 'Allow' });
    await allow.or(client.page.getByText('Orders 订单').first()).first().waitFor();
    if (await allow.isVisible()) await allow.click();
    await menu(client.page);
    return client;
  }

  for (const [device, path] of [['desktop', '/admin'], ['phone', '/admin'], ['phone', '/v/admin']]) {
    test(`texts and help are below NocoBase’s form, on a ${device} at ${path}`, async () => {
      const client = await stage.client(null, device, BROWSER);
      const { page } = client;
      await page.goto(stage.origin + path);
      await page.getByRole('link', { name: 'Enter with WeCom', exact: true }).waitFor();
      const help = page.locator('#wecom-gate').getByRole('link', { name: HELP.en });
      assert.deepEqual(await Promise.all(['href', 'target'].map((name) => help.getAttribute(name))), ['https://help.example.com/it', '_blank']);
      const picture = `help-form-${device}${path.replaceAll('/', '-')}`;
      await stage.picture(page, picture);
      await assertAccessible(page, '#wecom-gate');
      for (const [locale, whom] of [['zh-CN', HELP.zh], ['ru-RU', HELP.en]]) {
        await page.evaluate((locale) => {
          localStorage.setItem('NOCOBASE_LOCALE', locale);
          document.body.append(document.createElement('i'));
        }, locale);
        await page.locator('#wecom-gate').getByText(locale === 'zh-CN' ? '或' : 'или', { exact: true }).waitFor();
        await page.locator('#wecom-gate').getByText(whom).waitFor();
        await stage.picture(page, `${picture}-${locale}`);
      }
      await client.close();
    });
  }

  test('text, colour and help are in the strip', async () => {
    const client = await inside(MEMBER, `/v${stage.page}`);
    const { page, context } = client;
    await page.evaluate(() => {
      const field = document.createElement('textarea');
      field.id = 'draft';
      document.body.append(field);
    });
    await page.locator('#draft').fill('a draft');
    await context.clearCookies({ name: 'wecom_gate' });
    await ask(page);
    const strip = page.getByRole('alert').filter({ hasText: OVER });
    await strip.waitFor();
    const button = strip.getByRole('link', { name: 'Sign in again' });
    assert.equal(await button.evaluate((link) => getComputedStyle(link).backgroundColor), 'rgb(138, 21, 56)');
    await strip.getByRole('link', { name: HELP.en }).waitFor();
    await assertAccessible(page, '#wecom-gate-over');
    await page.locator('#draft').focus();
    for (const i of [1, 2]) await assertReachable(page, `#wecom-gate-over a:nth-of-type(${i})`);
    await stage.picture(page, 'help-strip-desktop');
    await page.setViewportSize({ width: 390, height: 844 });
    await stage.picture(page, 'help-strip-phone');
    await page.setViewportSize({ width: 1280, height: 800 });
    await client.close();
  });

  test('address book: a new name there is in NocoBase after the next sign-in', async () => {
    let client = await inside(MEMBER);
    assert.equal((await call(client.page, 'auth:check')).data.nickname, MEMBER.name);
    await client.close();
    await stage.member({ ...MEMBER, name: 'Rosa New' });
    client = await inside(MEMBER);
    const { data } = await call(client.page, 'auth:check');
    assert.equal(data.nickname, 'Rosa New');
    // There is no field for a picture: see docs/configuration.md.
    assert.deepEqual(Object.keys(data).filter((field) => /avatar|picture|photo/i.test(field)), []);
    await client.page.getByTestId('user-center-button').first().hover();
    await client.page.getByRole('menu').getByText('Rosa New').waitFor();
    await stage.picture(client.page, 'renamed');
    await client.close();
    await stage.member(MEMBER);
  });

  test('maintenance leaves administrators in, and tells them', async () => {
    const [admin, member] = [await inside(ADMIN, `/v${stage.page}`), await inside(MEMBER)];
    writeFileSync(file, 'Back at 14:00');
    try {
      await member.page.goto(stage.origin + '/admin');
      const closed = member.page.getByRole('heading', { name: 'Back soon' });
      for (let i = 0; i < 50 && !(await closed.isVisible()); i++) await member.page.reload();
      await member.page.setViewportSize({ width: 390, height: 844 });
      await stage.picture(member.page, 'maintenance-member-phone');
      await member.page.setViewportSize({ width: 1280, height: 800 });
      await admin.page.reload();
      await menu(admin.page);
      const bar = admin.page.getByRole('status').filter({ hasText: CLOSED });
      await bar.waitFor();
      await assertAccessible(admin.page, '#wecom-gate-closed');
      await stage.picture(admin.page, 'maintenance-admin-desktop');
      await admin.page.setViewportSize({ width: 390, height: 844 });
      for (const locale of ['zh-CN', 'ru-RU']) {
        await admin.page.evaluate((locale) => localStorage.setItem('NOCOBASE_LOCALE', locale), locale);
        await admin.page.reload();
        await admin.page.locator('#wecom-gate-closed').waitFor();
        // The menu is folded in a narrow window.
        await admin.page.getByText('Orders 订单').first().waitFor({ state: 'attached' });
        await stage.picture(admin.page, `maintenance-admin-phone-${locale}`);
      }
      await admin.page.setViewportSize({ width: 1280, height: 800 });
      assert.equal((await call(admin.page, 'auth:check')).data.nickname, ADMIN.name);
    } finally {
      rmSync(file);
    }
    await Promise.all([admin.close(), member.close()]);
  });
});
