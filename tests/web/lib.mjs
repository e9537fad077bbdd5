/**
 * What the tests in a browser share: two sites on different origins (the page with its guests; a page of somebody else's), one
 * browser, and for each test a context of its own that notes every error of its pages.
 *
 * Chromium, or Debian's Firefox: playwright's own protocol for Firefox needs a Firefox of theirs, but it also speaks WebDriver BiDi,
 * which any Firefox does.
 */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from './server.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const pictures = path.join(root, 'build/web-tests');
const require = createRequire(path.join(root, 'build/npm/package.json'));
const playwright = require('playwright-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const CHROMIUM_OPTIONS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
/** No errands of its own. */
const FIREFOX_DOWNLOADS = path.join(pictures, 'firefox-downloads');
const FIREFOX_PREFERENCES = {
  'browser.download.dir': FIREFOX_DOWNLOADS, 'browser.download.folderList': 2, 'browser.download.alwaysOpenPanel': false,
  'app.normandy.enabled': false, 'app.update.auto': false, 'browser.safebrowsing.update.enabled': false, 'browser.startup.page': 0,
  'captivedetect.canonicalURL': '', 'datareporting.policy.dataSubmissionEnabled': false, 'extensions.getAddons.cache.enabled': false,
  'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false, 'nimbus.rollouts.enabled': false,
  'services.settings.server': 'data:,none', 'toolkit.telemetry.enabled': false, 'media.gmp-manager.updateEnabled': false,
};
const BROWSERS = {
  chromium: () => playwright.chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: CHROMIUM_OPTIONS }),
  firefox: () => playwright._bidiFirefox.launch({ executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr', firefoxUserPrefs: FIREFOX_PREFERENCES, timeout: 180000 }),
};

const PLACES = { '/sub/path/': path.join(root, 'build/web'), '/sub/path/guests/': path.join(root, 'build/guests'), '/sub/path/made/': pictures };
/** The same site on a server that lets all pages read it. */
export const serveToAll = () => serve(PLACES, { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Content-Range' });

export class Session {
  /** @param {string} name - of the browser: see BROWSERS */
  static async open(name = 'chromium') {
    fs.mkdirSync(pictures, { recursive: true });
    execFileSync('nasm', ['-f', 'bin', '-o', path.join(pictures, 'echo.bin'), path.join(root, 'tests/e2e/echo.asm')]);
    const session = new Session();
    session.site = await serve(PLACES);
    session.other = await serve({ '/': path.join(root, 'tests/web/pages') });
    session.browser = await BROWSERS[name]();
    session.browserName = name;
    return session;
  }

  test(name) {
    return new Test(this, name);
  }

  async close() {
    await this.browser.close();
    this.site.close();
    this.other.close();
  }
}

class Test {
  #contexts = [];
  #errors = [];
  /** Errors that the test provokes: RegExps. */
  expectedErrors = [];

  constructor(session, name) {
    Object.assign(this, { session, name, url: `${session.site.url}sub/path/`, otherUrl: session.other.url });
  }

  /** A tab at @url (relative to the site). */
  async open(url = '', options = {}) {
    const context = await this.session.browser.newContext({ viewport: { width: 1100, height: 800 }, acceptDownloads: true, ...options });
    context.setDefaultTimeout(60000);
    this.#contexts.push(context);
    context.on('page', (page) => { // those that a page opens, too
      page.on('console', (m) => {
        if (['error', 'warning'].includes(m.type())) this.#errors.push(`console: ${m.text()} ${m.location().url}`);
      });
      page.on('pageerror', (e) => this.#errors.push(`uncaught: ${e.stack ?? e}`));
    });
    const page = await context.newPage();
    await page.goto(new URL(url, this.url).href);
    return page;
  }

  /** The page, with a PC that was started by its URL. */
  async start(command, options) {
    const page = await this.open(`index.html?cmd=${encodeURIComponent(command)}`, options);
    return page;
  }

  async picture(page, what) {
    await page.screenshot({ path: path.join(pictures, `${this.session.browserName === 'chromium' ? '' : `${this.session.browserName}-`}${this.name}-${what}.png`) });
  }

  async pictures(what) {
    for (const context of this.#contexts) for (const page of context.pages()) await this.picture(page, what).catch(() => {});
  }

  equal(got, wanted, what) {
    if (got !== wanted) throw new Error(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
  }

  match(got, wanted, what) {
    if (!wanted.test(got)) throw new Error(`${what}: ${JSON.stringify(got)} doesn't match ${wanted}`);
  }

  /** Waits until @read() gives something that matches. */
  async eventually(read, wanted, what, seconds = 60, pause = 200) {
    let got;
    for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
      got = await read();
      if (wanted.test(got ?? '')) return got;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    throw new Error(`${what}: ${JSON.stringify(got)} doesn't match ${wanted} after ${seconds} s`);
  }

  /** The contents of the file that @action lets the page save. @returns {Promise<Buffer>} */
  async download(page, action) {
    if (this.session.browserName === 'chromium') {
      const [download] = await Promise.all([page.waitForEvent('download'), action()]);
      return fs.readFileSync(await download.path());
    }
    fs.rmSync(FIREFOX_DOWNLOADS, { recursive: true, force: true });
    await action();
    const file = () => fs.existsSync(FIREFOX_DOWNLOADS) && fs.readdirSync(FIREFOX_DOWNLOADS).map((name) => path.join(FIREFOX_DOWNLOADS, name));
    const complete = () => file() && file().length && file().every((name) => !name.endsWith('.part') && fs.statSync(name).size > 0);
    await this.eventually(async () => String(complete()), /true/, 'the download');
    return fs.readFileSync(file()[0]);
  }

  /** The page's one message: waits for it. */
  async message(page, wanted) {
    return this.eventually(() => page.locator('#message').textContent(), wanted, 'the message', 30);
  }

  /** All controls have names, colours contrast, and so on; they show something; and nothing is wider than the window. */
  async accessible(page, what) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
    if (violations.length) throw new Error(`${what}: ${violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(', ')}`).join('; ')}`);
    const blank = await page.evaluate(() => [...document.querySelectorAll('button')].filter((b) => b.checkVisibility()
      && b.textContent.trim() && getComputedStyle(b).fontSize === '0px' && getComputedStyle(b, '::before').content === 'none').map((b) => b.textContent));
    if (blank.length) throw new Error(`${what}: buttons that show nothing: ${blank}`);
    const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    if (content > window) throw new Error(`${what}: ${content} pixels wide in a window of ${window}`);
  }

  checkErrors() {
    const unexpected = this.#errors.filter((text) => !this.expectedErrors.some((e) => e.test(text)));
    if (unexpected.length) throw new Error(`the page complained: ${unexpected.join('\n')}`);
  }

  async close() {
    for (const context of this.#contexts) await context.close();
  }
}

/** Puts the page's guest where scripts/run puts it. */
export function installGuest() {
  const guest = path.join(root, 'build/web/guest');
  fs.mkdirSync(guest, { recursive: true });
  for (const name of ['web-vmlinuz.gz', 'web-boot.gz', 'web-root.img', 'memtest64.bin']) fs.copyFileSync(path.join(root, 'build/guests', name), path.join(guest, name.replace('web-', '')));
}

/**
 * The relay, as scripts/run starts it, with @options more. kill() is SIGKILL, and resolves when it is gone.
 * @returns {Promise<{url: string, close: function, kill: function}>}
 */
export async function startRelay(...options) {
  const address = options.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const relay = spawn(path.join(root, 'build/native/slipway-relay'), [...address, '--web', path.join(root, 'build/web'), ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
  const gone = new Promise((resolve) => { relay.on('exit', resolve); });
  const url = await new Promise((resolve, reject) => {
    let text = '';
    relay.stderr.on('data', (data) => {
      text += data;
      const address = /listen address=(\S+)/.exec(text);
      if (address) resolve(`http://${address[1]}/`);
    });
    relay.on('exit', (status) => reject(new Error(`the relay ended with status ${status}: ${text}`)));
    relay.on('error', reject);
  });
  return { url, close: () => relay.kill(), kill: () => relay.kill('SIGKILL') && gone };
}

/** What a terminal of the page shows, its lines joined. */
export function terminalText(page, name) {
  return page.evaluate((which) => {
    const tab = [...document.querySelectorAll('[role=tab]')].find((t) => t.textContent === which);
    const panel = tab && document.getElementById(tab.getAttribute('aria-controls'));
    return [...(panel?.querySelectorAll('.xterm-rows > div') ?? [])].map((row) => row.textContent).join('\n');
  }, name);
}
