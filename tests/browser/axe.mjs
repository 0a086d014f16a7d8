// axe-core on parts of a page whose other parts are not ours.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** axe-core finds no violation of WCAG 2.2 AA and its best practices in `selector`. */
export async function assertAccessible(page, selector) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate((selector) => {
    const values = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    return window.axe.run(selector, { runOnly: { type: 'tag', values } });
  }, selector);
  const lines = violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target} ${n.any[0]?.message ?? v.help}`));
  assert.deepEqual(lines, [], selector);
  assert.ok(passes.some((p) => p.id === 'color-contrast'), `${selector}: contrast was measured`);
}

/** The tab key reaches `selector`, and its focus is visible. */
export async function assertReachable(page, selector, most = 40) {
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab');
    const [there, seen] = await page.evaluate((selector) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return [document.activeElement.matches(selector), outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1];
    }, selector);
    if (there) return assert.ok(seen, `${selector} has the focus, and does not show it`);
  }
  assert.fail(`the tab key does not lead to ${selector}`);
}
