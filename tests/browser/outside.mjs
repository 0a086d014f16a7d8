// Browsers outside WeCom's client: the QR page, the first sign-in, one that is abandoned or stolen; phones.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call, menu } from './member.mjs';
import { CORP, stage } from './stage.mjs';

const BROWSER = { userAgent: undefined };
export const PHONE =
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36';
const WECHAT =
  'Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0.0.0 ' +
  'Mobile Safari/537.36 MicroMessenger/8.0.42 Language/en';

const FRIDA = { userid: 'first.time', name: 'Frida First', mobile: '13800000041' };
const OLGA = { userid: 'outside.one', name: 'Olga Outside', mobile: '13800000042' };
const TOM = { userid: 'outside.two', name: 'Tom Outside', mobile: '13800000043' };

/** On the QR page, scans as one of its members, or presses a button. */
export async function scan(page, who) {
  await page.waitForURL(`${stage.sim}/**`);
  await page.getByRole('button', { name: who }).first().click();
}

/** The member of a window, from `/wecom-gate/me`; undefined without one. */
export async function whoami(context, gate = stage.gate) {
  const cookie = (await context.cookies(stage.origin)).map((c) => `${c.name}=${c.value}`).join('; ');
  const { status, body } = await stage.ask(gate, '/wecom-gate/me', { headers: { cookie } });
  assert.ok(status === 200 || status === 401, `${status} ${body}`);
  return status === 200 ? JSON.parse(body) : undefined;
}

/** A NocoBase page without its files, where only the redirect matters: loading is slow. */
export async function bare(client) {
  await client.page.route('**/assets/**', (route) => route.abort());
  return client;
}

/** Signs these members in inside WeCom once, so that they are bound. */
export async function bind(...members) {
  for (const member of members) {
    await stage.member(member);
    const { page, close } = await stage.client(member.userid, 'phone');
    await page.goto(`${stage.origin}/wecom-gate/login?rd=/global.css`);
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForURL(`${stage.origin}/global.css`);
    await close();
  }
}

describe('outside of WeCom', () => {
  before(() => bind(OLGA, TOM));

  test('the first time leads into WeCom, once and for good', async () => {
    await stage.member(FRIDA);
    const deep = `${stage.origin}${stage.page}?tab=3`;
    let first;
    for (const [locale, title, step, lang] of [
      ['zh-CN', '首次登录请在企业微信中进行', '在手机上打开企业微信。', 'zh'],
      ['de-DE', 'Melden Sie sich einmal in WeCom an', 'Öffnen Sie WeCom auf Ihrem Smartphone.', 'en'],
      [undefined, 'Sign in once inside WeCom', 'Open WeCom on your phone.', 'en'],
    ]) {
      const { page, context, close } = await stage.client(null, 'desktop', locale ? { ...BROWSER, locale } : BROWSER);
      await page.goto(deep);
      await page.waitForURL(`${stage.sim}/**`);
      const asked = Object.fromEntries(new URL(page.url()).searchParams);
      assert.match(asked.state, /^[A-Za-z0-9]{16,64}$/);
      assert.deepEqual({ ...asked, state: '' }, {
        login_type: 'CorpApp', appid: CORP, agentid: '1000002', lang, state: '',
        redirect_uri: `${stage.origin}/wecom-gate/callback`,
      });
      await scan(page, FRIDA.name);
      await page.getByRole('heading', { name: title }).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), (locale ?? 'en').split('-')[0]);
      assert.deepEqual([await page.locator('ol li').count(), await page.locator('ol li').first().textContent()], [3, step]);
      assert.equal(await page.locator('#link').textContent(), deep, 'what to open there');
      await stage.picture(page, `first-time-${locale ?? 'en'}`);
      assert.equal(await whoami(context), undefined);
      if (locale) await close();
      else first = { page, context, close };
    }

    // She opens the app inside WeCom; at first she does not consent.
    const phone = await stage.client(FRIDA.userid, 'phone');
    await phone.page.goto(deep);
    await phone.page.getByRole('button', { name: 'Refuse' }).click();
    await phone.page.getByRole('heading', { name: 'You did not agree' }).waitFor();
    await phone.page.getByRole('link', { name: 'Try again' }).click();
    await phone.page.getByRole('button', { name: 'Allow' }).click();
    await menu(phone.page);
    assert.equal(phone.page.url(), deep);
    const { id } = (await call(phone.page, 'auth:check')).data;
    const [user] = await stage.nocobase.users({ id });
    assert.deepEqual([user.nickname, user.phone], [FRIDA.name, FRIDA.mobile]);
    await phone.close();

    // The first browser continues from the page that it shows; after a sign-out the QR code is enough.
    const { page, close } = first;
    await page.getByRole('link', { name: 'Try again' }).click();
    for (const time of ['first', 'second']) {
      await scan(page, FRIDA.name);
      await menu(page);
      assert.equal(page.url(), deep, time);
      assert.equal((await call(page, 'auth:check')).data.id, id, time);
      if (time === 'second') break;
      await page.goto(`${stage.origin}/wecom-gate/logout`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.goto(deep);
      await page.getByRole('link', { name: 'Sign in again' }).click();
    }
    await close();
  });

  test('an abandoned sign-in can be tried again', async () => {
    const { page, context, close } = await bare(await stage.client(null, 'desktop', BROWSER));
    const deep = `${stage.origin}${stage.page}?tab=4`;
    await page.goto(deep);
    await scan(page, 'Cancel');
    await page.getByRole('heading', { name: 'Sign-in was cancelled' }).waitFor();
    await stage.picture(page, 'web-login-cancelled');
    // A reload is harmless.
    await page.reload();
    await page.getByRole('heading', { name: 'Sign-in was interrupted' }).waitFor();
    assert.equal(await whoami(context), undefined);
    await page.goto(deep);
    await scan(page, 'Cancel');
    await page.getByRole('link', { name: 'Try again' }).click();
    await scan(page, OLGA.name);
    await page.waitForURL(deep);
    assert.equal((await whoami(context)).userid, OLGA.userid);
    await close();
  });

  test('a sign-in ends only in the browser in which it began', async () => {
    const mine = await bare(await stage.client(null, 'desktop', BROWSER));
    const other = await bare(await stage.client(null, 'desktop', { ...BROWSER, locale: 'en-GB' }));
    await mine.page.goto(stage.origin + stage.page);
    await mine.page.waitForURL(`${stage.sim}/**`);
    // What the QR page would send, and the URL to which it would redirect.
    const form = await mine.page.evaluate(() => Object.fromEntries(new FormData(document.querySelector('form'))));
    const sent = await mine.context.request.post(`${stage.sim}/wwlogin/sso/scan`, {
      form: { ...form, member: `${CORP}/${OLGA.userid}` }, maxRedirects: 0,
    });
    const back = sent.headers().location;
    assert.match(back, new RegExp(`^${stage.origin}/wecom-gate/callback\\?.*code=.`));

    // With another browser and another person's session: following the link signs no one in as Olga.
    const lines = stage.gate.lines.length;
    await other.page.goto(back);
    await other.page.getByRole('heading', { name: 'Sign-in was interrupted' }).waitFor();
    await stage.picture(other.page, 'callback-of-another-browser');
    assert.equal(await whoami(other.context), undefined);
    assert.ok(!stage.gate.lines.slice(lines).some((l) => l.includes('"signed_in"')));
    await other.page.getByRole('link', { name: 'Try again' }).click();
    await scan(other.page, TOM.name);
    await other.page.waitForURL((url) => url.origin === stage.origin && !url.pathname.startsWith('/wecom-gate/'));
    // Nor someone who is signed in already.
    await other.page.goto(back);
    assert.equal((await whoami(other.context)).userid, TOM.userid);

    // Nor has any of this used the code.
    await mine.page.goto(back);
    await mine.page.waitForURL(stage.origin + stage.page);
    assert.equal((await whoami(mine.context)).userid, OLGA.userid);
    await mine.close();
    await other.close();
  });

  test('phones and personal WeChat are told to open the page in WeCom', async () => {
    const link = `${stage.origin}${stage.page}?tab=5#row-9`;
    for (const [name, userAgent] of Object.entries({ PHONE, WECHAT })) {
      const { page, context, recorder, close } = await stage.client(null, 'phone', { userAgent });
      await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: stage.origin });
      await page.goto(link);
      await page.getByRole('heading', { name: 'Open this page in WeCom' }).waitFor();
      await page.evaluate(() => navigator.clipboard.writeText('something else'));
      await page.getByRole('button', { name: 'Copy link' }).click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link, name);
      assert.deepEqual(recorder.documents().filter((d) => d.url.startsWith(stage.sim)), []);
      await stage.picture(page, `open-in-wecom-${name}`);
      await close();
    }
  });

  for (const [browsers, desktop, phone, wechat] of [
    ['sign-in-page', 'Sign in', 'Open this page in WeCom', 'Open this page in WeCom'],
    ['deny', 'Open this app in WeCom', 'Open this app in WeCom', 'Open this page in WeCom'],
    ['nocobase', null, null, null],
  ]) {
    describe(`with access.browsers = "${browsers}"`, () => {
      before(async () => {
        await stage.gate.stop();
        stage.gate = await stage.startGate(`outside-${browsers}`, { access: [`browsers = "${browsers}"`] });
      });
      after(async () => {
        await stage.gate.stop();
        stage.gate = await stage.startGate('a');
      });

      test('every kind of browser gets the response meant for it', async () => {
        const path = `${stage.page}?tab=6`;
        for (const [device, options, title] of [
          ['desktop', BROWSER, desktop], ['phone', { userAgent: PHONE }, phone], ['phone', { userAgent: WECHAT }, wechat],
        ]) {
          const { page, context, recorder, close } = await bare(await stage.client(null, device, options));
          await page.goto(`${stage.origin}${path}#row-9`);
          if (title) await page.getByRole('heading', { name: title, exact: true }).waitFor();
          else assert.equal(new URL(page.url()).pathname, '/signin');
          await stage.picture(page, `${browsers}-${device}-${options.userAgent === WECHAT ? 'wechat' : 'browser'}`);
          assert.equal(await whoami(context), undefined);
          assert.deepEqual(recorder.documents().filter((d) => d.url.startsWith(stage.sim)), []);
          await close();
        }
      });

      test('members inside WeCom are signed in anyway', async () => {
        const { page, context, close } = await bare(await stage.client(OLGA.userid));
        await page.goto(stage.origin + stage.page);
        await page.waitForURL(stage.origin + stage.page);
        assert.equal((await whoami(context)).userid, OLGA.userid);
        await close();
      });

      if (browsers !== 'nocobase') return;
      // A QR page is useless on the phone that is to scan it.
      test('on a phone, the button below NocoBase’s form leads to what helps there', async () => {
        const { page, close } = await stage.client(null, 'phone', { userAgent: PHONE });
        await page.goto(`${stage.origin}${stage.page}?tab=6#row-9`);
        await page.getByRole('link', { name: 'Sign in with WeCom' }).click();
        await page.getByRole('heading', { name: 'Open this page in WeCom' }).waitFor();
        assert.equal(await page.locator('#link').textContent(), `${stage.origin}${stage.page}?tab=6#row-9`);
        await stage.picture(page, 'open-in-wecom-by-the-button');
        const password = await page.getByRole('link', { name: 'Sign in with a password' }).getAttribute('href');
        const { pathname, searchParams } = new URL(password, stage.origin);
        assert.deepEqual([pathname, searchParams.get('redirect')], ['/signin', `${stage.page}?tab=6#row-9`]);
        await close();
      });
    });
  }
});
