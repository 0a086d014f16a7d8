// What page loads and their replay have in common.
import { stage } from '../../tests/browser/stage.mjs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The page is loaded when this menu entry is shown. */
export const THERE = 'Orders 订单';

/** The browser of a member who has signed in through the gate and sees the page. */
export async function signedIn() {
  const client = await stage.client('lisi');
  await client.page.goto(stage.origin + stage.page);
  const allow = client.page.getByRole('button', { name: 'Allow' });
  await allow.or(client.page.getByText(THERE)).first().waitFor();
  if (await allow.isVisible()) await allow.click();
  await client.page.getByText(THERE).first().waitFor();
  return client;
}

/** Waits, at most this many seconds, until the gate has compressed every file as well as it can. */
export async function settled(urls, cookie, patience) {
  const files = [...new Set(urls)].filter((u) => /\/(assets|static)\/.*\.(js|css)(\?|$)/.test(u)).map((u) => new URL(u));
  const began = Date.now();
  for (;;) {
    let waiting = 0;
    for (const file of files) {
      const response = await stage.ask(stage.gate, file.pathname + file.search, { method: 'HEAD', headers: { cookie, 'accept-encoding': 'br' } });
      if (response.headers['content-encoding'] === 'br' && !response.headers.etag?.includes('-best')) waiting += 1;
    }
    if (waiting === 0) return `all files compressed as well as they can be ${round((Date.now() - began) / 1000)} s later`;
    if (Date.now() - began > patience * 1000) return `${waiting} of ${files.length} files not yet compressed as well as they can be`;
    await sleep(2000);
  }
}

/** The value below which this share of the numbers lies; between two numbers, their mean weighted by distance. */
export function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}
export const median = (numbers) => quantile(numbers, 0.5);
export const round = (x, digits = 0) => x.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
