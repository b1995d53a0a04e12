import type { Take, TakeResult } from './charges.ts';
import type { AuthorizePorts } from './ports.ts';
import type { Trace } from './trace.ts';

type GivingBackPorts = Pick<AuthorizePorts, 'startTimer'>;

/** Gives back what was taken for a request that is denied, once. */
export function giveBack(ports: GivingBackPorts, trace: Trace): void {
  const { take } = trace;
  if (take === undefined) return;
  trace.take = undefined;
  releaseLater(ports, take);
}

/** The same for a take that nobody waits for any more. */
export function releaseLate(ports: GivingBackPorts, late: TakeResult): void {
  if (late.kind === 'taken' && late.take !== undefined) releaseLater(ports, late.take);
}

/** After the reply: a timer of 0 ms runs once the answer was handed to the socket. */
function releaseLater(ports: GivingBackPorts, take: Take): void {
  ports.startTimer(0, () => take.release());
}
