// A member's first tap: from WeCom's workbench to NocoBase, past consent. By itself, for tests/package.sh:
//
//   node first_tap.mjs SIMULATOR GATE NAME SHOWN      NAME: the member as WeCom's pages have them; SHOWN: as NocoBase does
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';

/** Picks the member in the simulated WeCom client, and taps the app. */
export async function tap(page, simulator, name) {
  await page.goto(simulator);
  await page.getByRole('button', { name }).click();
  await page.locator('a.tap').first().click();
  await page.getByRole('button', { name: 'Allow' }).click();
}

async function main(simulator, gate, name, shown) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ locale: 'en-US' });
    // A NocoBase that has just started makes its first pages slowly.
    page.setDefaultTimeout(90_000);
    await tap(page, simulator, name);
    await page.getByTestId('user-center-button').hover();
    await page.getByRole('menu').getByText(shown).waitFor();
    assert.equal(new URL(page.url()).origin, gate);
    console.log(`${shown} is in, at ${page.url()}`);
  } catch (error) {
    for (const page of browser.contexts().flatMap((context) => context.pages())) {
      console.error(page.url(), (await page.innerText('body').catch(() => '')).slice(0, 2000));
    }
    throw error;
  } finally {
    await browser.close();
  }
}

if (fileURLToPath(import.meta.url) === process.argv[1]) await main(...process.argv.slice(2));
