/**
 * What the page tells: one message about what went wrong, in a role=alert, and notices in a role=status: what the emulator says while
 * a PC runs (a relay that can't be reached, a disk that can't be read), with what to do about it. Notices of the same subject
 * replace each other, and can be put away.
 */
import { adviceFor } from './advice.js';

const MOST = 3; // notices at a time

const create = (tag, properties = {}, ...children) => {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
};

export class Messages {
  /** @param {HTMLElement} alert  @param {HTMLElement} notices */
  constructor(alert, notices) {
    Object.assign(this, { alert, notices });
  }

  /** @param {string} text - '' takes it away */
  show(text) {
    this.alert.hidden = !text;
    this.alert.replaceChildren(...(text ? this.#parts(text) : []));
  }

  #parts(text) {
    const advice = adviceFor(text);
    return [create('span', { className: 'what', textContent: text }), ...(advice ? [' ', create('span', { className: 'advice', textContent: advice })] : [])];
  }

  /** A line of the emulator's; others than its warnings are for the console. */
  log(line, who = '') {
    const text = /^slipway: (?:warning: )?(.*)/s.exec(line)?.[1];
    if (!text) return;
    const subject = `${who} ${text.split(': ').slice(0, 2).join(': ').replace(/: (connected|not connected|[A-Z_]+)$/, '')}`;
    const good = /: connected$/.test(text);
    const close = create('button', { type: 'button', className: 'remove', textContent: '×', title: 'Put away', ariaLabel: `Put away: ${text}` });
    const notice = create('div', { className: `notice${good ? ' good' : ''}` }, create('p', {}, ...(who ? [`${who}: `] : []), ...this.#parts(text)), close);
    notice.dataset.subject = subject;
    close.addEventListener('click', () => notice.remove());
    const old = [...this.notices.children].find((other) => other.dataset.subject === subject);
    if (old) old.replaceWith(notice);
    else this.notices.append(notice);
    while (this.notices.children.length > MOST) this.notices.firstChild.remove();
  }

  clear() {
    this.show('');
    this.notices.replaceChildren();
  }
}
