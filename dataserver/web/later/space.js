/* The panel of a space: its name, what its roles are called, its own emoji and stickers, invites, and leaving it. */

import './words.js';
import { newId } from '../outbox/rules.js';
import { button, el, isPicture, pictureOf } from '../page/dom.js';
import { RANKS, shownSpace } from '../page/projection.js';
import { text } from '../page/texts.js';
import { labelled, sure, tell, valuesOf } from './dialogs.js';
import { asAddress } from './pictures.js';

const MAX_ADDRESS_CHARACTERS = 1000;
const SIZES_PX = { emoji: [48, 32, 24, 16], stickers: [128, 96, 64, 48, 32] };

export async function fillSpace(panel) {
  const { app, about: spaceId } = panel;
  const space = shownSpace(app.model.spaces.get(spaceId), app.outbox.listed());
  const mayChange = RANKS[space.role] >= RANKS.admin;
  const parts = el('div', {});
  panel.content.append(parts);
  try {
    await app.model.loadDetails(spaceId);
  } catch (error) {
    console.info('settings of the space were not read', error.code);
  }
  parts.append(el('p', { class: 'told' }, text('space.id', { id: spaceId })));
  if (mayChange) parts.append(general(app, space));
  if (mayChange && app.model.details.has(spaceId)) parts.append(pictures(app, space, 'emoji'), pictures(app, space, 'stickers'));
  const old = [...app.model.rooms.values()].filter((each) => each.space === spaceId && each.archived_at_ms);
  if (old.length) parts.append(el('section', {}, el('h3', {}, text('space.archived')), el('div', { class: 'rows' }, ...old.map((each) => button(`# ${each.name}`, () => app.openRoom(each.id))))));
  parts.append(coming(app, space));
  if (mayChange) panel.querySelector('input')?.focus();
}

/* `base`: what the fields were when the user changed them. */
function change(app, { id, version }, fields, base) {
  app.act('update-space', { space_id: id, fields, base_version: version, base });
}

function general(app, space) {
  const details = app.model.detailsOf(space.id);
  const seen = { id: space.id, version: Math.min(space.version, details.version ?? Infinity) };
  let called = namesIn(details.role_names);
  const fields = {
    name: { label: text('dialog.name'), value: space.name, required: true, most: 100 },
    description: { label: text('dialog.description'), value: space.description ?? '', type: 'textarea' },
    ...Object.fromEntries(Object.keys(RANKS).map((role) => [role, { label: text('space.role_name', { role: text(`role.${role}`) }), value: called[role] ?? '', most: 50 }])),
  };
  const before = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
  const form = el('form', { onsubmit: (event) => {
    event.preventDefault();
    const said = valuesOf(form, fields);
    const changed = Object.entries(said).filter(([name, value]) => value !== before[name]);
    const plain = Object.fromEntries(changed.filter(([name]) => !(name in RANKS)));
    const roles = Object.fromEntries(Object.keys(RANKS).filter((role) => said[role] || called[role]).map((role) => [role, said[role] || null]));
    if (changed.some(([name]) => name in RANKS)) plain.role_names = roles; // all of them: of two changes that become one the later is kept
    if (!Object.keys(plain).length) return;
    change(app, seen, plain, Object.fromEntries(Object.keys(plain).map((name) => [name, name === 'role_names' ? called : before[name]])));
    Object.assign(before, said);
    called = namesIn(roles);
  } }, ...Object.entries(fields).map(([name, field]) => labelled(name, field)), el('button', { type: 'submit', class: 'primary' }, text('dialog.save')));
  /* What did not count still stands in the form: whoever saves it again means it. */
  const learn = ({ detail }) => {
    if (!form.isConnected) app.removeEventListener('space.merged', learn);
    else if (detail.id === space.id) for (const each of detail.conflicts) if (each.was_mine) lose(each);
  };
  const lose = ({ name, kept }) => {
    if (name in before) before[name] = kept;
    if (name !== 'role_names') return;
    called = namesIn(kept);
    for (const role of Object.keys(RANKS)) before[role] = called[role] ?? '';
  };
  app.addEventListener('space.merged', learn);
  const open = labelled('is_open', { label: text('dialog.open'), type: 'checkbox', value: space.is_open });
  open.querySelector('input').addEventListener('change', async (event) => {
    const wanted = event.target.checked;
    if (!(await app.now('PUT', `/v1/spaces/${space.id}/open`, { client_id: newId(), is_open: wanted }))) event.target.checked = !wanted;
    await app.model.reload();
  });
  return el('section', {}, el('h3', {}, text('space.general')), form, open);
}

function namesIn(roles) {
  return Object.fromEntries(Object.entries(roles ?? {}).filter(([, name]) => name !== null));
}

/* The list of emoji or stickers, each a small picture with a name. */
function pictures(app, space, kind) {
  const list = el('ul', { class: 'pictures' });
  const problem = el('p', { class: 'problem', role: 'alert' });
  const present = () => app.model.detailsOf(space.id)[kind] ?? [];
  const set = (found) => {
    change(app, app.model.detailsOf(space.id), { [kind]: found }, { [kind]: present() });
    showAll();
  };
  let listed;
  const showAll = () => {
    listed = namesOf(present());
    list.replaceChildren(...present().map((each) => el('li', {}, isPicture(each.image) ? pictureOf(each.name, each.image) : '', el('span', { class: 'who', dir: 'auto' }, each.name),
      button('✕', () => set(present().filter((other) => other.name !== each.name)), { 'aria-label': text('space.remove', { name: each.name }) }))));
  };
  const namesOf = (found) => found.map((each) => each.name).join('\n');
  const follow = () => {
    if (!list.isConnected) for (const each of [app.model, app.outbox]) each.removeEventListener('change', follow);
    else if (listed !== namesOf(present())) showAll();
  };
  const name = el('input', { name: 'picture', required: true, maxLength: 62, pattern: '[^:\\s]+', autocomplete: 'off' });
  const file = el('input', { type: 'file', accept: 'image/png,image/jpeg,image/gif,image/webp', required: true });
  const form = el('form', { onsubmit: async (event) => {
    event.preventDefault();
    problem.textContent = '';
    if (present().some((each) => each.name === name.value)) {
      problem.textContent = text('space.taken');
      return;
    }
    const image = await asAddress(file.files[0], SIZES_PX[kind], MAX_ADDRESS_CHARACTERS);
    if (!image) {
      problem.textContent = text('space.no_picture');
      return;
    }
    set([...present(), { name: name.value, image }]);
    form.reset();
  } }, el('label', {}, text('space.picture_name'), name), el('label', {}, text('space.picture_file'), file), el('button', { type: 'submit' }, text('space.add')));
  showAll();
  for (const each of [app.model, app.outbox]) each.addEventListener('change', follow);
  return el('section', { class: kind }, el('h3', {}, text(`space.${kind}`)), list, form, problem);
}

function coming(app, space) {
  const invite = async () => {
    const made = await app.now('POST', `/v1/spaces/${space.id}/invites`, { client_id: newId() });
    if (made) await tell(text('dialog.invite'), text('dialog.invited', { secret: made.secret }));
  };
  const leave = async () => {
    if (!(await sure(text('space.sure_leave', { name: space.name }), text('space.leave')))) return;
    app.act('leave-space', { space_id: space.id, was: true });
    app.closePanel();
  };
  const end = async () => {
    if (!(await sure(text('space.sure_end', { name: space.name }), text('space.end')))) return;
    if (!(await app.now('DELETE', `/v1/spaces/${space.id}?client_id=${newId()}`))) return;
    app.closePanel();
    await app.model.reload();
  };
  return el('section', {}, el('h3', {}, text('space.invites')), el('div', { class: 'rows' }, button(text('dialog.invite'), invite), button(text('space.leave'), leave), space.role === 'owner' && button(text('space.end'), end)));
}
