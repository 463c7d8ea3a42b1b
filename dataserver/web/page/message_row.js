/* One message on the screen. The element stays the same from "Sending…" to sent; only what changed in it is made anew. */

import { avatar } from './avatar.js';
import { button, el, pictureOf, timeOf, written } from './dom.js';
import { reasonOf, text } from './texts.js';

export class MessageRow extends HTMLElement {
  connectedCallback() {
    this.setAttribute('role', 'listitem');
    this.tabIndex = -1;
  }

  /* `view` is the room view, which does what the buttons say. */
  show(row, previous, view) {
    const follows = isSameBreath(previous, row);
    const mark = view.markOf(row);
    const { message, state } = row;
    const own = view.ownPictures;
    const face = view.model.pictures.get(message.sender);
    const isSame = this.own === own && this.face === face && this.follows === follows && this.mark === mark;
    if (isSame && this.row?.message === message && this.row.state === state && this.row.action === row.action) return;
    Object.assign(this, { row, follows, mark, own, face });
    this.className = `message ${state}${follows ? ' follows' : ''}${message.mentions?.map(String).includes(view.me) ? ' to-me' : ''}`;
    this.dataset.key = row.key;
    const author = view.authorOf(message);
    const body = message.content === null
      ? el('p', { class: 'body gone' }, text('message.deleted'))
      : el('p', { class: 'body', dir: 'auto' }, ...written(message.content, (id) => view.model.nameOf(id), view.me, own), message.edited_at_ms ? [' ', this.edited(row, view)] : null);
    this.replaceChildren(
      ...(follows ? [] : [avatar(view.model, message.sender, author), el('header', {}, el('span', { class: 'author' }, author), timeOf(message.created_at_ms))]),
      ...[this.answered(message, view), body, this.reactions(message, view), this.stateLine(row, view)].filter(Boolean),
      ...(state === 'sent' && message.content !== null ? [this.tools(row, view)] : []),
    );
    this.setAttribute('aria-label', `${author}: ${message.content ?? text('message.deleted')}${state === 'sent' ? '' : `. ${this.stateText(row)}`}`);
  }

  /* Says that a message was edited, and shows what it said before once the server knows. */
  edited(row, view) {
    const words = text('message.edited');
    return row.state === 'sent' && !row.pending ? button(words, () => view.history(row), { class: 'edited', title: text('message.history') }) : el('span', { class: 'edited' }, words);
  }

  answered(message, view) {
    if (!message.reply_to) return null;
    const found = view.find(message.reply_to);
    const words = found
      ? text('message.answered', { name: view.authorOf(found.message), content: (found.message.content ?? '').slice(0, 100) })
      : text('message.answered_unknown');
    return button(words, () => view.goTo(message.reply_to), { class: 'answered', dir: 'auto' });
  }

  reactions(message, view) {
    const pinned = message.is_pinned ? el('span', { class: 'pinned' }, text('message.pinned')) : null;
    const byEmoji = new Map();
    for (const { emoji, user } of message.reactions ?? []) byEmoji.set(emoji, [...(byEmoji.get(emoji) ?? []), user]);
    if (!byEmoji.size && !pinned) return null;
    return el('div', { class: 'reactions' }, pinned, ...[...byEmoji].map(([emoji, users]) => button(emojiOf(emoji, view.ownPictures, users.length), () => view.react(this.row, emoji), {
      'aria-pressed': String(users.includes(view.me)), 'aria-label': text('message.reaction', { emoji, count: users.length }), title: users.map((user) => view.model.nameOf(user)).join(', '),
    })));
  }

  stateText({ state, action }) {
    if (state === 'failed') return text('message.failed', { reason: reasonOf(action.failure) });
    return text('message.sending');
  }

  stateLine(row, view) {
    if (row.state === 'sent') return null;
    const line = el('div', { class: 'state', role: row.state === 'failed' ? 'alert' : null }, el('span', {}, this.stateText(row)));
    if (row.state === 'failed') {
      line.append(button(text('message.retry'), () => view.outbox.retry(row.action.client_id)), button(text('message.delete'), () => view.outbox.cancel(row.action.client_id)));
    }
    return line;
  }

  tools(row, view) {
    const { message } = row;
    const isOwn = message.sender === view.me;
    const tool = (name, act) => button(text(name), act, { class: 'tool' });
    return el('div', { class: 'tools', role: 'toolbar', 'aria-label': text('message.actions') },
      tool('message.react', () => view.chooseReaction(row)),
      tool('message.reply', () => view.reply(row)),
      isOwn && tool('message.edit', () => view.edit(row)),
      view.mayPin && tool(message.is_pinned ? 'message.unpin' : 'message.pin', () => view.pin(row)),
      tool(view.markOf(row) ? 'message.unbookmark' : 'message.bookmark', () => view.bookmark(row)),
      (isOwn || view.mayDeleteOthers) && tool('message.delete', () => view.remove(row)));
  }
}

/* An emoji as it stands on a button; `:name:` is one of the space's own. */
function emojiOf(emoji, own, count) {
  const address = /^:.+:$/.test(emoji) ? own?.get(emoji.slice(1, -1)) : null;
  return address ? [pictureOf(emoji.slice(1, -1), address), ` ${count}`] : `${emoji} ${count}`;
}

/* Whether a message follows one of the same person soon enough to need no name again. */
function isSameBreath(previous, { message }) {
  return Boolean(previous) && previous.message.sender === message.sender && !message.reply_to
    && message.created_at_ms - previous.message.created_at_ms < 300000;
}

customElements.define('message-row', MessageRow);
