/**
 * Tabs as the ARIA Authoring Practices describe them: one of the tabs is in the tab order, arrow keys, Home and End choose among
 * them, each is the label of its panel.
 */
export class Tabs {
  static #count = 0; // of all on a page

  /** @param {HTMLElement} list - role=tablist  @param {HTMLElement} panels - where the panels go */
  constructor(list, panels) {
    Object.assign(this, { list, panels });
    list.addEventListener('keydown', (e) => this.#keydown(e));
    for (const tab of this.tabs) this.#wire(tab);
  }

  get tabs() {
    return [...this.list.querySelectorAll('[role=tab]')];
  }

  get selected() {
    return this.tabs.find((tab) => tab.getAttribute('aria-selected') === 'true');
  }

  panel(tab) {
    return this.panels.querySelector(`#${tab.getAttribute('aria-controls')}`);
  }

  #wire(tab) {
    tab.addEventListener('click', () => this.select(tab));
  }

  /** A new tab in front of @before; returns its panel. */
  add(label, before = null) {
    const id = `tab-${++Tabs.#count}`;
    const tab = document.createElement('button');
    Object.assign(tab, { id, type: 'button', textContent: label, tabIndex: -1 });
    tab.setAttribute('role', 'tab');
    tab.setAttribute('aria-controls', `${id}-panel`);
    tab.setAttribute('aria-selected', 'false');
    const panel = document.createElement('div');
    Object.assign(panel, { id: `${id}-panel`, hidden: true });
    panel.setAttribute('role', 'tabpanel');
    panel.setAttribute('aria-labelledby', id);
    this.list.insertBefore(tab, before);
    this.panels.append(panel);
    this.#wire(tab);
    return { tab, panel };
  }

  remove(tab) {
    if (tab === this.selected) this.select(this.tabs.find((other) => other !== tab));
    this.panel(tab).remove();
    tab.remove();
  }

  select(tab) {
    for (const other of this.tabs) {
      const chosen = other === tab;
      other.setAttribute('aria-selected', String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      this.panel(other).hidden = !chosen;
    }
    this.panel(tab).dispatchEvent(new Event('shown'));
  }

  #keydown(e) {
    const tabs = this.tabs;
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[e.key];
    if (at < 0 || to === undefined) return;
    e.preventDefault();
    const tab = tabs.at(to % tabs.length);
    tab.focus();
    this.select(tab);
  }
}
