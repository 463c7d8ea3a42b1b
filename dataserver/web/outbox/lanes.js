/* Lanes: who may claim one, how long a prefix of it, whose reports count, and when it is due again. */

const CAREFUL_COUNT = 16;

export const NEW_LANE = {
  priority: 0, due_ms: null, fence: 0, owner: null, claimed_to: null, lapsed_to: null, careful: 0, paused: 0, blocked_by: null,
};

export function isClaimable(lane, nowMs) {
  return lane.paused === 0 && lane.due_ms !== null && lane.due_ms <= nowMs;
}

/* What lanes are claimed in the order of: each step of priority is worth so much waiting. */
export function rankMs(lane, ageingMs) {
  return (lane.due_ms ?? 0) + lane.priority * ageingMs;
}

/* A claimable lane that holds the actions `inLane`, in order, as claimed by `owner`: a prefix of at most `most`. */
export function claimed(lane, owner, untilMs, inLane, most) {
  const hasLapsed = lane.owner !== null;
  const covered = inLane.slice(0, hasLapsed || lane.careful > 0 ? 1 : most);
  return {
    ...lane,
    owner,
    fence: lane.fence + 1,
    due_ms: untilMs,
    claimed_to: covered.at(-1) ?? null,
    lapsed_to: hasLapsed ? lane.claimed_to : null,
    careful: hasLapsed ? CAREFUL_COUNT : Math.max(lane.careful - 1, 0),
  };
}

export function accepts(lane, fence) {
  return lane.fence === fence && lane.owner !== null;
}

/* The lane given back by the claim with this fence, if that still holds; `hasMore`: it is not empty. */
export function released(lane, fence, rest, hasMore) {
  if (!accepts(lane, fence)) return lane;
  return {
    ...lane,
    owner: null,
    claimed_to: null,
    lapsed_to: null,
    careful: Math.max(lane.careful, rest.careful),
    blocked_by: rest.blocked_by,
    due_ms: hasMore && rest.blocked_by === null ? rest.due_ms : null,
  };
}

/* How a lane is given back whose last action `actionId` ended with `verdict`, null if it had none. */
export function restAfter(verdict, actionId, nowMs) {
  if (verdict === null || verdict.lane === 'goes on') return { due_ms: nowMs, blocked_by: null, careful: 0 };
  if (verdict.lane === 'is blocked') return { due_ms: nowMs, blocked_by: actionId, careful: 0 };
  return { due_ms: nowMs + Math.trunc(1000 * verdict.wait_s), blocked_by: null, careful: 1 };
}
