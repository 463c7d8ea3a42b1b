/* Starts the page, and the worker that opens it without a connection. */

import './app.js';
import { preload } from './later.js';

const KEPT = 'chat-page';

async function begin() {
  const app = document.querySelector('chat-app');
  await app.opened;
  await preload();
  for (const each of ['people', 'settings_sync', 'space_changes']) await app.use(each, 'follow');
  if (!('serviceWorker' in navigator)) return;
  const address = '/service_worker.js';
  const policy = window.trustedTypes?.createPolicy('own-scripts', { createScriptURL: () => address });
  await navigator.serviceWorker.register(policy ? policy.createScriptURL(address) : address, { scope: '/' });
  const kept = await caches.open(KEPT);
  const own = performance.getEntriesByType('resource').map((each) => new URL(each.name)).filter((each) => each.origin === location.origin && each.pathname.startsWith('/web/'));
  await kept.addAll([...new Set(own.map((each) => each.pathname))]);
  performance.mark('kept');
}

begin().catch((error) => console.info('the page is not kept for offline', error.name));
