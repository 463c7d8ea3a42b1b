/* What did not count of a change that two made, in words. */

import { text } from '../page/texts.js';
import { canonical } from './settings_document.js';

const SHOWN_CHARACTERS = 200;

export function summaryOf(value) {
  if (value === null) return text('settings.gone');
  if (Array.isArray(value) && value.every((each) => each?.name)) return value.map((each) => each.name).join(', ').slice(0, SHOWN_CHARACTERS);
  return canonical(value).slice(0, SHOWN_CHARACTERS);
}
