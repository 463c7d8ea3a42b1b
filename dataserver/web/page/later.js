/* What the first paint and the open room do without: the modules of `later/`. They are fetched when the page has nothing
 * else to do, and are then kept with it for offline; whoever asks for one sooner has it fetched at once. */

const NAMES = ['account', 'dialogs', 'groups', 'messages', 'moves', 'panels', 'people', 'settings_sync', 'space', 'space_changes', 'spaces'];
const IDLE_WITHIN_MS = 5000;
const AGAIN_MS = 5000;

let styles = null;

export async function later(name) {
  const [module] = await Promise.all([import(`../later/${name}.js`), styled()]);
  return module;
}

function styled() {
  styles ??= new Promise((resolve, reject) => {
    const link = document.createElement('link');
    Object.assign(link, { rel: 'stylesheet', href: '/web/later/later.css', onload: resolve, onerror: () => reject(new Error('no styles')) });
    document.head.append(link);
  }).catch((error) => {
    styles = null; // the next one tries again
    throw error;
  });
  return styles;
}

/* Fetch them all, once nothing else is to be done. */
export async function preload() {
  const soon = window.requestIdleCallback ?? setTimeout; // Safari has none
  await new Promise((then) => { soon(then, { timeout: IDLE_WITHIN_MS }); });
  performance.mark('later'); // what is fetched from here on is not what the page began with
  for (const each of NAMES) while (!(await isHere(each))) await new Promise((then) => { setTimeout(then, AGAIN_MS); });
}

function isHere(name) {
  return later(name).catch((error) => console.info('not fetched', name, error.name));
}
