import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { toNote } from '../../../src/quota/note.ts';
import { createReservationId } from '../../../src/quota/reservation-id.ts';
import { createSettlement } from '../../../src/quota/settlement/settlement.ts';
import { startSystemTimer, systemClock } from '../system-ports.ts';
import { MONTH, MONTH_PLAN, openCrashStore } from './crash-store.ts';

/**
 * Takes 500 times a second from one month's budget until it is killed; every second take holds and is settled with
 * half. Says in one line each what it begins (`take ID COST`, `hold ID AMOUNT`, `settle ID USED`) and, a turn later,
 * what was answered (`taken ID`, `settled ID`). Argument: the data folder.
 */
const { store, ledger } = openCrashStore(process.argv[2] ?? '');
const say = (line: string): void => void writeSync(1, `${line}\n`);
await store.start();
await ledger.start();
const settlement = createSettlement({
  store,
  ledger,
  clock: systemClock,
  startTimer: startSystemTimer,
  config: { settle_horizon_seconds: 900 },
  learned: () => {},
  dropCaches: () => {},
  report: () => {},
});
await settlement.start();
say('ready');
const hold = { ttlMs: 600_000, onExpiry: 'charge' } as const;
const startedMs = performance.now();
for (let nth = 0; ; nth += 1) {
  const id = createReservationId(Date.now(), randomBytes, 'tenant');
  const holds = nth % 2 === 1;
  const cost = 10 + (nth % 90);
  say(`${holds ? 'hold' : 'take'} ${id} ${cost}`);
  const charge = { terms: MONTH, cost, enforced: true, refundable: true };
  const plans = [[holds ? { ...charge, hold } : charge]];
  const answer = await store.take({ id, plans, note: toNote('tenant', 'model', [MONTH_PLAN]) }, systemClock.now());
  if (answer.kind !== 'taken') throw new Error(`a take was answered \`${answer.kind}\``);
  void finish(id, holds, Math.floor(cost / 2));
  while ((performance.now() - startedMs) * 0.5 < nth) await sleep(1);
}

async function finish(id: string, holds: boolean, used: number): Promise<void> {
  await turn();
  say(`taken ${id}`);
  if (!holds) return;
  await sleep(20);
  say(`settle ${id} ${used}`);
  const { status } = await settlement.settle(id, { prompt_tokens: 0, completion_tokens: used });
  await turn();
  say(status === 200 ? `settled ${id}` : `failed ${id}`);
}
