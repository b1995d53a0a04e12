import type { RolloutParts } from './parts.ts';
import { MAX_REFUSED, type PinnedTo, parseState, type RefusedCandidate, type TrialState, writeState } from './state.ts';
import { createStateFile } from './state-file.ts';

/** What a rollout remembers, also over a restart. */
export interface RolloutMemory {
  load(): Promise<void>;
  /** Writes it down, with where the trial stands; `as_before`: nothing was staged since the start. */
  save(trial: TrialState | 'as_before' | undefined): void;
  settled(): Promise<void>;
  isPersisted(): boolean;
  /** Why no canary may run: the state was not read, or is damaged. */
  blocked(): string | undefined;
  /** Begins with an empty state, at a person's word. */
  forget(): void;
  salt(): string;
  pin(): PinnedTo | undefined;
  setPin(pin: PinnedTo | undefined): void;
  refused(): readonly RefusedCandidate[];
  refuse(candidate: RefusedCandidate): void;
  refuses(sha256: string): boolean;
  refusalOf(sha256: string | undefined): RefusedCandidate | undefined;
  /** Lets one in again that was refused; `false` where it was not. */
  pardon(sha256: string): boolean;
  isPardoned(sha256: string): boolean;
  /** Whether a verified caller ever had a tenant. */
  readonly hasTenants: () => boolean;
  readonly noteTenants: () => void;
  /**
   * The later of the clock and the newest time that was ever seen here, so that a clock that is set back revives nothing;
   * `Infinity` where that is not known because the state is damaged or was not read.
   */
  readonly nowEpochMs: () => number;
  /** Where its trial stood before. */
  trialOf(sha256: string): TrialState | undefined;
}

export function createMemory({
  config,
  stateFile,
  newSalt,
  logger,
  clock,
}: Pick<RolloutParts, 'config' | 'stateFile' | 'newSalt' | 'logger' | 'clock'>): RolloutMemory {
  const file =
    stateFile === undefined
      ? undefined
      : createStateFile(stateFile, (error) =>
          logger.limited('rollout_state', 'error', { error }, 'the state of the rollout could not be written'),
        );
  const refused = new Map<string, RefusedCandidate>();
  const pardoned = new Set<string>();
  let ownSalt = '';
  let tenants = false;
  let newestEpochMs = 0;
  let pin: PinnedTo | undefined;
  let trial: TrialState | undefined;
  let blocked: string | undefined = 'the state of the rollout was not read yet';

  function begin(): void {
    blocked = undefined;
    if (ownSalt === '') ownSalt = newSalt();
  }

  function nowEpochMs(): number {
    newestEpochMs = Math.max(newestEpochMs, Math.floor(clock.now().epochMs));
    return blocked === undefined ? newestEpochMs : Number.POSITIVE_INFINITY;
  }

  return {
    load: async () => {
      try {
        const text = await file?.read();
        if (text !== undefined) {
          const state = parseState(text);
          ownSalt = state.salt;
          tenants ||= state.tenants === true;
          newestEpochMs = Math.max(newestEpochMs, state.newestEpochMs ?? 0);
          pin = state.pin;
          trial = state.trial;
          for (const one of state.refused) refused.set(one.sha256, one);
          for (const sha256 of state.pardoned) pardoned.add(sha256);
        }
        begin();
      } catch (error) {
        ownSalt = newSalt();
        blocked = `the state of the rollout in \`${stateFile}\` is damaged: resume by hand to begin with an empty one`;
        logger.error(
          { error, file: stateFile },
          'the state of the rollout is damaged: no candidate decides for anybody',
        );
      }
    },
    save: (now) => {
      if (now !== 'as_before') trial = now;
      // A damaged state is evidence until a person lets go of it.
      if (blocked !== undefined) return;
      file?.write(
        writeState({
          salt: ownSalt,
          refused: [...refused.values()],
          pardoned: [...pardoned],
          ...(tenants ? { tenants } : {}),
          newestEpochMs: nowEpochMs(),
          ...(pin === undefined ? {} : { pin }),
          ...(trial === undefined ? {} : { trial }),
        }),
      );
    },
    settled: async () => file?.settled(),
    isPersisted: () => file?.isWritten() === true && blocked === undefined,
    blocked: () => blocked,
    forget: begin,
    salt: () => config.salt ?? ownSalt,
    pin: () => pin,
    setPin: (to) => {
      pin = to;
    },
    refused: () => [...refused.values()],
    refuse: (candidate) => {
      refused.delete(candidate.sha256);
      const [oldest] = refused.keys();
      if (refused.size >= MAX_REFUSED && oldest !== undefined) refused.delete(oldest);
      refused.set(candidate.sha256, candidate);
    },
    refuses: (sha256) => refused.has(sha256),
    refusalOf: (sha256) => (sha256 === undefined ? undefined : refused.get(sha256)),
    pardon: (sha256) => {
      if (!refused.delete(sha256)) return false;
      const [oldest] = pardoned;
      if (pardoned.size >= MAX_REFUSED && oldest !== undefined) pardoned.delete(oldest);
      pardoned.add(sha256);
      return true;
    },
    isPardoned: (sha256) => pardoned.has(sha256),
    hasTenants: () => tenants,
    noteTenants: () => {
      tenants = true;
    },
    nowEpochMs,
    trialOf: (sha256) => (trial?.sha256 === sha256 ? trial : undefined),
  };
}
