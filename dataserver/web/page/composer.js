/* Where messages are written. What is typed is kept for each room until it is sent. */

import { button, el } from './dom.js';
import { text } from './texts.js';

const MAX_BYTES = 32768;
const TYPING_EVERY_MS = 2500;
const MAX_NAMES = 8;

export class MessageComposer extends HTMLElement {
  connectedCallback() {
    if (this.box) return;
    this.about = el('div', { class: 'about', hidden: true });
    this.names = el('ul', { class: 'names', role: 'listbox', id: 'mention-names', 'aria-label': text('composer.names'), hidden: true });
    this.box = el('textarea', { rows: 1, dir: 'auto', autocomplete: 'off', enterKeyHint: 'send', oninput: () => this.typed(), onkeydown: (event) => this.key(event) });
    this.box.setAttribute('aria-controls', 'mention-names');
    this.problem = el('p', { class: 'problem', role: 'alert', hidden: true });
    this.pictures = button('☺', () => this.view.app.use('messages', 'choosePicture'), { 'aria-label': text('composer.pictures') });
    this.go = el('button', { type: 'submit', class: 'primary' }, text('composer.send'));
    const form = el('form', { onsubmit: (event) => { event.preventDefault(); this.send(); } }, this.box, this.pictures, this.go);
    this.append(this.about, this.names, this.problem, form);
    this.chosen = new Map();
  }

  /* `view` is the room view. */
  open(roomId, name, view) {
    Object.assign(this, { roomId, view, mode: null });
    this.box.setAttribute('aria-label', text('composer.label', { name }));
    this.box.placeholder = text('composer.label', { name });
    this.box.value = localStorage.getItem(this.draftKey) ?? '';
    this.showMode();
    this.grow();
  }

  get draftKey() {
    return `draft:${this.roomId}`;
  }

  focus() {
    this.box.focus();
  }

  reply(row, name) {
    this.mode = { kind: 'reply', row, words: text('composer.replying', { name }) };
    this.showMode();
    this.focus();
  }

  edit(row) {
    this.mode = { kind: 'edit', row, words: text('composer.editing') };
    this.box.value = this.view.readable(row.message.content);
    this.showMode();
    this.grow();
    this.focus();
  }

  leaveMode() {
    if (this.mode?.kind === 'edit') this.box.value = localStorage.getItem(this.draftKey) ?? '';
    this.mode = null;
    this.showMode();
    this.grow();
  }

  showMode() {
    this.about.hidden = !this.mode;
    this.about.replaceChildren(...(this.mode ? [el('span', {}, this.mode.words), button(text('dialog.cancel'), () => { this.leaveMode(); this.focus(); })] : []));
    this.say('');
  }

  say(problem) {
    this.problem.hidden = !problem;
    this.problem.textContent = problem;
  }

  /* Put back what could not be kept. */
  restore(content) {
    if (this.box.value && this.box.value !== content) this.box.value = `${content}\n${this.box.value}`;
    else this.box.value = content;
    this.keep();
    this.grow();
  }

  send() {
    const content = this.box.value.trim();
    if (!content) return;
    const whole = this.view.withMentions(content, this.chosen);
    const size = new TextEncoder().encode(whole).length;
    if (size > MAX_BYTES) {
      this.say(text('composer.too_long', { size, most: MAX_BYTES }));
      return;
    }
    const { mode } = this;
    this.say('');
    if (!this.view.submit(whole, mode)) return;
    this.mode = null;
    this.box.value = mode?.kind === 'edit' ? (localStorage.getItem(this.draftKey) ?? '') : '';
    if (mode?.kind !== 'edit') this.keep();
    this.chosen.clear();
    this.showMode();
    this.grow();
    this.offer();
  }

  keep() {
    if (this.mode?.kind === 'edit') return;
    if (this.box.value) localStorage.setItem(this.draftKey, this.box.value);
    else localStorage.removeItem(this.draftKey);
  }

  typed() {
    this.keep();
    this.grow();
    this.offer();
    if (this.box.value && Date.now() - (this.typedAt ?? 0) > TYPING_EVERY_MS) {
      this.typedAt = Date.now();
      this.view.typing();
    }
  }

  grow() {
    this.box.style.height = 'auto';
    this.box.style.height = `${Math.min(this.box.scrollHeight, 200)}px`;
  }

  /* Members whose name begins as what stands after the last @. */
  offer() {
    const found = /(?:^|\s)@([^\s@]*)$/.exec(this.box.value.slice(0, this.box.selectionStart));
    const members = found ? this.view.membersNamed(found[1]).slice(0, MAX_NAMES) : [];
    this.offered = members;
    this.offeredAt = 0;
    this.names.hidden = !members.length;
    this.names.replaceChildren(...members.map((each, place) => el('li', { role: 'option', id: `name-${place}`, 'aria-selected': String(place === 0), onmousedown: (event) => { event.preventDefault(); this.choose(place); } }, each.display_name || each.name, el('small', {}, ` ${each.name}`))));
    if (members.length) this.box.setAttribute('aria-activedescendant', 'name-0');
    else this.box.removeAttribute('aria-activedescendant');
  }

  move(step) {
    this.offeredAt = (this.offeredAt + step + this.offered.length) % this.offered.length;
    [...this.names.children].forEach((each, place) => each.setAttribute('aria-selected', String(place === this.offeredAt)));
    this.box.setAttribute('aria-activedescendant', `name-${this.offeredAt}`);
  }

  choose(place) {
    const member = this.offered[place];
    const at = this.box.selectionStart;
    const before = this.box.value.slice(0, at).replace(/@[^\s@]*$/, `@${member.name} `);
    this.box.value = before + this.box.value.slice(at);
    this.box.selectionStart = this.box.selectionEnd = before.length;
    this.chosen.set(member.name, member.user);
    this.keep();
    this.offer();
  }

  key(event) {
    if (event.isComposing) return;
    if (!this.names.hidden && ['ArrowUp', 'ArrowDown', 'Enter', 'Tab', 'Escape'].includes(event.key)) {
      event.preventDefault();
      if (event.key === 'ArrowUp') this.move(-1);
      else if (event.key === 'ArrowDown') this.move(1);
      else if (event.key === 'Escape') this.names.hidden = true;
      else this.choose(this.offeredAt);
    } else if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      this.send();
    } else if (event.key === 'Escape' && this.mode) this.leaveMode();
    else if (event.key === 'ArrowUp' && !this.box.value && !this.mode) {
      event.preventDefault();
      this.view.editLast();
    }
  }
}

customElements.define('message-composer', MessageComposer);
