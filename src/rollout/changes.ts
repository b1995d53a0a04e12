import type { RolloutMemory } from './memory.ts';
import type { RolloutParts } from './parts.ts';
import type { RolloutAnswer } from './status.ts';
import type { Trial } from './trial.ts';

/** What a person may do; each is logged with who did it. */
export interface Changes {
  /** `stable`: no candidate decides, until unpinned. `candidate`: it decides for all verified, whatever the rails say. */
  pin(to: 'stable' | 'candidate', by: ByHand): RolloutAnswer;
  unpin(by: ByHand): RolloutAnswer;
  /** It stays at its percentage. */
  pause(by: ByHand): RolloutAnswer;
  /** Goes on after a pause; with a digest, lets one in again that was taken back; begins anew after a damaged state. */
  resume(by: ByHand, sha256?: string): RolloutAnswer;
  /** Takes the candidate back, also where that would not happen by itself. */
  abort(by: ByHand): RolloutAnswer;
}

export interface ByHand {
  /** Who, such as the beginning of a token's digest. */
  readonly by: string;
  readonly reason?: string;
}

export interface ChangesParts {
  readonly logger: RolloutParts['logger'];
  readonly memory: RolloutMemory;
  readonly trial: () => Trial | undefined;
  readonly apply: () => void;
  readonly persist: () => void;
  readonly abort: (trial: Trial, reason: string) => void;
}

export function createChanges({ logger, memory, trial, apply, persist, abort }: ChangesParts): Changes {
  function changed(action: string, { by, reason }: ByHand, fields: object = {}): RolloutAnswer {
    logger.warn({ action, by, reason, ...fields }, 'the rollout was changed by hand');
    apply();
    persist();
    const on = trial();
    return { status: 200, body: { action, ...(on === undefined ? {} : { state: on.state, percent: on.percent() }) } };
  }

  return {
    pin: (to, by) => {
      const on = trial();
      if (memory.blocked() !== undefined) return conflict('state_damaged', memory.blocked() ?? '');
      if (to === 'stable') memory.setPin({ to });
      else if (on === undefined) return NOTHING;
      else memory.setPin({ to, sha256: on.candidate.sha256 });
      return changed('pin', by, { to });
    },
    unpin: (by) => {
      if (memory.pin() === undefined) return conflict('not_pinned', 'nothing is pinned');
      memory.setPin(undefined);
      trial()?.beginAnew();
      return changed('unpin', by);
    },
    pause: (by) => {
      const on = trial();
      if (on === undefined) return NOTHING;
      if (on.paused !== undefined) return conflict('already_paused', 'it is paused already');
      on.paused = textOf('paused by hand', by);
      return changed('pause', by);
    },
    resume: (by, sha256) => {
      if (memory.blocked() !== undefined) {
        memory.forget();
        return changed('resume', by);
      }
      if (sha256 !== undefined) {
        if (!memory.pardon(sha256)) return conflict('not_refused', 'no such candidate was taken back');
        return changed('resume', by, { sha256 });
      }
      const on = trial();
      if (on === undefined) return NOTHING;
      if (on.paused === undefined && on.tripped === undefined) return conflict('not_paused', 'it is not paused here');
      on.paused = undefined;
      on.beginAnew();
      return changed('resume', by);
    },
    abort: (by) => {
      const on = trial();
      if (on === undefined) return NOTHING;
      abort(on, textOf('aborted by hand', by));
      return changed('abort', by);
    },
  };
}

const NOTHING = conflict('nothing_under_trial', 'there is no candidate');

function conflict(reason: string, detail: string): RolloutAnswer {
  return { status: 409, reason, detail };
}

function textOf(what: string, { by, reason }: ByHand): string {
  return reason === undefined ? `${what} (${by})` : `${what} (${by}): ${reason}`;
}
