/**
 * A lab's instructions: Markdown to HTML (marked), made safe (DOMPurify), since a lab may be anybody's. Code of a PC (```pc1)
 * gets a button that types it there.
 */
import DOMPurify from './purify.es.mjs';
import { marked } from './marked.esm.js';

const ALLOWED = {
  ALLOWED_TAGS: ['h1', 'h2', 'h3', 'h4', 'p', 'ul', 'ol', 'li', 'a', 'code', 'pre', 'em', 'strong', 'del', 'blockquote', 'hr', 'br', 'img', 'table', 'thead',
    'tbody', 'tr', 'th', 'td', 'kbd', 'details', 'summary', 'sub', 'sup'],
  ALLOWED_ATTR: ['href', 'src', 'alt', 'title', 'class', 'start', 'align'],
  ALLOWED_URI_REGEXP: /^(?:https?:|#|[^:]*$)/i,
};

/**
 * @param {string} text
 * @param {{base: string, pcs: string[], type: function(string, string)}} options - URLs are relative to base; type(pc, text)
 * @returns {DocumentFragment}
 */
export function render(text, { base, pcs, type }) {
  const fragment = DOMPurify.sanitize(marked.parse(text), { ...ALLOWED, RETURN_DOM_FRAGMENT: true });
  for (const a of fragment.querySelectorAll('a[href]')) {
    if (!a.getAttribute('href').startsWith('#')) Object.assign(a, { href: new URL(a.getAttribute('href'), base).href, target: '_blank', rel: 'noopener noreferrer' });
  }
  for (const img of fragment.querySelectorAll('img[src]')) img.src = new URL(img.getAttribute('src'), base).href;
  // The page has a heading of the first level already.
  for (const heading of [...fragment.querySelectorAll('h1, h2, h3')].reverse()) {
    const lower = document.createElement(`h${Number(heading.tagName[1]) + 1}`);
    lower.append(...heading.childNodes);
    heading.replaceWith(lower);
  }
  for (const pre of fragment.querySelectorAll('pre')) {
    pre.tabIndex = 0; // it may be wider than the column
    const code = pre.querySelector('code');
    const pc = /^language-(.+)$/.exec(code?.className ?? '')?.[1];
    if (!pcs.includes(pc)) continue;
    const block = document.createElement('div');
    block.className = 'to-type';
    const lines = code.textContent.replace(/\n+$/, '');
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: `Type on ${pc}`, ariaLabel: `Type on ${pc}: ${lines}` });
    button.addEventListener('click', () => type(pc, `${lines}\n`));
    pre.replaceWith(block);
    block.append(pre, button);
  }
  return fragment;
}
