/* Questions to the user: small forms in the browser's own dialogs, which hold the focus and close by Escape. */

import './words.js';
import { button, el } from '../page/dom.js';
import { text } from '../page/texts.js';

/* Show a form; resolves to its values, null if it was left. `fields`: {name: {label, value, type, required, most}}. */
export function ask(title, fields, go = text('dialog.save')) {
  const inputs = Object.entries(fields).map(([name, field]) => labelled(name, field));
  return opened(title, inputs, go, (form) => valuesOf(form, fields));
}

export function labelled(name, field) {
  const properties = { name, required: field.required, dir: 'auto', autocomplete: field.autocomplete ?? 'off', maxLength: field.most ?? 1000 };
  const input = field.type === 'textarea' ? el('textarea', { rows: 3, ...properties }) : el('input', { type: field.type ?? 'text', ...properties });
  if (field.type === 'checkbox') input.checked = Boolean(field.value);
  else input.value = field.value ?? '';
  return el('label', { class: field.type ?? 'text' }, field.label, input);
}

export function valuesOf(form, fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => {
    const input = form.elements[name];
    if (field.type === 'password') return [name, input.value];
    return [name, field.type === 'checkbox' ? input.checked : input.value.trim()];
  }));
}

export async function sure(question, go = text('dialog.ok')) {
  return (await opened(question, [], go, () => true)) === true;
}

/* Words to be read and copied. */
export function tell(title, words) {
  return show(title, el('p', { class: 'told' }, words));
}

export function show(title, ...children) {
  return opened(title, children, null, () => true);
}

/* One of several things, each [value, what is shown, its class]; null if it was left. */
export function choose(title, things) {
  if (isAsked()) return Promise.resolve(null);
  return new Promise((resolve) => {
    let chosen = null;
    const dialog = el('dialog', { class: 'emoji', 'aria-label': title, onclose: () => { dialog.remove(); resolve(chosen); } },
      ...things.map(([value, shown, kind = null]) => button(shown, () => { chosen = value; dialog.close(); }, { 'aria-label': value, class: kind })));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/* Who presses a button twice before its question is there is asked once. */
function isAsked() {
  return document.querySelector('dialog') !== null;
}

let count = 0;

function opened(title, children, go, valuesOfForm) {
  if (isAsked()) return Promise.resolve(null);
  return new Promise((resolve) => {
    let values = null;
    count += 1;
    const id = `dialog-${count}`;
    const buttons = go === null
      ? [el('button', { type: 'submit', class: 'primary' }, text('dialog.close'))]
      : [button(text('dialog.cancel'), () => dialog.close()), el('button', { type: 'submit', class: 'primary' }, go)];
    const form = el('form', { method: 'dialog' }, el('h2', { id }, title), ...children, el('div', { class: 'buttons' }, ...buttons));
    const dialog = el('dialog', { 'aria-labelledby': id, onclose: () => { dialog.remove(); resolve(values); } }, form);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      values = valuesOfForm(form);
      dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
