// axe-core on parts of a page that also has parts which are not ours.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Nothing to complain of in what `selector` finds, by the rules of WCAG 2.2 AA and the best practices. */
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

/** The tab key leads from where the focus is to what `selector` finds, and there it shows. */
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
