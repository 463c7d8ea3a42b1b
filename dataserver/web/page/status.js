/* What the page says of itself: no connection, what is still on its way, an ended session; and words that pass. */

import { TYPES } from '../outbox/rules.js';
import { button, el } from './dom.js';
import { reasonOf, text } from './texts.js';

const TOAST_MS = 6000;
const SYNCING_AFTER_MS = 400;
const MAX_TOASTS = 4;

export class StatusLine extends HTMLElement {
  begin(app) {
    this.app = app;
    this.setAttribute('role', 'status');
    this.words = el('span');
    this.more = button(text('status.show'), () => app.openPanel('actions'));
    this.replaceChildren(this.words, this.more);
    this.hidden = true;
  }

  show() {
    const { outbox } = this.app;
    const count = outbox.waiting().length;
    const failedCount = outbox.failed().length;
    clearTimeout(this.soon);
    let [kind, words] = ['', ''];
    if (outbox.needsLogin) [kind, words] = ['expired', text('status.expired')];
    else if (outbox.contact === 'offline') {
      kind = 'offline';
      words = count === 0 ? text('status.offline') : text(count === 1 ? 'status.offline_one' : 'status.offline_queued', { count });
    } else if (count) {
      this.since ??= Date.now();
      if (Date.now() - this.since >= SYNCING_AFTER_MS) [kind, words] = ['syncing', text('status.syncing', { count })];
      else this.soon = setTimeout(() => this.show(), SYNCING_AFTER_MS);
    }
    if (!count) this.since = null;
    if (!words && failedCount) [kind, words] = ['failed', text('status.failed', { count: failedCount })];
    this.hidden = !words;
    this.className = kind;
    if (this.words.textContent !== words) this.words.textContent = words;
    this.more.hidden = !count && !failedCount;
  }
}

export class ToastArea extends HTMLElement {
  begin(app) {
    this.setAttribute('role', 'status');
    app.outbox.addEventListener('ended', ({ detail }) => {
      const words = detail.action && detail.state === 'done' && !detail.result?.conflicts && TYPES[detail.action.type].success_notice;
      if (words && detail.action.account === app.model.me?.id) this.say(words);
    });
    app.outbox.addEventListener('failed', ({ detail }) => {
      const words = TYPES[detail.type].failure_notice;
      if (words) this.say(`${words}: ${reasonOf(detail.failure)}`, 'problem');
    });
  }

  say(words, kind = '', ms = TOAST_MS) {
    const toast = el('div', { class: `toast ${kind}` }, el('span', {}, words), button('✕', () => toast.remove(), { 'aria-label': text('panel.close') }));
    this.append(toast);
    while (this.children.length > MAX_TOASTS) this.firstElementChild.remove();
    setTimeout(() => toast.remove(), ms);
  }
}

customElements.define('status-line', StatusLine);
customElements.define('toast-area', ToastArea);
