// What page loads and their replay have in common.
import { createHash } from 'node:crypto';
import { UA, stage } from '../../tests/browser/stage.mjs';
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

/** What a browser sends when it opens a page. */
const PAGE = { 'user-agent': UA.desktop, accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
/** After this many milliseconds without another script compressed with the dictionary there will be none. */
const LAST = 10_000;

/** Waits, at most this many seconds, until the gate has compressed every file as well as it can, with the dictionary too. */
export async function settled(urls, cookie, patience) {
  const files = [...new Set(urls)].filter((u) => /\/(assets|static)\/.*\.(js|css)(\?|$)/.test(u)).map((u) => u.replace(stage.origin, ''));
  const ask = (path, headers, method = 'HEAD') => stage.ask(stage.gate, path, { method, headers: { cookie, ...headers } });
  const began = Date.now();
  let available; // `Available-Dictionary`
  let dictionary;
  let small = { count: 0, at: began };
  for (;;) {
    // With each page the gate looks which plugins there are.
    await ask(stage.page, PAGE, 'GET');
    let waiting = 0;
    let count = 0;
    for (const file of files) {
      const { headers } = await ask(file, { 'accept-encoding': 'br' });
      if (headers['content-encoding'] === 'br' && !headers.etag?.includes('-best')) waiting += 1;
      if (headers['use-as-dictionary'] && dictionary !== file) {
        dictionary = file;
        const { body } = await ask(file, {}, 'GET');
        available = `:${createHash('sha256').update(body).digest('base64')}:`;
      }
      if (!available) continue;
      const other = await ask(file, { 'accept-encoding': 'br, dcz', 'available-dictionary': available });
      if (other.headers['content-encoding'] === 'dcz') count += 1;
    }
    if (count !== small.count) small = { count, at: Date.now() };
    const complete = waiting === 0 && count > 0 && Date.now() - small.at >= LAST;
    const seconds = round((small.at - began) / 1000);
    if (complete) return `all files compressed as well as they can be ${seconds} s later, ${count} with a dictionary`;
    if (Date.now() - began > patience * 1000) {
      return `${waiting} of ${files.length} files not yet compressed as well as they can be, ${count} with a dictionary`;
    }
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
