import { createHash } from 'node:crypto';
import type { StartTimer } from '../decision/ports.ts';
import type { Shelf } from './catalog.ts';

/** `GET /v1/bundles/:name/orders`, made once for everybody who asks. */
export interface OrderAnswer {
  readonly etag: string;
  readonly body: string;
}

/**
 * What is answered of orders. A new order is there at once; trips change an answer once a second at most, however many
 * instances report, since each change is sent to the whole fleet.
 */
export interface OrderAnswers {
  /** `undefined`: there is no such bundle. */
  answer(bundle: string): OrderAnswer | undefined;
  /** To be called when somebody's trips on a candidate of that bundle changed. */
  noteTrips(bundle: string): void;
  stop(): void;
}

export interface OrderAnswersPorts {
  readonly shelfOf: (bundle: string) => Pick<Shelf, 'order'> | undefined;
  /** The first `enough` instances that tripped, none while there are fewer. */
  readonly tripsOf: (bundle: string, sha256: string, enough: number) => readonly string[];
  /** Told of a bundle whose answer another number of trips changed. */
  readonly onChange: (bundle: string) => void;
  readonly startTimer: StartTimer;
}

export function createOrderAnswers({ shelfOf, tripsOf, onChange, startTimer }: OrderAnswersPorts): OrderAnswers {
  /** The last answers, with the order that each was made of. */
  const answers = new Map<string, OrderAnswer & { readonly order: Shelf['order'] }>();
  /** Ends the rest of a bundle whose trips were looked at just now. */
  const resting = new Map<string, () => void>();
  /** Bundles whose trips changed again while they rest. */
  const late = new Set<string>();

  function make(bundle: string, shelf: Pick<Shelf, 'order'>) {
    const { order, jws = null } = shelf.order ?? {};
    const trips = order?.abortOnTrips === undefined ? [] : tripsOf(bundle, order.candidate.sha256, order.abortOnTrips);
    const etag = `"order:${order?.version ?? 0}:${trips.length === 0 ? '' : digestOfTexts(trips)}"`;
    const made = { etag, body: JSON.stringify({ order: jws, trips }), order: shelf.order };
    answers.set(bundle, made);
    return made;
  }

  function noteTrips(bundle: string): void {
    const [shelf, before] = [shelfOf(bundle), answers.get(bundle)];
    // Nobody waits for another answer than one he was given.
    if (shelf === undefined || before === undefined) return;
    if (resting.has(bundle)) {
      late.add(bundle);
      return;
    }
    const rested = (): void => {
      resting.delete(bundle);
      if (late.delete(bundle)) noteTrips(bundle);
    };
    resting.set(bundle, startTimer(REST_MS, rested));
    if (make(bundle, shelf).etag !== before.etag) onChange(bundle);
  }

  return {
    answer: (bundle) => {
      const shelf = shelfOf(bundle);
      if (shelf === undefined) return undefined;
      const present = answers.get(bundle);
      return present?.order === shelf.order && present !== undefined ? present : make(bundle, shelf);
    },
    noteTrips,
    stop: () => {
      for (const cancel of resting.values()) cancel();
      resting.clear();
      late.clear();
    },
  };
}

const REST_MS = 1000;

function digestOfTexts(texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\n')).digest('hex').slice(0, 32);
}
