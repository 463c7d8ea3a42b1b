/* All words of the page. A translation is another object of the same names; `text` fills in what stands in braces. */

const ENGLISH = {
  title: 'Chat',
  'sign_in.title': 'Sign in', 'sign_in.name': 'Name', 'sign_in.password': 'Password', 'sign_in.display_name': 'Display name (optional)',
  'sign_in.go': 'Sign in', 'sign_in.register': 'Make an account', 'sign_in.to_register': 'No account yet? Make one',
  'sign_in.to_sign_in': 'You have an account? Sign in', 'sign_in.expired': 'Your session has ended. Sign in again: what waits goes on.',
  'sign_in.wrong': 'Name and password do not belong together.', 'sign_in.offline': 'The server cannot be reached.',
  'side.label': 'Spaces and channels', 'side.new_space': 'New space', 'side.join': 'Join a space', 'side.new_channel': 'New channel in {name}',
  'side.new_folder': 'New folder', 'side.direct': 'Direct messages', 'side.unread': '{count} unread', 'side.settings': 'Settings of {name}',
  'side.move_help': 'Alt and arrow keys move the space, with Shift into or out of folders.',
  'side.rename_folder': 'Name of the folder', 'side.moved': '{name}: place {place}', 'side.menu': 'Menu',
  'side.profile': 'Profile of {name}', 'side.sign_out': 'Sign out', 'side.sure_sign_out': '{count} actions were not sent and would be lost.', 'side.empty': 'You are in no space yet. Make one, or join one by its id.',
  'room.empty': 'Nothing has been said here yet.', 'room.none': 'Choose a channel.', 'room.messages': 'Messages in {name}', 'room.loading': 'Loading…',
  'room.newest': 'To the newest', 'room.typing': '{names} typing…', 'room.new': 'New message from {name}: {content}', 'room.archived': 'This channel is archived.',
  'message.sending': 'Sending…', 'message.failed': 'Failed to send: {reason}', 'message.retry': 'Retry', 'message.delete': 'Delete',
  'message.edited': '(edited)', 'message.deleted': 'This message was deleted.', 'message.pinned': 'Pinned', 'message.reply': 'Reply', 'message.edit': 'Edit',
  'message.react': 'React', 'message.pin': 'Pin', 'message.unpin': 'Unpin', 'message.bookmark': 'Bookmark', 'message.unbookmark': 'Unbookmark', 'message.answered': 'In answer to {name}: {content}',
  'message.answered_unknown': 'In answer to an earlier message', 'message.reaction': '{emoji}: {count}', 'message.actions': 'What to do with the message',
  'message.sure_delete': 'Delete this message?',
  'composer.label': 'Message to {name}', 'composer.send': 'Send', 'composer.replying': 'Replying to {name}', 'composer.editing': 'Editing a message',
  'composer.too_long': 'The message has {size} bytes; at most {most} are allowed.', 'composer.names': 'Members to mention',
  'outbox.full': 'Too much is waiting to be sent. Your text was kept.',
  'outbox.no_space': 'This browser has no space left to keep what you send. Your text was kept.',
  'outbox.unstored': 'What you did could not be kept ({reason}).',
  'status.offline': "You're offline", 'status.offline_queued': "You're offline - {count} actions queued", 'status.offline_one': "You're offline - 1 action queued",
  'status.syncing': 'Syncing ({count} pending)', 'status.expired': 'Your session has ended: sign in again', 'status.failed': '{count} failed', 'status.show': 'Show',
  'panel.members': 'Members', 'panel.pins': 'Pins', 'panel.search': 'Search', 'panel.actions': 'Pending', 'panel.bookmarks': 'Bookmarks', 'panel.close': 'Close',
  'panel.nothing': 'Nothing here.', 'panel.search_for': 'Search messages', 'panel.muted': 'muted',
  'member.kick': 'Remove', 'member.mute': 'Mute', 'member.unmute': 'Unmute', 'member.message': 'Message', 'member.sure_kick': 'Remove {name} from this space?', 'member.you': '(you)', 'member.role': 'Role of {name}',
  'action.tries': 'failed tries: {count}',
  'role.owner': 'Owner', 'role.admin': 'Admin', 'role.moderator': 'Moderator', 'role.member': 'Member',
  'state.queued': 'waiting', 'state.calling': 'being sent', 'state.uncertain': 'asking whether it arrived', 'state.retry_wait': 'will be tried again',
  'state.paused': 'waiting for sign-in', 'state.failed': 'failed: {reason}',
  'type.send-message': 'Message', 'type.edit-message': 'Edit', 'type.delete-message': 'Deletion', 'type.reaction': 'Reaction {emoji}', 'type.pin-message': 'Pin', 'type.unpin-message': 'Unpin',
  'type.update-profile': 'Profile', 'type.update-space': 'Space settings', 'type.kick-user': 'Removal of a member', 'type.mute-user': 'Mute', 'type.unmute-user': 'Unmute',
  'type.join-space': 'Joining a space', 'type.leave-space': 'Leaving a space',
  'dialog.save': 'Save', 'dialog.cancel': 'Cancel', 'dialog.ok': 'OK', 'dialog.name': 'Name', 'dialog.description': 'Description', 'dialog.topic': 'Topic', 'dialog.open': 'Whoever knows its id may join',
  'dialog.space_id': 'Id of the space or secret of an invite', 'dialog.display_name': 'Display name', 'dialog.about': 'About you', 'dialog.leave': 'Leave the space', 'dialog.space_settings': 'Settings of the space',
  'dialog.profile': 'Your profile', 'dialog.invite': 'Make an invite', 'dialog.invited': 'Whoever has this secret may join: {secret}',
  'error.any': 'That did not work: {reason}', 'app.skip': 'To the messages',
};

export function text(name, values = {}) {
  const found = ENGLISH[name] ?? name;
  return found.replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ''));
}

/* Whole words for what the server says; its own words where there are none. */
export function reasonOf(failure) {
  return failure?.message || failure?.code || '';
}
