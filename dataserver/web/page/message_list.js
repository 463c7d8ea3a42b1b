/* A room's messages, of which only those in sight are elements. What is not loaded is empty space of about the right
 * height, so the scroll bar shows the place in the whole room, and dragging it anywhere loads what is there. */

import './message_row.js';
import { el } from './dom.js';
import { text } from './texts.js';

const FIRST_HEIGHT_PX = 52;
const OVERSCAN_PX = 500;
const LOAD_WITHIN_PX = 1200;
const AT_END_PX = 40;

export class MessageList extends HTMLElement {
  connectedCallback() {
    if (this.scroller) return;
    this.above = el('div', { class: 'space' });
    this.below = el('div', { class: 'space' });
    this.rowsBox = el('div', { role: 'list', class: 'rows' });
    this.scroller = el('div', { class: 'scroller', tabIndex: 0, role: 'group' }, this.above, this.rowsBox, this.below);
    this.empty = el('p', { class: 'empty', hidden: true });
    this.newest = el('button', { type: 'button', class: 'newest', hidden: true, onclick: () => this.onNewest() }, text('room.newest'));
    this.append(this.scroller, this.empty, this.newest);
    this.heights = new Map();
    this.average = FIRST_HEIGHT_PX;
    this.elements = new Map();
    this.rows = [];
    this.isAtEnd = true;
    this.scroller.addEventListener('scroll', () => this.scrolled(), { passive: true });
    this.scroller.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.resized()).observe(this.scroller);
  }

  /* Another room: nothing of the one before counts. */
  begin(label) {
    this.heights.clear();
    for (const each of this.elements.values()) each.remove();
    this.elements.clear();
    this.rows = [];
    this.isAtEnd = true;
    this.scroller.setAttribute('aria-label', label);
  }

  /* `log` says what is held, `lastSeq` how long the room is. */
  show(rows, log, lastSeq, view) {
    Object.assign(this, { rows, log, lastSeq, view });
    this.empty.hidden = rows.length > 0;
    this.empty.textContent = text(log.isAtStart ? 'room.empty' : 'room.loading');
    this.render();
  }

  scrollToEnd() {
    this.isAtEnd = true;
    this.render();
  }

  resized() {
    if (this.width !== this.scroller.clientWidth) this.heights.clear();
    this.width = this.scroller.clientWidth;
    if (this.view) this.render();
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    if (this.ownTop !== null && Math.abs(scrollTop - this.ownTop) < 2) {
      this.ownTop = null;
      return;
    }
    this.ownTop = null;
    this.isAtEnd = this.log?.isAtEnd === true && scrollHeight - scrollTop - clientHeight < AT_END_PX;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.render());
  }

  heightOf(row) {
    return this.heights.get(row.key) ?? this.average;
  }

  /* Seqs before and after what is held; each may be a message. */
  get missing() {
    const { messages, isAtStart, isAtEnd } = this.log;
    if (!messages.length) return { before: 0, after: 0 };
    return { before: isAtStart ? 0 : messages[0].seq - 1, after: isAtEnd ? 0 : Math.max(0, this.lastSeq - messages.at(-1).seq) };
  }

  render() {
    if (!this.view) return;
    const anchor = this.isAtEnd ? null : this.anchor();
    this.layOut();
    if (this.measure()) this.layOut();
    if (this.isAtEnd) this.moveTo(this.scroller.scrollHeight);
    else if (anchor) {
      const found = this.elements.get(anchor.key);
      if (found?.isConnected) this.moveTo(this.scroller.scrollTop + found.getBoundingClientRect().top - anchor.top);
    }
    this.newest.hidden = this.isAtEnd;
    this.loadMore();
  }

  moveTo(top) {
    if (Math.abs(this.scroller.scrollTop - top) < 1) return;
    this.scroller.scrollTop = top;
    this.ownTop = this.scroller.scrollTop;
  }

  /* The first message in sight, which is to stay where it is. */
  anchor() {
    const { top } = this.scroller.getBoundingClientRect();
    for (const each of this.rowsBox.children) {
      const box = each.getBoundingClientRect();
      if (box.bottom > top) return { key: each.dataset.key, top: box.top };
    }
    return null;
  }

  layOut() {
    const { before, after } = this.missing;
    const aboveAll = before * this.average;
    const height = this.scroller.clientHeight || 600;
    let total = 0;
    for (const row of this.rows) total += this.heightOf(row);
    const top = this.isAtEnd ? aboveAll + total - height : this.scroller.scrollTop;
    const from = top - aboveAll - OVERSCAN_PX;
    const to = top - aboveAll + height + OVERSCAN_PX;
    let offset = 0;
    let first = -1;
    let aboveRows = 0;
    let last = -1;
    let shown = 0;
    this.rows.forEach((row, place) => {
      const size = this.heightOf(row);
      if (offset + size >= from && offset <= to) {
        if (first < 0) [first, aboveRows] = [place, offset];
        last = place;
        shown += size;
      }
      offset += size;
    });
    this.above.style.height = `${aboveAll + aboveRows}px`;
    this.below.style.height = `${after * this.average + total - aboveRows - shown}px`;
    this.put(first < 0 ? [] : this.rows.slice(first, last + 1), first);
  }

  put(rows, first) {
    const wanted = new Set(rows.map((row) => row.key));
    for (const [key, element] of this.elements) {
      if (wanted.has(key)) continue;
      if (element.contains(document.activeElement)) this.scroller.focus({ preventScroll: true });
      element.remove();
      this.elements.delete(key);
    }
    let next = this.rowsBox.firstElementChild;
    rows.forEach((row, place) => {
      let element = this.elements.get(row.key);
      if (!element) {
        element = document.createElement('message-row');
        this.elements.set(row.key, element);
      }
      if (element === next) next = next.nextElementSibling;
      else this.rowsBox.insertBefore(element, next);
      element.show(row, this.rows[first + place - 1], this.view);
    });
  }

  /* True if something is not as high as was thought. */
  measure() {
    let isOther = false;
    let sum = 0;
    for (const [key, element] of this.elements) {
      const { height } = element.getBoundingClientRect();
      sum += height;
      if (Math.abs((this.heights.get(key) ?? -1) - height) > 0.5) {
        this.heights.set(key, height);
        isOther = true;
      }
    }
    if (this.heights.size < 60 && this.elements.size && sum > 0) this.average = Math.max(20, sum / this.elements.size);
    return isOther;
  }

  loadMore() {
    if (!this.log.messages.length || this.log.isLoading) return;
    const { before, after } = this.missing;
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    const aboveAll = before * this.average;
    const belowAll = after * this.average;
    const end = scrollHeight - belowAll;
    const isFar = scrollTop + clientHeight < aboveAll - 3 * clientHeight || scrollTop > end + 3 * clientHeight;
    if (isFar && !this.isAtEnd) this.jumpSoon(scrollTop);
    else if (before && scrollTop - aboveAll < LOAD_WITHIN_PX) this.view.loadMore(true);
    else if (after && end - scrollTop - clientHeight < LOAD_WITHIN_PX) this.view.loadMore(false);
  }

  /* The scroll bar was dragged to where nothing is loaded: load what is there once it rests. */
  jumpSoon(top) {
    clearTimeout(this.jumping);
    this.jumping = setTimeout(() => {
      const seq = Math.round((top / Math.max(1, this.scroller.scrollHeight)) * this.lastSeq);
      this.view.loadAt(Math.max(1, seq));
    }, 80);
  }

  /* Bring a message that is held into sight. */
  reveal(key) {
    const place = this.rows.findIndex((row) => row.key === key);
    if (place < 0) return;
    let offset = this.missing.before * this.average;
    for (const row of this.rows.slice(0, place)) offset += this.heightOf(row);
    this.isAtEnd = false;
    this.moveTo(Math.max(0, offset - this.scroller.clientHeight / 3));
    this.layOut();
    this.measure();
    const element = this.elements.get(key);
    element?.scrollIntoView({ block: 'center' });
    element?.focus({ preventScroll: true });
  }

  key(event) {
    const current = document.activeElement.closest?.('message-row');
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step && !event.altKey) {
      const place = current ? this.rows.findIndex((row) => row.key === current.dataset.key) + step : this.rows.length - 1;
      const row = this.rows[Math.max(0, Math.min(this.rows.length - 1, place))];
      if (row) this.focusRow(row);
      event.preventDefault();
    } else if (event.key === 'End') this.onNewest();
    else if (current && event.target === current) {
      const act = { r: 'reply', e: 'edit', p: 'pin', b: 'bookmark', '+': 'chooseReaction', Delete: 'remove' }[event.key];
      if (act && current.row.state === 'sent' && !event.ctrlKey && !event.metaKey) {
        this.view[act](current.row);
        event.preventDefault();
      }
    }
  }

  focusRow(row) {
    if (!this.elements.has(row.key)) this.reveal(row.key);
    this.elements.get(row.key)?.focus();
  }

  async onNewest() {
    await this.view.loadEnd();
    this.scrollToEnd();
  }
}

customElements.define('message-list', MessageList);
