/* The words that the page begins with; `later/words.js` has all others. A translation is other objects of the same names;
 * `text` fills in what stands in braces. */

const WORDS = {
  title: 'Chat',
  'sign_in.title': 'Sign in', 'sign_in.name': 'Name', 'sign_in.password': 'Password', 'sign_in.display_name': 'Display name (optional)', 'sign_in.go': 'Sign in',
  'sign_in.register': 'Make an account', 'sign_in.to_register': 'No account yet? Make one', 'sign_in.to_sign_in': 'You have an account? Sign in',
  'sign_in.expired': 'Your session has ended. Sign in again: what waits goes on.', 'sign_in.wrong': 'Name and password do not belong together.',
  'sign_in.offline': 'The server cannot be reached.',
  'side.label': 'Spaces and channels', 'side.new_space': 'New space', 'side.join': 'Join a space', 'side.new_channel': 'New channel in {name}',
  'side.new_folder': 'New folder', 'side.direct': 'Direct messages', 'side.unread': '{count} unread', 'side.settings': 'Settings of {name}',
  'side.move_help': 'Alt and arrow keys move it, with Shift into or out of folders and groups.', 'side.menu': 'Menu',
  'side.profile': 'Profile of {name}', 'side.sign_out': 'Sign out', 'side.empty': 'You are in no space yet. Make one, or join one by its id.',
  'side.new_group': 'New group in {name}', 'side.group': 'Group {name}', 'side.change_group': 'Change the group {name}',
  'room.empty': 'Nothing has been said here yet.', 'room.none': 'Choose a channel.', 'room.messages': 'Messages in {name}', 'room.loading': 'Loading…',
  'room.newest': 'To the newest', 'room.typing': '{names} typing…', 'room.new': 'New message from {name}: {content}',
  'room.archived': 'This channel is archived.', 'room.settings': 'Change the channel {name}',
  'message.sending': 'Sending…', 'message.failed': 'Failed to send: {reason}', 'message.retry': 'Retry', 'message.delete': 'Delete', 'message.edited': '(edited)',
  'message.deleted': 'This message was deleted.', 'message.pinned': 'Pinned', 'message.reply': 'Reply', 'message.edit': 'Edit', 'message.react': 'React',
  'message.pin': 'Pin', 'message.unpin': 'Unpin', 'message.bookmark': 'Bookmark', 'message.unbookmark': 'Unbookmark',
  'message.answered': 'In answer to {name}: {content}', 'message.answered_unknown': 'In answer to an earlier message', 'message.reaction': '{emoji}: {count}',
  'message.actions': 'What to do with the message', 'message.history': 'What it said before',
  'composer.label': 'Message to {name}', 'composer.send': 'Send', 'composer.replying': 'Replying to {name}', 'composer.editing': 'Editing a message',
  'composer.too_long': 'The message has {size} bytes; at most {most} are allowed.', 'composer.names': 'Members to mention', 'composer.pictures': 'Emoji and stickers',
  'outbox.full': 'Too much is waiting to be sent. Your text was kept.',
  'outbox.no_space': 'This browser has no space left to keep what you send. Your text was kept.', 'outbox.unstored': 'What you did could not be kept ({reason}).',
  'status.offline': "You're offline", 'status.offline_queued': "You're offline - {count} actions queued",
  'status.offline_one': "You're offline - 1 action queued", 'status.syncing': 'Syncing ({count} pending)',
  'status.expired': 'Your session has ended: sign in again', 'status.failed': '{count} failed', 'status.show': 'Show',
  'panel.members': 'Members', 'panel.pins': 'Pins', 'panel.search': 'Search', 'panel.actions': 'Pending', 'panel.bookmarks': 'Bookmarks', 'panel.close': 'Close', 'panel.account': 'You', 'panel.space': 'Space',
  'dialog.cancel': 'Cancel',
  'error.any': 'That did not work: {reason}', 'error.not_here': 'This part of the page is not here: try again when there is a connection.',
  'app.skip': 'To the messages',
  'bookmarks.full': 'There are {most} bookmarks: no more are kept.',
};

export function addWords(more) {
  Object.assign(WORDS, more);
}

export function text(name, values = {}) {
  const found = WORDS[name] ?? name;
  return found.replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ''));
}

/* Whole words for what the server says; its own words where there are none. */
export function reasonOf(failure) {
  return failure?.message || failure?.code || '';
}
