// The demo as it is started by `make demo`: a member who taps the app sees a page that greets them, on a desktop and on a phone.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM, tap } from './first_tap.mjs';
import { Program, freePort } from './process.mjs';
import { DEMO } from './stage.mjs';

const DEVICES = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: {
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
    userAgent:
      'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36 wxwork/4.1.28 MicroMessenger/7.0.1 NetType/WIFI Language/en',
  },
};

let state;
let demo;
let browser;
let simulator;

before(async () => {
  state = mkdtempSync(join(tmpdir(), 'wecom-gate-demo-'));
  demo = new Program('demo', DEMO, ['--port', String(await freePort()), '--state', state]);
  const line = await demo.line(/Open the WeCom client:/);
  [simulator] = /http:\S+/.exec(line);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});

after(async () => {
  await browser?.close();
  await demo?.stop(60_000);
  if (state) rmSync(state, { recursive: true, force: true });
});

for (const [device, name, shown] of [['desktop', 'Li Si', '李四'], ['phone', 'Zhang San', '张三']]) {
  test(`a member's tap on a ${device} ends on a page that greets them`, async () => {
    const context = await browser.newContext({ locale: 'en-US', ...DEVICES[device] });
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(90_000);
      await tap(page, simulator, name);
      await page.getByText(`Hello ${shown}`).first().waitFor();
    } catch (error) {
      console.error(demo.tail());
      throw error;
    } finally {
      await context.close();
    }
  });
}
