/* What can be done to a message that begins with a question, and what it said before. */

import './words.js';
import { CallFailed, call } from '../net/api.js';
import { el, pictureOf, timeOf, written } from '../page/dom.js';
import { nameOf } from '../page/projection.js';
import { reasonOf, text } from '../page/texts.js';
import { choose, show, sure } from './dialogs.js';

const EMOJI = ['👍', '❤️', '😂', '🎉', '😮', '😢', '🙏', '👀', '✅', '❌', '🔥', '🚀', '👎', '🤔', '💯', '😊'];
const MAX_EDITS = 500;

export async function chooseReaction({ view }, row) {
  const chosen = await choose(text('message.react'), [...EMOJI.map((each) => [each, each]), ...ownOf(view, 'emoji')]);
  if (chosen) view.react(row, chosen);
}

/* An emoji or a sticker is put where the cursor is in what is being written, apart from the word before it. */
export async function choosePicture({ view }) {
  const chosen = await choose(text('composer.pictures'), [...ownOf(view, 'stickers'), ...EMOJI.map((each) => [each, each]), ...ownOf(view, 'emoji')]);
  if (!chosen) return;
  const { composer, composer: { box } } = view;
  const gap = /\S$/.test(box.value.slice(0, box.selectionStart)) ? ' ' : '';
  box.setRangeText(gap + chosen, box.selectionStart, box.selectionEnd, 'end');
  composer.typed();
  composer.focus();
}

/* The emoji or stickers of the space, as `choose` takes them; of two of one name the one that is shown. */
function ownOf(view, kind) {
  const found = (view.details[kind] ?? []).filter((each) => view.ownPictures.get(each.name) === each.image);
  return found.map((each) => [`:${each.name}:`, pictureOf(each.name, each.image), kind]);
}

export async function remove({ view }, row) {
  if (await sure(text('message.sure_delete'), text('message.delete'))) view.act('delete-message', { room_id: view.roomId, message_id: nameOf(row.message, view.me) });
}

/* Who wrote what and when, the oldest first. */
export async function showHistory({ view }, { message }) {
  const edits = [];
  let problem = '';
  try {
    for (let after = 0; edits.length < MAX_EDITS; after = edits.at(-1).number) {
      const page = (await call('GET', `/v1/rooms/${view.roomId}/messages/${message.id}/edits?after=${after}&limit=100`)).edits;
      edits.push(...page);
      if (page.length < 100) break;
    }
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    problem = text('error.any', { reason: reasonOf(error) || text('status.offline') });
  }
  const texts = [...edits.map((each) => each.content), message.content ?? text('message.deleted')];
  const times = [message.created_at_ms, ...edits.map((each) => each.until_ms)];
  const versions = texts.map((content, place) => el('li', {}, el('p', { class: 'from' }, view.authorOf(message), ' · ', timeOf(times[place], true)),
    el('p', { class: 'body', dir: 'auto' }, ...written(content, (id) => view.model.nameOf(id), view.me, view.ownPictures))));
  await show(text('message.history'), problem ? el('p', { class: 'problem' }, problem) : el('ol', { class: 'versions' }, ...versions));
}
