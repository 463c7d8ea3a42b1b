/* Who is shown as a member, with what is on its way. Pure. */

/* The members of a space without those who are being removed, muted ones marked. */
export function shownMembers(members, actions, spaceId) {
  const byUser = new Map(members.map((each) => [each.user, each]));
  for (const { type, state, payload } of actions) {
    const found = payload.space_id === spaceId && state !== 'failed' ? byUser.get(payload.user_id) : null;
    if (!found) continue;
    if (type === 'kick-user') byUser.delete(payload.user_id);
    if (type === 'mute-user') byUser.set(payload.user_id, { ...found, muted_until_ms: Infinity });
    if (type === 'unmute-user') byUser.set(payload.user_id, { ...found, muted_until_ms: 0 });
  }
  return [...byUser.values()];
}
