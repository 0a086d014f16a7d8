// Every page of the gate in Chromium: in every language, on a small phone and on a desktop, light and dark.
//
// The pages come from `write_pages` in src/pages/tests.rs, rendered from the gate's templates, and are served here with the
// headers that the gate sends. Nothing else runs, so all of them take about a minute.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { run } from './process.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SCREENSHOTS = process.env.WECOM_GATE_SCREENSHOTS; // a folder: a picture of every page
const LANGUAGES = ['de', 'en', 'es', 'nl', 'ru', 'sv', 'zh'];
const SIZES = {
  // As narrow as a page may be without horizontal scrolling (WCAG 1.4.10).
  phone: { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true },
  desktop: { viewport: { width: 1280, height: 800 } },
};
const SCHEMES = ['light', 'dark'];

const stage = { pages: [] };

before(async () => {
  stage.dir = mkdtempSync(join(tmpdir(), 'wecom-gate-pages-'));
  const file = process.env.WECOM_GATE_PAGES || join(stage.dir, 'pages.json');
  if (!process.env.WECOM_GATE_PAGES) {
    const env = { ...process.env, WECOM_GATE_PAGES: file };
    await run('cargo', ['test', '--quiet', '--lib', 'pages::tests::write_pages', '--', '--ignored'], { cwd: ROOT, env });
  }
  stage.pages = JSON.parse(readFileSync(file, 'utf8'));
  stage.server = http.createServer((request, response) => {
    const page = stage.pages.find((p) => request.url === `/${p.name}`);
    response.writeHead(page ? 200 : 404, page?.headers);
    response.end(page?.body);
  });
  await new Promise((resolve) => stage.server.listen(0, '127.0.0.1', resolve));
  stage.base = `http://127.0.0.1:${stage.server.address().port}`;
  stage.browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true });
}, { timeout: 600_000 });

after(async () => {
  await stage.browser?.close();
  stage.server?.close();
  rmSync(stage.dir, { recursive: true, force: true });
});

/** Pages of this language, one of each that differs in more than its error code. */
function pagesOf(lang) {
  const seen = new Set();
  return stage.pages.filter(({ name, body }) => {
    const [, words] = /<main>([^]*?)(?:<dl|<\/main>)/.exec(body);
    return name.endsWith(`.${lang}`) && !seen.has(words) && seen.add(words);
  });
}

/** Layout faults of the open page that can be measured. Runs in the page. */
function layout(phone) {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.push(`scrolls sideways: ${root.scrollWidth} > ${root.clientWidth}`);
  const text = (element) => element.textContent.trim().slice(0, 40);
  for (const element of document.querySelectorAll('body *')) {
    if (element.closest('svg') && element.tagName !== 'svg') continue;
    const box = element.getBoundingClientRect();
    const what = `<${element.tagName.toLowerCase()}> ${text(element)}`;
    if (box.left < 0 || box.right > root.clientWidth) wrong.push(`${what}: beyond the edge (${box.left} to ${box.right})`);
    if (box.top + scrollY < 0) wrong.push(`${what}: above the page`);
    const inline = getComputedStyle(element).display === 'inline';
    if (!inline && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1)) {
      if (!['svg', 'INPUT'].includes(element.tagName) && element !== document.body) wrong.push(`${what}: does not fit into its box`);
    }
    if (phone && element.matches('a, button') && box.height < 44) wrong.push(`${what}: only ${box.height} px high`);
  }
  const sizes = [...document.querySelectorAll('p, li, h1, a, button')].map((e) => parseFloat(getComputedStyle(e).fontSize));
  if (Math.min(...sizes) < 14) wrong.push(`letters of ${Math.min(...sizes)} px`);
  return wrong;
}

// What translations can break; the other rules check what all languages have in common.
const OF_WORDS = { type: 'rule', values: ['color-contrast', 'target-size', 'html-lang-valid', 'document-title', 'empty-heading'] };
const ALL_RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Violations found by axe-core, one line each. */
async function axe(page, rules) {
  const found = await page.evaluate((runOnly) => window.axe.run(document, { runOnly, resultTypes: ['violations'] }), rules);
  return found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target} ${n.any[0]?.message ?? v.help}`));
}

/** Replaces the page in the window without a new load, so axe-core need not be loaded again. */
function swap(html) {
  const next = new DOMParser().parseFromString(html, 'text/html').documentElement;
  document.documentElement.innerHTML = next.innerHTML;
  document.documentElement.lang = next.lang;
  // Scripts do not run in content inserted this way; this is what the page's own script does first.
  for (const button of document.querySelectorAll('button[hidden]')) button.hidden = false;
}

/** Goes through the page with the tab key: every control is reached, and its focus is visible. */
async function keyboard(page) {
  const all = await page.locator('a[href], button, [tabindex="0"]').count();
  const reached = new Set();
  const wrong = [];
  // After the last one the focus moves to the page itself, and then to the first again.
  for (let i = 0; i < 2 * all + 2 && reached.size < all; i++) {
    await page.keyboard.press('Tab');
    const [index, outline] = await page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
      return [[...document.querySelectorAll('body *')].indexOf(document.activeElement), seen];
    });
    if (index < 0) continue;
    reached.add(index);
    if (!outline) wrong.push('something has the focus, and does not show it');
  }
  if (reached.size !== all) wrong.push(`the tab key reaches ${reached.size} of ${all}`);
  return wrong;
}

test('the pages are there in seven languages', () => {
  const count = pagesOf('en').length;
  assert.ok(count > 35, `${count} pages`);
  // Two failures may have the same text in one language only by accident.
  assert.deepEqual(LANGUAGES.map((lang) => [lang, pagesOf(lang).length]), LANGUAGES.map((lang) => [lang, count]));
  assert.equal(stage.pages.length % LANGUAGES.length, 0);
  for (const { name, body } of stage.pages) assert.ok(body.includes(`<html lang="${name.split('.')[1]}">`), name);
});

for (const [size, device] of Object.entries(SIZES)) {
  test(`every page in every language, light and dark, on a ${size}`, { timeout: 600_000 }, async () => {
    const wrong = [];
    const one = async (lang) => {
      const context = await stage.browser.newContext({ ...device, locale: lang });
      const page = await context.newPage();
      page.on('console', (line) => line.type() === 'error' && wrong.push(`${page.url()}: ${line.text()}`));
      for (const [i, { name, body }] of pagesOf(lang).entries()) {
        // The console, and a company with its own colour, have another style sheet, which the policy of other pages forbids.
        const loaded = lang === 'en' || i === 0 || /^(console|company)-/.test(name);
        if (loaded) {
          await page.goto(`${stage.base}/${name}`);
          await page.evaluate(AXE);
        } else {
          await page.evaluate(swap, body);
        }
        const note = (what) => wrong.push(...what.map((w) => `${name}: ${w}`));
        note(await page.evaluate(layout, size === 'phone'));
        // Colours do not depend on the language: where the full rules do not run, one scheme per page is enough.
        for (const colorScheme of loaded || SCREENSHOTS ? SCHEMES : [SCHEMES[i % 2]]) {
          await page.emulateMedia({ colorScheme });
          note((await axe(page, loaded ? ALL_RULES : OF_WORDS)).map((w) => `${colorScheme}: ${w}`));
          if (lang === 'en') note(await keyboard(page));
          if (SCREENSHOTS) {
            await page.screenshot({ path: join(SCREENSHOTS, `${name}.${size}.${colorScheme}.png`), fullPage: true });
          }
        }
      }
      await context.close();
    };
    // Two at a time.
    const waiting = [...LANGUAGES];
    const work = async () => {
      for (let lang = waiting.shift(); lang; lang = waiting.shift()) await one(lang);
    };
    await Promise.all([work(), work()]);
    assert.deepEqual(wrong, []);
  });
}
